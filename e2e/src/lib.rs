//! Starts the real binary, speaks HTTP to it and kills it: what the black-box tests in `tests/` share.
//! Nothing here knows the inside of Crumb; the crates' own tests do.

mod answer;
mod binary;
mod chance;
mod client;
mod connection;
mod database;
mod faults;
mod network;
mod pages;
mod process;
mod receiver;
mod server;
mod small_disk;
mod until;

pub use answer::Answer;
pub use binary::binary;
pub use chance::Chance;
pub use client::{Client, encode};
pub use connection::Connection;
pub use database::{Database, PASSWORD};
pub use faults::{EIO, EROFS, Faults, FileCall};
pub use network::{Network, create};
pub use pages::{click_pages, conversion_pages};
pub use process::{Finished, Process, crumb};
pub use receiver::{Reaction, Received, Receiver};
pub use server::{Runner, Server};
pub use small_disk::SmallDisk;
pub use until::until;
