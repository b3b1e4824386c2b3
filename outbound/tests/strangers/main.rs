//! Calls to real servers on this machine, of every kind a stranger may run.

mod answers;
mod connections;
mod places;
mod proxied;
mod secured;
mod server;
