//! The generated day: which link each click follows, with which sub ids and headers. Click number n
//! is the same in every run. The server's clock is the system's, so the day arrives as fast as it can.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::addresses;
use crate::agents::{self, AGENTS};
use crate::client::Answer;
use crate::drive::{Work, drive};
use crate::network::{AFFILIATES, CAMPAIGNS_EACH, Campaign, REFUSED_URL};
use crate::report::{Figure, Report};
use crate::server::Server;
use crate::statistics::float;
use crate::zipf::Zipf;

/// Every click's choices follow from this and its number.
const SEED: u64 = 2026;
/// Connections the day arrives on.
pub const CONNECTIONS: usize = 128;
/// Values of `s1`: few, as placements are.
const PLACEMENTS: [&str; 8] = [
    "banner_300x250",
    "banner_728x90",
    "native_feed",
    "newsletter",
    "search_brand",
    "search_generic",
    "video_preroll",
    "push",
];
/// Pages visitors come from; none is as common as any.
const REFERRERS: [&str; 8] = [
    "",
    "",
    "https://www.google.com/",
    "https://l.facebook.com/",
    "https://news.example/finance/what-insurance-really-costs",
    "https://compare.example/?category=insurance&sort=price",
    "https://blog.example/2026/11/ten-things-before-you-sign",
    "https://t.co/",
];

/// The generator.
#[derive(Debug)]
pub struct Day {
    campaigns: Arc<Vec<Campaign>>,
    /// None: in turn.
    affiliates: Option<Zipf>,
    own_campaigns: Zipf,
    agent_ranks: Zipf,
    user_agents: Vec<String>,
}

/// A click before it happens.
pub struct Visit<'d> {
    /// The link it follows.
    pub campaign: Campaign,
    /// Path and query.
    pub path: String,
    /// The `User-Agent` header.
    user_agent: &'d str,
    /// The `X-Forwarded-For` header.
    address: String,
    /// The `Referer` header, or empty.
    referrer: &'static str,
}

impl Visit<'_> {
    /// The headers a visitor sends, and the proxy that visitors come through.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all =
            [("User-Agent", self.user_agent), ("X-Forwarded-For", &self.address), ("Referer", self.referrer)];
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

/// The length of a click id as text.
pub const ID_CHARS: usize = 36;

/// A click that was answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Clicked {
    id: [u8; ID_CHARS],
    /// Its offer.
    pub offer_id: u64,
    /// Whether the offer's rule let it pass.
    pub is_accepted: bool,
}

impl Clicked {
    /// The click id.
    pub fn id(&self) -> &str {
        str::from_utf8(&self.id).expect("it was cut from text")
    }
}

/// A loaded day.
pub struct Loaded {
    /// All its clicks in the order of their ids.
    pub clicks: Vec<Clicked>,
    /// How many of them, the first ones, are in segments.
    pub sealed: usize,
}

impl Day {
    /// A day on those campaigns.
    pub fn new(campaigns: Arc<Vec<Campaign>>) -> Self {
        Self { affiliates: Some(Zipf::new(AFFILIATES)), ..Self::in_turn(campaigns) }
    }

    /// A day on which all affiliates have equally many clicks: click number n is that of affiliate n, modulo
    /// how many there are.
    pub fn in_turn(campaigns: Arc<Vec<Campaign>>) -> Self {
        let (affiliates, own_campaigns) = (None, Zipf::new(CAMPAIGNS_EACH));
        let (agent_ranks, user_agents) = (Zipf::new(AGENTS), agents::all());
        Self { campaigns, affiliates, own_campaigns, agent_ranks, user_agents }
    }

    /// Click number `index`.
    pub fn visit(&self, index: usize) -> Visit<'_> {
        let mut random = SmallRng::seed_from_u64(SEED.wrapping_add(index as u64));
        let affiliate = match &self.affiliates {
            Some(affiliates) => affiliates.draw(&mut random),
            None => index % AFFILIATES as usize,
        };
        let campaign =
            self.campaigns[affiliate * CAMPAIGNS_EACH as usize + self.own_campaigns.draw(&mut random)];
        let s1 = PLACEMENTS[random.random_range(0..PLACEMENTS.len())];
        let s2: u128 = random.random();
        let Campaign { affiliate_id, creative_id, .. } = campaign;
        let path = format!("/?a={affiliate_id}&c={creative_id}&s1={s1}&s2={s2:032x}&s3=geo{}", index % 200);
        let user_agent = &self.user_agents[self.agent_ranks.draw(&mut random)];
        let referrer = REFERRERS[random.random_range(0..REFERRERS.len())];
        let address = addresses::draw(&mut random).to_string();
        Visit { campaign, path, user_agent, address, referrer }
    }
}

/// Loads the first `count` clicks, checks that each answered one is stored, and waits until all that
/// can be sealed is.
pub async fn load(
    server: &Server,
    day: &Arc<Day>,
    count: u64,
    report: &mut Report,
) -> anyhow::Result<Loaded> {
    let count = usize::try_from(count)?;
    let driven = drive(server.address, CONNECTIONS, count, "loading clicks", day).await?;
    report.rate("day", "clicks loaded, server and load on all cores", driven.per_second());
    report.latency("day", &driven.latencies);
    let mut clicks = driven.kept;
    clicks.sort_unstable();
    let twice = clicks.windows(2).find(|pair| pair[0].id == pair[1].id);
    ensure!(twice.is_none(), "a click id was given twice: {twice:?}");
    report.compare("clicks", count as u64, server.click_rows().await?)?;
    let refused = clicks.iter().filter(|it| !it.is_accepted).count();
    ensure!(refused < clicks.len() / 2, "{refused} clicks were refused: their countries were not known");
    let share = float(refused as u64) / float(count as u64) * 100.0;
    report.add(Figure::new("day", "  refused by their offers' rules", "%", share));
    let recent = usize::try_from(server.settle().await?)?;
    report.compare("clicks after sealing", count as u64, server.click_rows().await?)?;
    Ok(Loaded { sealed: clicks.len() - recent, clicks })
}

impl Work for Day {
    type Kept = Clicked;

    fn write(&self, index: usize, request: &mut Vec<u8>) {
        let visit = self.visit(index);
        write!(request, "GET {} HTTP/1.1\r\nHost: bench\r\n", visit.path).expect("writing to memory");
        for (name, value) in visit.headers() {
            write!(request, "{name}: {value}\r\n").expect("writing to memory");
        }
        request.extend_from_slice(b"\r\n");
    }

    fn read(&self, index: usize, answer: &Answer<'_>) -> anyhow::Result<Clicked> {
        ensure!(answer.status == 302, "a click was answered {}", answer.status);
        let location = answer.header("location").context("no location")?;
        let id = location.split_once("click_id=").and_then(|(_, rest)| rest.as_bytes().first_chunk());
        let id = *id.with_context(|| format!("no click id in {location}"))?;
        let is_accepted = !location.starts_with(REFUSED_URL);
        Ok(Clicked { id, offer_id: self.visit(index).campaign.offer_id, is_accepted })
    }
}
