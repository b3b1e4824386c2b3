//! `crumb config`

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::DEFAULT;

/// Show the settings.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  crumb config default > crumb.toml")]
pub enum ConfigCommand {
    /// Print the annotated default settings
    #[command(after_help = "Example:\n  crumb config default > crumb.toml")]
    Default,
}

impl ConfigCommand {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Default => print!("{DEFAULT}"),
        }
        ExitCode::SUCCESS
    }
}
