//! The ledger by itself, without HTTP: what a conversion costs when few and when many are stored, and pages
//! of many. In a file, and on the database server that `--database` names.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::click::Click;
use domain::conversion::{ConversionCall, Terms};
use domain::conversion_query::{ConversionFilter, ConversionQuery, ConversionSort, Start};
use domain::conversion_request::SentEvent;
use domain::details::Details;
use domain::ids::{
    AdvertiserId, AffiliateId, ClickIdMint, CreativeId, KeyId, NodeNumber, OfferId, PostbackId,
};
use domain::money::{Amount, Currency};
use domain::network::{Advertiser, Affiliate, DEFAULT_EVENT, Entities, Network, PartyStatus};
use domain::network_change::{CreateOffer, CreatePostback};
use domain::postback::Owner;
use domain::pricing::Rate;
use domain::tokens::UrlTemplate;
use indicatif::{ProgressBar, ProgressIterator as _};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use ledger::{Ledger, Location, Recorded, Submission};

use crate::arguments::Arguments;
use crate::report::{Figure, Report, Target};
use crate::statistics::{Latencies, Spread, float};
use crate::tools::output;

/// Conversions stored when few are.
const FEW: u64 = 10_000;
/// Conversions timed at either size, in rounds.
const ROUND: u64 = 4096;
const ROUNDS: u64 = 5;
/// As a server under load gives them to its ledger.
const BATCH: u64 = 64;
const OFFERS: u64 = 500;
const AFFILIATES: u64 = 5000;
/// Conversions are dated evenly over so many days.
const DAYS: u64 = 365;
/// At most, of what it costs when few are stored.
const COST_MAX: f64 = 1.2;
/// At most, in milliseconds.
const PAGE_MS_MAX: f64 = 50.0;
/// Pages of each order.
const PAGES: u32 = 20;

/// Conversions of the database server, at most: half a minute's.
const SERVER_MAX: u64 = 100_000;
/// At least, per second, on a database server.
const SERVER_RATE_MIN: f64 = 3000.0;
/// The database's own work to compare with: one row a transaction, for this many seconds.
const PGBENCH: &[&str] = &["-n", "-c", "64", "-j", "2", "-T", "10"];
const UPSERT: &str = "\\set id random(1, 1000000000)\n\
    INSERT INTO beside.conversions (offer_id, unique_id, payout) VALUES (:id % 500, 'ORD-' || :id, 18) \
    ON CONFLICT DO NOTHING;\n";
const UPSERT_TABLE: &str = "CREATE SCHEMA beside; CREATE TABLE beside.conversions \
    (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, offer_id BIGINT, unique_id TEXT, payout BIGINT, \
    UNIQUE (offer_id, unique_id))";

/// Measures a ledger in a file, and where `--database` names a server also one there, beside what that
/// server does by itself.
pub fn measure(arguments: &Arguments, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let file = Location::file(folder.join("books.sqlite")).open()?;
    let sqlite = measure_one("SQLite", &*file, arguments.books, report)?;
    let Some(url) = &arguments.database else { return Ok(()) };
    let server = Location::Server(url.parse().context("--database")?).open()?;
    let postgres = measure_one("PostgreSQL", &*server, arguments.books.min(SERVER_MAX), report)?;
    drop(server);
    let single = pgbench(url, folder)?;
    for (what, rate, target) in [("SQLite", sqlite, None), ("PostgreSQL", postgres, Some(SERVER_RATE_MIN))] {
        let name = format!("{what}, {FEW} stored, beside single-row upserts by pgbench ({single:.0} /s)");
        let mut figure = Figure::new("books", &name, "/s", rate).beside("÷ pgbench", rate / single);
        figure.target = target.map(Target::AtLeast);
        report.add(figure);
    }
    Ok(())
}

/// Single-row transactions a second that the database server itself does.
fn pgbench(url: &str, folder: &Path) -> anyhow::Result<f64> {
    let script = folder.join("upsert.sql");
    std::fs::write(&script, UPSERT)?;
    output(Command::new("psql").args([url, "-qc", UPSERT_TABLE]))?;
    let told = output(Command::new("pgbench").args(PGBENCH).arg("-f").arg(&script).arg(url))?;
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.with_context(|| format!("pgbench told no rate: {told}"))
}

/// Records `all` conversions and asks for pages of them. Returns how many a second were recorded when few
/// were stored.
fn measure_one(what: &str, ledger: &dyn Ledger, all: u64, report: &mut Report) -> anyhow::Result<f64> {
    let mut book = Book { ledger, terms: terms(), mint: mint()?, recorded: 0, all };
    book.fill(FEW)?;
    let few = book.time()?;
    book.fill(all)?;
    let many = book.time()?;
    let per_second = |spread: &Spread| 1e6 / spread.median;
    report.rate(
        "books",
        &format!("{what}: conversions, two deliveries enqueued each, {FEW} stored"),
        per_second(&few),
    );
    report.rate(
        "books",
        &format!("{what}: conversions, two deliveries enqueued each, {all} stored"),
        per_second(&many),
    );
    let mut figure =
        Figure::new("books", "  one of them when many are stored", "µs", many.median).within(many);
    figure = figure.beside("× when few are", many.median / few.median);
    report.add(figure.with_target(Target::RatioAtMost(COST_MAX)));
    for sort in ConversionSort::ALL {
        for (name, days) in [("of all", DAYS), ("of 30 days", 30)] {
            let pages = Latencies::of(book.pages(sort, days)?);
            let what = format!("  a page {name} by {sort}, p99");
            report.add(
                Figure::new("books", &what, "ms", pages.ms(0.99)).with_target(Target::AtMost(PAGE_MS_MAX)),
            );
        }
    }
    let due = ledger.count_deliveries()?.due;
    report.compare("deliveries in a ledger", 2 * book.recorded, due)?;
    let stored = ledger.list_conversions(&query(ConversionSort::ConversionId, None))?.total;
    report.compare("conversions in a ledger", book.recorded, stored)?;
    Ok(per_second(&few))
}

fn mint() -> anyhow::Result<ClickIdMint> {
    Ok(ClickIdMint::after(NodeNumber::new(1).context("a node number")?, None))
}

fn begin() -> Timestamp {
    Timestamp::from_second(1_760_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Offers whose affiliates have no campaigns: what a price depends on is the same for all.
fn terms() -> Terms {
    let created = begin();
    let (name, status) = (String::from("bench"), PartyStatus::Active);
    let rate = |micros| Rate::cpa(Amount::from_micros(micros).unwrap_or_default());
    let url = UrlTemplate::parse("https://shop.example/").expect("a URL");
    let offer = |id| {
        let create = CreateOffer::new("bench", AdvertiserId(1), url.clone());
        let create = CreateOffer { payout: rate(18_000_000), revenue: rate(22_000_000), ..create };
        create.into_offer(OfferId(id), CreativeId(id), created)
    };
    let affiliate = |id| Affiliate { id: AffiliateId(id), name: name.clone(), status, tier: None, created };
    // Each conversion fires two: its affiliate's and the network's.
    let owners = || (1..=5000).map(|id| Owner::Affiliate(AffiliateId(id))).chain([Owner::Network]);
    let postback = |(owner, id)| {
        let url = format!("https://partner{}.example/?click={{click_id}}&payout={{payout}}", id % 50);
        let url = UrlTemplate::parse_called(&url).expect("a URL");
        CreatePostback::new(owner, url).into_postback(PostbackId(id), created)
    };
    let entities = Entities {
        advertisers: vec![Advertiser { id: AdvertiserId(1), name: name.clone(), status, created }],
        affiliates: (1..=5000).map(affiliate).collect(),
        offers: (1..=500).map(offer).collect(),
        postbacks: owners().zip(1..).map(postback).collect(),
        ..Entities::default()
    };
    Terms { network: Arc::new(Network::new(entities)), zone: TimeZone::UTC, currency: Currency::USD }
}

struct Book<'l> {
    ledger: &'l dyn Ledger,
    terms: Terms,
    mint: ClickIdMint,
    recorded: u64,
    all: u64,
}

impl Book<'_> {
    /// Records until so many are stored.
    fn fill(&mut self, stored: u64) -> anyhow::Result<()> {
        let batches = stored.saturating_sub(self.recorded).div_ceil(BATCH);
        let progress = ProgressBar::new(batches).with_message("recording conversions");
        for _ in (0..batches).progress_with(progress) {
            self.record()?;
        }
        Ok(())
    }

    /// What a conversion costs now, in microseconds.
    fn time(&mut self) -> anyhow::Result<Spread> {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            for _ in 0..ROUND / BATCH {
                self.record()?;
            }
            rounds.push(started.elapsed().as_secs_f64() * 1e6 / float(ROUND));
        }
        Ok(Spread::of(rounds))
    }

    fn record(&mut self) -> anyhow::Result<()> {
        let batch: Vec<_> = (0..BATCH).map(|nth| self.submission(self.recorded + nth)).collect();
        for outcome in self.ledger.record_conversions(&batch)? {
            ensure!(matches!(outcome?, Recorded::New(_)), "a conversion was not recorded");
        }
        self.recorded += BATCH;
        Ok(())
    }

    /// When the conversion of that number happened.
    fn date(&self, number: u64) -> Timestamp {
        let second = (DAYS * 86_400).saturating_mul(number) / (self.all + 2 * ROUND * ROUNDS);
        let second = i64::try_from(second).unwrap_or(i64::MAX);
        begin().saturating_add(second.seconds()).unwrap_or(Timestamp::MAX)
    }

    fn submission(&mut self, number: u64) -> Submission {
        // Spread so that neighbours share nothing, and the same every time.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let pick = |bound: u64, shift: u32| u32::try_from((mixed >> shift) % bound).unwrap_or_default() + 1;
        let (offer, affiliate) = (pick(OFFERS, 7), pick(AFFILIATES, 29));
        let clicked = self.date(number);
        let id = self.mint.mint(clicked, mixed);
        let click = Click {
            offer_id: OfferId(offer),
            advertiser_id: AdvertiserId(1),
            affiliate_id: AffiliateId(affiliate),
            creative_id: CreativeId(offer),
            ..Click::blank(id)
        };
        let call = ConversionCall {
            key_id: KeyId(1),
            received_at: clicked,
            batch_id: None,
            click_id: id.to_string(),
            offer_id: OfferId(offer),
            event: SentEvent::default(),
            event_id: Some(DEFAULT_EVENT),
            unique_id: format!("ORD-{mixed:016x}"),
            order_id: String::new(),
            adv: Default::default(),
            payout: Amount::from_micros(i64::from(pick(3000, 11)) * 10_000),
            revenue: None,
            amount: None,
            received: None,
            conversion_date: clicked,
            is_backfill: false,
            is_told: true,
            in_browser: false,
            fingerprints: Vec::new(),
            raw: format!("click_id={id}&offer_id={offer}&unique_id=ORD-{mixed:016x}"),
            details: Details::default(),
        };
        Submission { call, click: Some(click), terms: self.terms.clone(), stated: None }
    }

    /// How long pages of the last so many days take, in that order.
    fn pages(&self, sort: ConversionSort, days: u64) -> anyhow::Result<Vec<Duration>> {
        let from = self.date(self.recorded).checked_sub((i64::try_from(days)? * 24).hours())?;
        let mut took = Vec::new();
        for page in 0..PAGES {
            let mut query = query(sort, Some(from));
            query.descending = page % 2 == 0;
            let started = Instant::now();
            let found = self.ledger.list_conversions(&query)?;
            took.push(started.elapsed());
            ensure!(found.conversions.len() == 100, "a page of {} conversions", found.conversions.len());
        }
        Ok(took)
    }
}

fn query(sort: ConversionSort, from: Option<Timestamp>) -> ConversionQuery {
    let filter = ConversionFilter { from, ..ConversionFilter::default() };
    ConversionQuery { filter, sort, descending: false, start: Start::Row(0), limit: 100 }
}
