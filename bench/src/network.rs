//! The network the load runs through, made once through the admin API and then copied: 500 offers,
//! 5,000 affiliates, each affiliate with a campaign on a few offers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::client::{Answer, Connection, post};
use crate::drive::{Work, drive};
use crate::server::{Options, Server};
use crate::tools::output;
use crate::zipf::Zipf;

/// Offers.
pub const OFFERS: u32 = 500;
/// Affiliates.
pub const AFFILIATES: u32 = 5000;
/// Campaigns of each affiliate.
pub const CAMPAIGNS_EACH: u32 = 4;
/// Which affiliate runs which offers is the same every time.
const SEED: u64 = 0x6372_756d_6200;
/// Connections that make the network: the server reloads it once for all that wait.
const CONNECTIONS: usize = 256;
/// Where offers send visitors.
const OFFER_URL: &str = "https://shop.example/landing?click_id={click_id}&offer_id={offer_id}&s1={s1}";

/// What a tracking link is made of.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Whose link.
    pub affiliate_id: u64,
    /// To which offer.
    pub offer_id: u64,
    /// Shown by which creative.
    pub creative_id: u64,
}

/// A data folder with the network and nothing else.
pub struct Template {
    folder: PathBuf,
    key: String,
    campaigns: Arc<Vec<Campaign>>,
}

impl Template {
    /// Makes the network with a server of its own.
    pub async fn make(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let options = Options::new(binary, folder);
        let create = ["key", "create", "--name", "bench", "--data"];
        let key = output(std::process::Command::new(binary).args(create).arg(folder))?.trim().to_owned();
        let server = Server::start(&options, key.clone())?;
        let campaigns = Arc::new(make_network(&server).await?);
        server.stop()?;
        Ok(Self { folder: folder.to_owned(), key, campaigns })
    }

    /// The campaigns, affiliate by affiliate, [`CAMPAIGNS_EACH`] each.
    pub fn campaigns(&self) -> Arc<Vec<Campaign>> {
        Arc::clone(&self.campaigns)
    }

    /// A key that may do everything.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A fresh copy.
    pub fn copy_to(&self, folder: &Path) -> anyhow::Result<()> {
        output(std::process::Command::new("cp").arg("-r").arg(&self.folder).arg(folder)).map(drop)
    }
}

async fn make_network(server: &Server) -> anyhow::Result<Vec<Campaign>> {
    let mut request = Vec::new();
    post(&mut request, "/api/2/advertiser.json", &server.key, "advertiser_name=Bench");
    let advertiser =
        Connection::open(server.address).await?.ask(&request).await?.json()?["advertiser"]["advertiser_id"]
            .as_u64()
            .context("advertiser_id")?;
    let price = "payout=18.00&revenue=22.00";
    let url = OFFER_URL.replace('{', "%7B").replace('}', "%7D").replace('&', "%26");
    let offers = (0..OFFERS)
        .map(|it| format!("offer_name=Offer+{it}&advertiser_id={advertiser}&offer_url={url}&{price}"))
        .collect();
    let offers = create(server, "offer", &["offer_id", "creative_id"], "making offers", offers).await?;
    let affiliates = (0..AFFILIATES).map(|it| format!("affiliate_name=Affiliate+{it}")).collect();
    let affiliates = create(server, "affiliate", &["affiliate_id"], "making affiliates", affiliates).await?;
    let campaigns: Vec<_> = pairs()
        .into_iter()
        .map(|(affiliate, offer)| Campaign {
            affiliate_id: affiliates[affiliate][0],
            offer_id: offers[offer][0],
            creative_id: offers[offer][1],
        })
        .collect();
    let forms = campaigns
        .iter()
        .map(|it| format!("affiliate_id={}&offer_id={}", it.affiliate_id, it.offer_id))
        .collect();
    create(server, "campaign", &["campaign_id"], "making campaigns", forms).await?;
    Ok(campaigns)
}

/// Which affiliate runs which offers, by rank.
fn pairs() -> Vec<(usize, usize)> {
    let (popularity, mut random) = (Zipf::new(OFFERS), SmallRng::seed_from_u64(SEED));
    let mut pairs = Vec::new();
    for affiliate in 0..AFFILIATES as usize {
        let mut own = Vec::new();
        while own.len() < CAMPAIGNS_EACH as usize {
            let offer = popularity.draw(&mut random);
            if !own.contains(&offer) {
                own.push(offer);
            }
        }
        pairs.extend(own.into_iter().map(|offer| (affiliate, offer)));
    }
    pairs
}

async fn create(
    server: &Server,
    noun: &'static str,
    ids: &'static [&'static str],
    what: &'static str,
    forms: Vec<String>,
) -> anyhow::Result<Vec<Vec<u64>>> {
    let (count, path) = (forms.len(), format!("/api/2/{noun}.json"));
    let work = Arc::new(Create { noun, ids, path, forms, key: server.key.clone() });
    Ok(drive(server.address, CONNECTIONS, count, what, &work).await?.kept)
}

/// Creating entities of one kind; the ids of each are kept.
struct Create {
    noun: &'static str,
    ids: &'static [&'static str],
    path: String,
    forms: Vec<String>,
    key: String,
}

impl Work for Create {
    type Kept = Vec<u64>;

    fn write(&self, index: usize, request: &mut Vec<u8>) {
        post(request, &self.path, &self.key, &self.forms[index]);
    }

    fn read(&self, _: usize, answer: &Answer<'_>) -> anyhow::Result<Vec<u64>> {
        let entity = &answer.json()?[self.noun];
        self.ids.iter().map(|id| entity[*id].as_u64().with_context(|| format!("{id} in {entity}"))).collect()
    }
}
