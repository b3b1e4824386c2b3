//! The program: settings, wiring, lifecycle, commands. A library too, so that tests start the real
//! thing with a clock of their own.

mod backup;
pub mod chance;
pub mod clock;
pub mod commands;
pub mod config;
pub mod folder;
mod open_files;
mod sockets;
pub mod wiring;
