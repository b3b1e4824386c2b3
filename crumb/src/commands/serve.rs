//! `crumb serve`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Place, signal, start_log};
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::wiring;

/// Run the server until Ctrl-C or SIGTERM
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  crumb serve\n  crumb serve --data /var/lib/crumb --listen 0.0.0.0:8080\n  \
                        CRUMB_NETWORK__TIME_ZONE=America/New_York crumb serve --config crumb.toml"
)]
pub struct Serve {
    #[command(flatten)]
    place: Place,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.place.load(self.listen)?;
        start_log(&config)?;
        tracing::info!(?config, "starting");
        let running = wiring::start(&config, Arc::new(SystemClock), Arc::new(SystemChance), false)?;
        #[expect(clippy::print_stdout, reason = "whoever started the server waits for this line")]
        {
            println!("listening on http://{}", running.address);
            if let Some(address) = running.tls_address {
                println!("listening on https://{address}");
            }
        }
        let ended = running.wait(signal());
        tracing::info!("stopping");
        running.stop();
        ended.map(|()| ExitCode::SUCCESS)
    }
}
