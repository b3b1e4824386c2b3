//! From names to addresses.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// What a resolver answers, later.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Answers which addresses a name has. Whoever implements it need not check them: all of an answer is checked before
/// any of it is connected to.
///
/// A function from a name to its addresses is a resolver too, one that answers at once: what tests want.
pub trait Resolve: Send + Sync {
    /// The addresses of this name, in the order in which they are to be tried.
    fn resolve(&self, name: &str) -> Resolving;
}

impl<F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync> Resolve for F {
    fn resolve(&self, name: &str) -> Resolving {
        Box::pin(std::future::ready(self(name)))
    }
}

/// Asks the system. That blocks a thread until the system has an answer or gives up, which no time limit of ours can
/// hasten; so each question holds its place among `lookups_max` until its thread is done, whoever still waits for it.
pub(crate) struct Blocking<F> {
    look_up: F,
    places: Arc<Semaphore>,
}

impl Blocking<fn(&str) -> io::Result<Vec<IpAddr>>> {
    pub fn system(lookups_max: usize) -> Self {
        Self::new(of_the_system, lookups_max)
    }
}

impl<F> Blocking<F> {
    fn new(look_up: F, lookups_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(lookups_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self { look_up, places }
    }
}

impl<F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + Clone + 'static> Resolve for Blocking<F> {
    fn resolve(&self, name: &str) -> Resolving {
        let (places, look_up, name) = (Arc::clone(&self.places), self.look_up.clone(), name.to_owned());
        Box::pin(async move {
            let place = places.acquire_owned().await.map_err(io::Error::other)?;
            let looking_up = tokio::task::spawn_blocking(move || {
                let found = look_up(&name);
                drop(place);
                found
            });
            looking_up.await.map_err(io::Error::other)?
        })
    }
}

fn of_the_system(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|it| it.ip()).collect())
}

#[cfg(test)]
mod tests;
