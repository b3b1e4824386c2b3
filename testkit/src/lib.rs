//! For tests: the real server in this process, on a temporary folder, with a clock that only moves
//! when told to; a client for it; and a small network to begin with. Nobody's normal dependency.

mod client;
mod clock;
mod sample;
mod server;

pub use client::{Answer, Client};
pub use clock::ManualClock;
pub use e2e::{Reaction, Received, Receiver, until};
pub use sample::Sample;
pub use server::TestServer;
