//! The call itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Body as _;
use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use tokio::time::{Instant, timeout_at};

use crate::address::AllowPrivate;
use crate::answer::{self, Answer, Rest};
use crate::connect::Connector;
use crate::connection::{Connection, Unanswered};
use crate::error::{CallError, SetUpError};
use crate::idle::Idle;
use crate::proxy::ProxyUrl;
use crate::resolve::{Blocking, Resolve};
use crate::target::Target;
use crate::tls;

/// The longest time that can be set: nobody waits longer, and sums of times stay in range.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// How long the rest of an answer is waited for, once what is kept of it has come: about what a new connection costs.
const SKIP_TIMEOUT: Duration = Duration::from_millis(500);

/// What belongs to the connection, not to the call.
const OURS: [HeaderName; 8] =
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, EXPECT, TE, TRAILER];

/// How strangers are called.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which addresses beside the public ones.
    pub allow_private: AllowPrivate,
    /// For resolving, connecting and securing; at most an hour, as the next.
    pub connect_timeout: Duration,
    /// For the whole call, from resolving to the last byte that is kept.
    pub timeout: Duration,
    /// Through which proxy. Nothing of the environment is looked at.
    pub proxy: Option<ProxyUrl>,
    /// Who is calling.
    pub user_agent: String,
    /// A PEM file of authorities that are trusted beside the system's.
    pub extra_roots: Option<PathBuf>,
    /// How many names are looked up at once; others wait. Each takes a thread of the runtime's pool, of which there
    /// are 512 and which others need too, until the system answers.
    pub lookups_max: usize,
    /// How many connections are kept to be used again, for all receivers together. Each is an open file.
    pub idle_connections_max: usize,
    /// How long they are kept. Many servers close after a minute, some after five seconds.
    pub idle_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_private: AllowPrivate::No,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            proxy: None,
            user_agent: concat!("Crumb/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_roots: None,
            lookups_max: 64,
            idle_connections_max: 256,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// What is asked of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

/// A call to be made.
#[derive(Clone)]
pub struct Call {
    /// What is asked.
    pub method: Method,
    /// Where.
    pub url: String,
    /// Beside or instead of `User-Agent` and `Accept`. The connection's own, such as `Host`, cannot be set.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent along.
    pub body: Option<Body>,
}

/// What is sent along.
#[derive(Clone)]
pub struct Body {
    /// What it is.
    pub content_type: &'static str,
    /// As it is sent.
    pub bytes: Vec<u8>,
}

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// From the first step to the last byte that is kept.
    pub duration: Duration,
    /// What came of it.
    pub outcome: Result<Answer, CallError>,
}

/// Calls strangers. Clones share their connections. It starts nothing of its own and belongs to no runtime: a call runs
/// where it is polled, and ends, connection and all, when it is dropped.
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    connector: Connector,
    idle: Idle,
    timeout: Duration,
    user_agent: HeaderValue,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Caller {
    /// A caller that asks the system for addresses.
    pub fn new(options: Options) -> Result<Self, SetUpError> {
        let resolver = Arc::new(Blocking::system(options.lookups_max));
        Self::with_resolver(options, resolver)
    }

    /// A caller that asks this resolver. Its answers are checked as the system's are.
    pub fn with_resolver(options: Options, resolver: Arc<dyn Resolve>) -> Result<Self, SetUpError> {
        let tls = tls::connector(options.extra_roots.as_deref())?;
        let user_agent = HeaderValue::try_from(options.user_agent).map_err(|_| SetUpError::UserAgent)?;
        let connector = Connector {
            allow: options.allow_private,
            resolver,
            proxy: options.proxy,
            tls,
            connect_timeout: options.connect_timeout.min(TIMEOUT_MAX),
        };
        let idle = Idle::new(options.idle_connections_max, options.idle_timeout);
        Ok(Self(Arc::new(Inner { connector, idle, timeout: options.timeout.min(TIMEOUT_MAX), user_agent })))
    }

    /// Calls once. Redirects are not followed, nothing is tried twice that may have been received, no cookie is kept.
    pub async fn call(&self, call: Call) -> Called {
        let began = Instant::now();
        let until = began + self.0.timeout;
        let outcome =
            timeout_at(until, Box::pin(self.0.answer(call))).await.unwrap_or(Err(CallError::TimedOut));
        let duration = began.elapsed();
        let outcome = match outcome {
            Ok((answer, target, rest)) => {
                self.0.keep(target, rest, until).await;
                Ok(answer)
            }
            Err(error) => Err(error),
        };
        Called { duration, outcome }
    }
}

impl Inner {
    async fn answer(&self, call: Call) -> Result<(Answer, Target, Rest), CallError> {
        let target = Target::parse(&call.url, &self.connector.allow)?;
        let request = self.request(call, &target)?;
        let (connection, response) = self.send(&target, request).await?;
        let (answer, rest) = answer::read(connection, response).await?;
        Ok((answer, target, rest))
    }

    fn request(&self, call: Call, target: &Target) -> Result<Request<Full<Bytes>>, CallError> {
        let (content_type, bytes) = call.body.map(|it| (it.content_type, it.bytes)).unzip();
        let mut request = Request::new(Full::from(bytes.unwrap_or_default()));
        *request.method_mut() = match call.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
        };
        *request.uri_mut() = target.path_and_query.clone();
        let without_body = request.body().is_end_stream();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in
            content_type.map(|it| ("content-type", it.to_owned())).into_iter().chain(call.headers)
        {
            let bad = || CallError::BadHeader(name);
            let header = HeaderName::try_from(name).map_err(|_| bad())?;
            if OURS.contains(&header) {
                return Err(bad());
            }
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| bad())?);
        }
        headers.insert(HOST, target.host_header.clone());
        // Some servers refuse a POST that does not say that it is empty.
        if without_body && call.method == Method::Post {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    /// Sends on a connection that waits, or on a new one. A request goes to another connection only if nothing of it
    /// was sent on the first, which had closed while it waited.
    async fn send(
        &self,
        target: &Target,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Connection, hyper::Response<hyper::body::Incoming>), CallError> {
        while let Some(mut connection) = self.idle.take(&target.receiver) {
            match connection.send(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(Unanswered::Failed(error)) => return Err(error),
                Err(Unanswered::Unsent(unsent)) => request = *unsent,
            }
        }
        let mut connection = Connection::over(self.connector.connect(&target.receiver).await?).await?;
        match connection.send(request).await {
            Ok(response) => Ok((connection, response)),
            Err(Unanswered::Failed(error)) => Err(error),
            Err(Unanswered::Unsent(_)) => Err(CallError::Broken("the connection was closed at once")),
        }
    }

    /// Keeps the connection for another call if the rest of the answer is short and comes soon.
    async fn keep(&self, target: Target, rest: Rest, until: Instant) {
        let until = until.min(Instant::now() + SKIP_TIMEOUT);
        if let Ok(Some(connection)) = timeout_at(until, rest.skip()).await {
            self.idle.put(target.receiver, connection);
        }
    }
}
