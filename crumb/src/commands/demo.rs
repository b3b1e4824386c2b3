//! `crumb demo`: a sample network, and what to do with it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use app::{App, Chance as _, ChangeError, Clock as _, KeyTerms, create_key};
use clap::Args;
use domain::access::{Caller, Grant, Scope};
use domain::ids::{AffiliateId, CampaignId, CreativeId, KeyId, OfferId};
use domain::network::{CampaignStatus, PartyStatus};
use domain::network_change::{CreateAdvertiser, CreateAffiliate, CreateCampaign, CreateOffer};
use domain::pricing::Rate;
use domain::tokens::UrlTemplate;
use ledger::Location;

use super::{Place, signal, start_log};
use crate::chance::SystemChance;
use crate::clock::SystemClock;
use crate::folder::Folder;
use crate::wiring;

/// Start a server with a sample network on a fresh temporary data folder, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  crumb demo\n  crumb demo --listen 127.0.0.1:9090")]
pub struct Demo {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = tempfile::Builder::new().prefix("crumb-demo-").tempdir()?;
        let place = Place { config: None, data: Some(folder.path().to_owned()) };
        let mut config = place.load(self.listen)?;
        "warn".clone_into(&mut config.log.level);
        start_log(&config)?;
        let running = wiring::start(&config, Arc::new(SystemClock), Arc::new(SystemChance), true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sample = runtime.block_on(make_sample(&running.app, running.address))?;
        let ledger = Location::file(Folder::existing(folder.path())?.ledger()).open()?;
        let random = std::array::from_fn(|_| SystemChance.draw());
        let terms = KeyTerms::of("demo", Grant::of(Scope::Admin));
        let key = create_key(&*ledger, terms, random, SystemClock.now())?.secret;
        show(running.address, &sample, &key, folder.path());
        let ended = running.wait(signal());
        running.stop();
        ended.map(|()| ExitCode::SUCCESS)
    }
}

/// What the printed lines speak of.
struct Sample {
    affiliate_id: AffiliateId,
    offer_id: OfferId,
    creative_id: CreativeId,
    campaign_id: CampaignId,
}

/// The offers: name, which advertiser, payout, revenue.
const OFFERS: [(&str, usize, &str, &str); 4] = [
    ("Auto Insurance Quote", 0, "18.00", "22.00"),
    ("Home Insurance Quote", 0, "24.00", "30.00"),
    ("Language Course", 1, "9.50", "14.00"),
    ("Meal Box", 1, "12.00", "16.50"),
];
const ADVERTISERS: [&str; 2] = ["Harbor Insurance", "Fernweh Media"];
const AFFILIATES: [&str; 5] =
    ["MediaBridge Partners", "Northwind Traffic", "Clover Leads", "Pixel Harbor", "Sunday Mail"];
/// The campaigns: which affiliate, which offer, its own payout.
const CAMPAIGNS: [(usize, usize, Option<&str>); 9] = [
    (0, 0, None),
    (0, 1, Some("26.00")),
    (1, 0, Some("19.50")),
    (1, 2, None),
    (2, 2, Some("10.25")),
    (2, 3, None),
    (3, 3, Some("12.75")),
    (3, 0, Some("17.00")),
    (4, 1, None),
];

async fn make_sample(app: &App, address: SocketAddr) -> anyhow::Result<Sample> {
    let demo = Caller { key_id: KeyId(0), name: "demo".to_owned(), grant: Grant::of(Scope::Admin) };
    let url = format!("http://{address}/demo/landing?click_id={{click_id}}&offer_id={{offer_id}}&s1={{s1}}");
    let rate = |text: &str| Rate::cpa(text.parse().expect("an amount"));
    let (mut advertisers, mut offers, mut affiliates, mut campaigns) = (vec![], vec![], vec![], vec![]);
    for name in ADVERTISERS {
        let create = CreateAdvertiser { name: name.to_owned(), status: PartyStatus::Active };
        advertisers.push(app.create_advertiser(&demo, create).await.map_err(failed)?);
    }
    for (name, advertiser, payout, revenue) in OFFERS {
        let create = CreateOffer {
            payout: rate(payout),
            revenue: rate(revenue),
            ..CreateOffer::new(name, advertisers[advertiser].id, UrlTemplate::parse(&url)?)
        };
        offers.push(app.create_offer(&demo, create).await.map_err(failed)?);
    }
    for name in AFFILIATES {
        let create = CreateAffiliate { name: name.to_owned(), status: PartyStatus::Active, tier: None };
        affiliates.push(app.create_affiliate(&demo, create).await.map_err(failed)?);
    }
    for (affiliate, offer, payout) in CAMPAIGNS {
        let create = CreateCampaign {
            offer_id: offers[offer].id,
            affiliate_id: affiliates[affiliate].id,
            status: CampaignStatus::Active,
            creative_id: None,
            payout: payout.map(|text| text.parse().expect("an amount")),
            revenue: None,
            expires: None,
            redirect: None,
        };
        campaigns.push(app.create_campaign(&demo, create).await.map_err(failed)?);
    }
    Ok(Sample {
        affiliate_id: affiliates[0].id,
        offer_id: offers[0].id,
        creative_id: offers[0].creative_id,
        campaign_id: campaigns[0].id,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: ChangeError) -> anyhow::Error {
    anyhow!("the sample network cannot be made: {error:?}")
}

#[expect(clippy::print_stdout, reason = "this is what the demo is for")]
fn show(address: SocketAddr, sample: &Sample, key: &str, data: &std::path::Path) {
    let Sample { affiliate_id, offer_id, creative_id, campaign_id } = sample;
    println!(
        "\
listening on http://{address}

Crumb demo: 2 advertisers, 4 offers, 5 affiliates, 9 campaigns. Data: {data} (removed on Ctrl-C)

1. Be a visitor. Open this tracking link in a browser; the demo shop shows the click id it was given:

   http://{address}/?a={affiliate_id}&c={creative_id}&s1=banner_300x250

   or on the command line, keeping the id:

   CLICK=$(curl -s -o /dev/null -w '%{{redirect_url}}' 'http://{address}/?a={affiliate_id}&c={creative_id}&s1=banner_300x250' | sed 's/.*click_id=\\([^&]*\\).*/\\1/'); echo $CLICK

2. Get Click: it is readable at once.

   curl 'http://{address}/api/2/click.json?api_key={key}&click_id='$CLICK

3. Record Conversion: be the shop. Twice the same call is still one conversion.

   curl 'http://{address}/api/2/conversion.json?api_key={key}&click_id='$CLICK'&offer_id={offer_id}&payout=18.00&revenue=22.00&unique_id=ORD-98765'

4. Get Conversions: today's.

   curl 'http://{address}/api/2/conversions.json?api_key={key}&start_date='$(date -u +%F)'&end_date='$(date -u +%F)'&offer_id={offer_id}'

What to try next
   pause the campaign, then follow the link again:
   curl -X POST 'http://{address}/api/2/update_campaign.json?api_key={key}' -d 'campaign_id={campaign_id}&campaign_status=paused'
   list the network:  curl 'http://{address}/api/2/campaigns.json?api_key={key}'
   watch it:          curl http://{address}/metrics

Ctrl-C stops the demo.",
        data = data.display()
    );
}
