//! Calls to strangers: the only code that opens connections to hosts which somebody else has named.
//!
//! A call goes to public addresses only ([`is_public`]), unless settings allow more, and to the very address that was
//! checked. It has one time limit, reads a bounded part of the answer, follows no redirect, keeps no cookie and tries
//! nothing twice. When and how often to call is not decided here.

pub use address::{AllowPrivate, is_public};
pub use answer::{ANSWER_BYTES_KEPT, ANSWER_BYTES_READ_MAX, Answer, RetryAfter};
pub use caller::{Body, Call, Called, Caller, Method, Options};
pub use connection::{HEAD_BYTES_MAX, HEADERS_MAX, INTERIM_ANSWERS_MAX};
pub use error::{CallError, SetUpError};
pub use proxy::{BadProxy, ProxyUrl};
pub use resolve::{Resolve, Resolving};
pub use target::{BadTarget, URL_BYTES_MAX, check_url};

mod address;
mod answer;
mod caller;
mod connect;
mod connection;
mod error;
mod idle;
mod proxy;
mod resolve;
mod target;
mod tls;
