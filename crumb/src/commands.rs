//! The commands, a file each.

mod api;
mod apply;
mod backup;
mod check;
mod config;
mod demo;
mod erase;
mod explain;
mod export;
mod import;
mod key;
mod lint_url;
mod network_file;
mod reconcile;
mod replay;
mod restore;
mod serve;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};

use crate::backup::is_damage;
use crate::config::{Config, LogFormat, Overrides};

/// A performance-marketing tracker you run yourself.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Examples:\n  crumb demo                           see it work, with a sample network\n  \
                  crumb serve --data /var/lib/crumb    run the server\n  \
                  crumb key create --name ops          make an API key"
)]
pub enum Command {
    /// Start a server with a sample network on a temporary data folder.
    Demo(demo::Demo),
    /// Run the server.
    Serve(serve::Serve),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Show the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check settings and data folder, changing nothing.
    Check(check::Check),
    /// Prove the books, and that every click is where it should be.
    Verify(verify::Verify),
    /// Copy everything to a new folder, beside a running server.
    Backup(backup::Backup),
    /// Make a data folder of a backup.
    Restore(restore::Restore),
    /// Import conversions from a file, and take an import back.
    #[command(subcommand)]
    Import(import::Import),
    /// Put an advertiser's file beside our conversions, and tell every difference.
    Reconcile(reconcile::Reconcile),
    /// Make the network match a file.
    Apply(apply::Apply),
    /// Print the network as a file.
    Dump(apply::Dump),
    /// Look at a postback's URL before it is saved.
    LintUrl(lint_url::LintUrl),
    /// Have deliveries made again: those that are held, or others by their state.
    Replay(replay::Replay),
    /// Explain what became of a click, a call, a conversion or a delivery, or why nothing did.
    Explain(explain::Explain),
    /// Export clicks, conversions, lines of money or deliveries.
    Export(export::Export),
    /// Erase the visitors' data of clicks.
    Erase(erase::Erase),
}

impl Command {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(demo) => demo.run(),
            Self::Serve(serve) => serve.run(),
            Self::Key(key) => key.run(),
            Self::Config(config) => Ok(config.run()),
            Self::Check(check) => check.run(),
            Self::Verify(verify) => verify.run(),
            Self::Backup(backup) => backup.run(),
            Self::Restore(restore) => restore.run(),
            Self::Import(import) => import.run(),
            Self::Reconcile(reconcile) => reconcile.run(),
            Self::Apply(apply) => apply.run(),
            Self::Dump(dump) => dump.run(),
            Self::LintUrl(lint_url) => lint_url.run(),
            Self::Replay(replay) => replay.run(),
            Self::Explain(explain) => explain.run(),
            Self::Export(export) => export.run(),
            Self::Erase(erase) => erase.run(),
        }
    }
}

/// Where settings and data are.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// A settings file; `crumb config default` prints one to start from
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: ./crumb-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    fn load(&self, listen: Option<SocketAddr>) -> anyhow::Result<Config> {
        Config::load(&Overrides { file: self.config.clone(), data: self.data.clone(), listen })
    }
}

/// Sends the log to standard error, so that standard output holds only what was asked for.
fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level)
        .map_err(|error| anyhow::anyhow!("log.level: {error}"))?;
    let is_watched = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_target(false).with_ansi(is_watched);
    let started = match config.log.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// What a command that copies ends with: 1 where something is damaged.
fn copied_or_damaged(copied: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    match copied {
        Err(error) if is_damage(&error) => {
            #[expect(clippy::print_stderr, reason = "the one line that tells the user why")]
            {
                eprintln!("crumb: {error:#}");
            }
            Ok(ExitCode::FAILURE)
        }
        copied => copied.map(|()| ExitCode::SUCCESS),
    }
}

/// Resolves on Ctrl-C or SIGTERM.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
