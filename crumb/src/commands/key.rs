//! `crumb key`

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use app::{Chance as _, Clock as _, KeyTerms, create_key};
use clap::{Args, Subcommand};
use domain::access::{Grant, Scope};
use domain::ids::{AdvertiserId, AffiliateId, OfferId};
use ipnet::IpNet;
use ledger::{Ledger, Location};
use serde_json::json;

use super::Place;
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::folder::Folder;

/// Make, list and revoke API keys. Works while a server runs on the same data.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  crumb key create --name ops --data /var/lib/crumb")]
pub enum Key {
    /// Make a key and print it, once
    #[command(after_help = "Examples:\n  crumb key create --name ops\n  \
                            crumb key create --name shop --scope conversion --advertiser 1\n  \
                            crumb key create --name backfill --scope conversion --may-backfill --allow-address 192.0.2.0/24\n  \
                            crumb key create --name partner --scope affiliate --affiliate 7")]
    Create(Create),
    /// List the keys, revoked ones too
    #[command(after_help = "Example:\n  crumb key list --json")]
    List(List),
    /// Revoke a key: a running server refuses it within a second
    #[command(after_help = "Example:\n  crumb key revoke shop")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    place: Place,
    /// What you will know the key by; never used twice
    #[arg(long)]
    name: String,
    /// What it is for: admin (everything), read (reads everything), conversion (records conversions), affiliate
    /// (reads one affiliate's rows, without revenue)
    #[arg(long, default_value = "admin", value_parser = scope)]
    scope: Scope,
    /// Bind a conversion key to one offer
    #[arg(long, value_name = "ID", value_parser = id::<OfferId>)]
    offer: Option<OfferId>,
    /// Bind a conversion key to one advertiser's offers
    #[arg(long, value_name = "ID", value_parser = id::<AdvertiserId>)]
    advertiser: Option<AdvertiserId>,
    /// Whose rows an affiliate key reads
    #[arg(long, value_name = "ID", value_parser = id::<AffiliateId>)]
    affiliate: Option<AffiliateId>,
    /// Let a conversion key state the payout
    #[arg(long)]
    may_override: bool,
    /// Measure the age of the clicks that a conversion key names at the conversion's date, not at the call
    #[arg(long)]
    may_backfill: bool,
    /// Refuse calls with the key from anywhere else: an address, or a range such as 192.0.2.0/24; repeatable
    #[arg(long, value_name = "RANGE", value_parser = range)]
    allow_address: Vec<IpNet>,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    place: Place,
    /// The key's name
    name: String,
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: domain::access::UnknownScope| error.to_string())
}

fn id<Id: std::str::FromStr>(text: &str) -> Result<Id, String> {
    text.parse().map_err(|_| "a whole number is expected".to_owned())
}

fn range(text: &str) -> Result<IpNet, String> {
    let range = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    range.ok_or_else(|| "an address or a range such as 192.0.2.0/24 is expected".to_owned())
}

fn open(place: &Place, create: bool) -> anyhow::Result<Arc<dyn Ledger>> {
    let dir = place.load(None)?.data.dir;
    let folder = if create { Folder::open(&dir)? } else { Folder::existing(&dir)? };
    Ok(Location::file(folder.ledger()).open()?)
}

impl Key {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create(create) => create.run(),
            Self::List(list) => list.run(),
            Self::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Create {
    fn run(self) -> anyhow::Result<ExitCode> {
        let ledger = open(&self.place, true)?;
        let grant = Grant {
            scope: self.scope,
            offer_id: self.offer,
            advertiser_id: self.advertiser,
            affiliate_id: self.affiliate,
            may_override: self.may_override,
            may_backfill: self.may_backfill,
        };
        let terms = KeyTerms { name: &self.name, grant, addresses: self.allow_address };
        let random = std::array::from_fn(|_| SystemChance.draw());
        let key = create_key(&*ledger, terms, random, SystemClock.now())?;
        #[expect(clippy::print_stdout, reason = "the key, alone, once")]
        {
            println!("{}", key.secret);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    #[expect(clippy::print_stdout, reason = "a command prints what it was asked for")]
    fn run(self) -> anyhow::Result<ExitCode> {
        let keys = open(&self.place, false)?.list_keys()?;
        let bound = |key: &ledger::Key| {
            let (grant, mut words) = (&key.caller.grant, Vec::new());
            grant.offer_id.inspect(|id| words.push(format!("offer {id}")));
            grant.advertiser_id.inspect(|id| words.push(format!("advertiser {id}")));
            grant.affiliate_id.inspect(|id| words.push(format!("affiliate {id}")));
            if grant.may_override {
                words.push("may override".to_owned());
            }
            if grant.may_backfill {
                words.push("may backfill".to_owned());
            }
            words.extend(key.addresses.iter().map(ToString::to_string));
            words.join(", ")
        };
        if self.json {
            let rows: Vec<_> = keys
                .iter()
                .map(|key| {
                    let grant = &key.caller.grant;
                    json!({
                        "key_id": key.caller.key_id.0,
                        "name": key.caller.name,
                        "prefix": key.prefix,
                        "scope": grant.scope.name(),
                        "offer_id": grant.offer_id.map(|id| id.0),
                        "advertiser_id": grant.advertiser_id.map(|id| id.0),
                        "affiliate_id": grant.affiliate_id.map(|id| id.0),
                        "may_override": grant.may_override,
                        "may_backfill": grant.may_backfill,
                        "addresses": key.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                        "created": key.created.to_string(),
                        "revoked": key.revoked.map(|at| at.to_string()),
                    })
                })
                .collect();
            println!("{}", serde_json::to_string_pretty(&rows)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("{:<20} {:<15} {:<11} {:<21} {:<8} bound to", "name", "key", "scope", "created", "state");
        for key in keys {
            let state = if key.revoked.is_some() { "revoked" } else { "active" };
            let created = key.created.strftime("%Y-%m-%d %H:%M:%S").to_string();
            let (caller, prefix) = (&key.caller, format!("{}…", key.prefix));
            let scope = caller.grant.scope.name();
            println!("{:<20} {prefix:<15} {scope:<11} {created:<21} {state:<8} {}", caller.name, bound(&key));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    fn run(self) -> anyhow::Result<ExitCode> {
        if !open(&self.place, false)?.revoke_key(&self.name, SystemClock.now())? {
            bail!("there is no key named {}", self.name);
        }
        Ok(ExitCode::SUCCESS)
    }
}
