//! `crumb`, the binary.

use std::process::ExitCode;

use clap::Parser as _;
use crumb::commands::Command;
use mimalloc::MiMalloc;

/// A click makes some thirty short-lived allocations.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one line that tells the user why")]
            {
                eprintln!("crumb: {error:#}");
            }
            ExitCode::from(2)
        }
    }
}
