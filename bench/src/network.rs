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
/// How the place begins where visitors go whom an offer's rule refuses.
pub const REFUSED_URL: &str = "https://elsewhere.example/";
/// The rest of it.
const REFUSED_QUERY: &str = "refused?click_id={click_id}&offer_id={offer_id}&s1={s1}";
/// The countries each offer takes visitors from, as a console lists them. Nine in ten addresses are there.
const COUNTRIES: &str = "AE,AL,AM,AR,AT,AU,AZ,BA,BD,BE,BG,BH,BO,BR,BY,CA,CH,CI,CL,CM,CO,CR,CY,CZ,DE,DK,DO,DZ,EC,\
    EE,EG,ES,ET,FI,FR,GB,GE,GH,GR,GT,HK,HN,HR,HU,ID,IE,IL,IN,IQ,IS,IT,JM,JO,JP,KE,KG,KH,KR,KW,KZ,LA,LB,LK,LT,\
    LU,LV,MA,MD,ME,MG,MK,MM,MN,MT,MU,MX,MY,NG,NI,NL,NO,NP,NZ,OM,PA,PE,PH,PK,PL,PR,PT,PY,QA,RO,RS,SA,SE,SG,SI,\
    SK,SN,SV,TH,TN,TR,TT,TW,TZ,UA,UG,US,UY,UZ,VE,VN,ZA,ZM,ZW";

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
    binary: PathBuf,
    country_file: PathBuf,
    folder: PathBuf,
    key: String,
    campaigns: Arc<Vec<Campaign>>,
}

impl Template {
    /// Makes the network with a server of its own.
    pub async fn make(binary: &Path, country_file: &Path, folder: &Path) -> anyhow::Result<Self> {
        let options = Options::new(binary, folder);
        let create = ["key", "create", "--name", "bench", "--data"];
        let key = output(std::process::Command::new(binary).args(create).arg(folder))?.trim().to_owned();
        let server = Server::start(&options, key.clone())?;
        let campaigns = Arc::new(make_network(&server).await?);
        server.stop()?;
        let [binary, country_file, folder] = [binary, country_file, folder].map(Path::to_owned);
        Ok(Self { binary, country_file, folder, key, campaigns })
    }

    /// A server on `folder` that looks up each visitor's country, at the address a proxy names.
    pub fn options(&self, folder: &Path) -> Options {
        Options::new(&self.binary, folder)
            .with("CRUMB_TRACKING__COUNTRY_FILE", &self.country_file)
            .with("CRUMB_SERVER__TRUSTED_PROXIES", "[\"127.0.0.1\"]")
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
    let url = form_value(OFFER_URL);
    let offers = (0..OFFERS)
        .map(|it| format!("offer_name=Offer+{it}&advertiser_id={advertiser}&offer_url={url}&{price}"))
        .collect();
    let offers = create(server, "offer", &["offer_id", "creative_id"], "making offers", offers).await?;
    steer(server, &offers).await?;
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

/// Gives every offer a targeting rule, and a click cap that is never reached.
async fn steer(server: &Server, offers: &[Vec<u64>]) -> anyhow::Result<()> {
    let elsewhere = form_value(&format!("{REFUSED_URL}{REFUSED_QUERY}"));
    let of_each = |text: &str| offers.iter().map(|ids| format!("offer_id={}&{text}", ids[0])).collect();
    let rules = of_each(&format!("rule_type=allow&country={COUNTRIES}&redirect_url={elsewhere}"));
    create(server, "rule", &["rule_id"], "making rules", rules).await?;
    let caps = of_each("cap_type=click&interval=daily&limit=1000000000");
    create(server, "cap", &["cap_id"], "making caps", caps).await.map(drop)
}

/// Makes postbacks of affiliates, each of an affiliate, called at a URL for such a cause.
pub async fn make_postbacks(
    server: &Server,
    postbacks: impl Iterator<Item = (u64, String, &'static str)>,
) -> anyhow::Result<()> {
    let form = |(affiliate, url, fire_on): (u64, String, _)| {
        let url = form_value(&url);
        format!("affiliate_id={affiliate}&offer_id=0&postback_url={url}&fire_on={fire_on}")
    };
    let path = "/api/2/affiliate_postback.json".to_owned();
    let forms = postbacks.map(form).collect();
    create_at(server, path, "postback", &["postback_id"], "making postbacks", forms).await.map(drop)
}

/// A URL as a form holds it.
fn form_value(url: &str) -> String {
    url.replace('{', "%7B").replace('}', "%7D").replace('&', "%26")
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
    create_at(server, format!("/api/2/{noun}.json"), noun, ids, what, forms).await
}

async fn create_at(
    server: &Server,
    path: String,
    noun: &'static str,
    ids: &'static [&'static str],
    what: &'static str,
    forms: Vec<String>,
) -> anyhow::Result<Vec<Vec<u64>>> {
    let count = forms.len();
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
