//! What strangers send: hostile, huge, malformed, missing and repeated. Never a 5xx, every refusal in
//! the promised envelope, and what is legal comes back exactly as it was sent. The server's panics are
//! looked for when it is dropped.

mod bodies;
mod fixture;
mod keys;
mod links;
mod network;
mod parameters;
mod paths;
mod protocol;
mod texts;
