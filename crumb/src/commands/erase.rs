//! `crumb erase`

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use app::{Clock as _, OpenError, Opened, UpkeepSettings};
use clap::Args;
use domain::ids::ClickId;
use journal::JournalError;
use ledger::Ledger;
use serde_json::json;

use super::{Place, start_log};
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::folder::Folder;
use crate::wiring;

/// How often it is looked up whether the erasure is done.
const TURN: Duration = Duration::from_millis(100);

/// Erase the visitors' data of clicks. Works with and without a running server.
///
/// Address, user agent, referrer, sub ids, device id and the like go, from every file. The clicks
/// themselves stay, and so do conversions, ids and money: no count changes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  crumb erase --data /var/lib/crumb --click-id 01a205c7-6ac4-7001-8000-005560550e27"
)]
pub struct Erase {
    #[command(flatten)]
    place: Place,
    /// A click whose visitor's data goes; may be given several times
    #[arg(long = "click-id", value_name = "ID", required = true, value_parser = click_id)]
    click_ids: Vec<ClickId>,
    /// How long to wait until it is done, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn click_id(text: &str) -> Result<ClickId, String> {
    text.parse().map_err(|error: domain::ids::NotAClickId| error.to_string())
}

impl Erase {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.place.load(None)?;
        start_log(&config)?;
        let folder = config.existing_folder()?;
        let ledger = config.ledger(&folder).open()?;
        ledger.request_erasures(&self.click_ids, SystemClock.now())?;
        if !self.carry_out(&config, &folder, &*ledger)? {
            bail!(
                "not done within {} seconds; the request stands, and a server on this folder goes on with it: \
                 see its log, and run the command again to wait longer",
                self.wait
            );
        }
        let ids: Vec<String> = self.click_ids.iter().map(ClickId::to_string).collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&json!({ "erased": ids }))?);
        } else {
            for id in ids {
                println!("erased   {id}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Waits for the server to erase, or where none runs, does its work. False when it took too long.
    fn carry_out(&self, config: &Config, folder: &Folder, ledger: &dyn Ledger) -> anyhow::Result<bool> {
        let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemChance));
        let mut parts = wiring::parts(config, folder, clock, chance)?;
        parts.upkeep = UpkeepSettings::default();
        match app::open(parts, &folder.segments()) {
            Ok(Opened { sealer, upkeep, .. }) => {
                let stopped = AtomicBool::new(false);
                let stop = || stopped.load(Ordering::Acquire);
                std::thread::scope(|workers| {
                    workers.spawn(|| sealer.run(&stop));
                    workers.spawn(|| upkeep.run(&stop));
                    let done = self.wait(ledger);
                    stopped.store(true, Ordering::Release);
                    done
                })
            }
            Err(OpenError::Journal(JournalError::Locked { .. })) => self.wait(ledger),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until none of the clicks is still to be erased. False when it took too long.
    fn wait(&self, ledger: &dyn Ledger) -> anyhow::Result<bool> {
        let mut waited = Duration::ZERO;
        loop {
            let left = ledger.list_erasures()?;
            if !self.click_ids.iter().any(|id| left.contains(id)) {
                return Ok(true);
            }
            if waited >= Duration::from_secs(self.wait) {
                return Ok(false);
            }
            std::thread::sleep(TURN);
            waited += TURN;
        }
    }
}
