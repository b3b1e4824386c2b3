//! A click: decide where it goes, make it durable, then send the visitor on. It awaits nothing but
//! the journal, except where an offer thanks visitors who have converted.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::attribution::Footprint;
use domain::caps::Preview;
use domain::click::{Click, Country, Disposition};
use domain::deep_link;
use domain::ids::{CampaignId, ClickId, OfferId};
use domain::network::{Network, Offer};
use domain::routing::{Decision, Link, Situation, Target, Unattributable};
use domain::targeting::Visitor;
use domain::tokens::{Token, UrlTemplate};
use jiff::Timestamp;
use journal::AppendError;

use crate::agents::Agent;
use crate::failure::blocking;
use crate::places::Place;
use crate::sequence::Sequence;
use crate::visitors::Cookies;
use crate::{App, Lane};

/// How long a click waits to learn whether its visitor has converted before it goes the usual way.
const CONVERTED_WITHIN: Duration = Duration::from_millis(100);

/// A visitor at a tracking link.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What the link names; none when it cannot be read.
    pub link: Option<Link>,
    /// The sub ids, as sent.
    pub sub_ids: [String; 5],
    /// The destination the affiliate wishes for (`ckmrdr`), as sent.
    pub deep_link: String,
    /// The device id, as sent.
    pub udid: String,
    /// Parameters without a field of their own, as sent.
    pub extra_query: String,
    /// The visitor's country, where the caller says so; else its address tells.
    pub country: Option<Country>,
    /// The visitor's address.
    pub ip_address: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The `Referer` header.
    pub referrer: String,
    /// The preferred language: the first subtag, in lower case, or empty.
    pub language: String,
    /// The `Cookie` header, where cookies are used.
    pub cookies: String,
    /// Whether the link was followed on a tracking domain; what a server records always is.
    pub known_domain: bool,
}

/// A click that is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The click; none when it was only looked at.
    pub click_id: Option<ClickId>,
    /// Where to; none means the built-in page.
    pub location: Option<String>,
    /// What the visitor's browser is to remember.
    pub remember: Remember,
}

/// What a visitor's browser is to remember.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remember {
    /// The visitor's id, where the browser does not know it yet.
    pub visitor_id: Option<ClickId>,
    /// The footprint on an offer, and for how many seconds.
    pub footprint: Option<(OfferId, Footprint, u32)>,
}

/// Why nobody was sent anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotSent {
    /// It cannot be attributed, so it is no click.
    Unattributable(Unattributable),
    /// As much is waiting as may wait.
    Overloaded,
    /// It could not be made durable.
    Unavailable,
}

/// What is known of a visitor, beside what the link says.
struct Known {
    agent: Arc<Agent>,
    place: Place,
    /// The address, as far as it is kept.
    ip_address: Option<IpAddr>,
    /// The visitor's first click, where this is not it.
    visitor_id: Option<ClickId>,
    footprint: Option<Footprint>,
}

impl App {
    /// Records a click and says where it goes. On return the click is durable and readable.
    pub async fn record_click(&self, lane: &Lane, visit: Visit) -> Result<Sent, NotSent> {
        let has_converted = self.has_converted(&visit).await;
        let submitted = self.submit_click(&visit, has_converted);
        let (seq, disposition, sent) = submitted.inspect_err(|not_sent| self.count_not_sent(*not_sent))?;
        let durable = lane.durable(seq).await.map_err(|journal::Failed| NotSent::Unavailable);
        durable.inspect_err(|not_sent| self.count_not_sent(*not_sent))?;
        self.count_sent(disposition);
        Ok(sent)
    }

    /// Where a visit would go, recording nothing: what `HEAD` asks.
    pub async fn preview_click(&self, visit: Visit) -> Result<Sent, NotSent> {
        let has_converted = self.has_converted(&visit).await;
        let network = self.network.load();
        let target = target(&network, visit.link)?;
        let now = self.clock.now();
        let known = self.known(&target, &visit, now);
        let situation = self.situation(&visit, &known, has_converted, self.chance.draw(), now);
        let decision = target.route(situation).settle(&mut Preview(&mut self.sequence().caps), now);
        let click = click(&target, &decision, &visit, &known, ClickId::MIN);
        let location = location(&target, &decision, &click, &visit.deep_link);
        Ok(Sent { click_id: None, location, remember: Remember::default() })
    }

    fn submit_click(
        &self,
        visit: &Visit,
        has_converted: bool,
    ) -> Result<(journal::Seq, Disposition, Sent), NotSent> {
        if self.archive.recent_bytes() > self.settings.recent_bytes_max {
            return Err(NotSent::Overloaded);
        }
        let network = self.network.load();
        let target = target(&network, visit.link)?;
        let (now, random) = (self.clock.now(), self.chance.draw());
        let known = self.known(&target, visit, now);
        let situation = self.situation(visit, &known, has_converted, random, now);
        let route = target.route(situation);
        let mut recorded = None;
        // Decided under the journal's lock: the order of the records is the order of the ids, and of the
        // clicks that caps count.
        let appended = self.journal.append(|bytes| {
            let sequence = &mut *self.sequence();
            let id = sequence.mint.mint(now, random);
            let decision = route.settle(&mut sequence.caps, id.time());
            let mut click = click(&target, &decision, visit, &known, id);
            let footprint = self.leave_footprint(sequence, target.offer, &mut click, known.footprint);
            archive::record::encode(&click, bytes);
            recorded = Some((click, decision, footprint));
        });
        if let (Err(_), Some((click, decision, _))) = (&appended, &recorded)
            && let Some((offer_id, campaign_id)) = decision.taken
        {
            self.sequence().caps.give_back(offer_id, campaign_id, click.id.time());
        }
        let seq = appended.map_err(|error| match error {
            AppendError::Full { .. } => NotSent::Overloaded,
            AppendError::Unavailable | AppendError::TooLong { .. } => NotSent::Unavailable,
        })?;
        let (click, decision, footprint) = recorded.expect("a queued record was encoded");
        let remember = Remember {
            visitor_id: click.visitor_id.is_none().then_some(click.id),
            footprint: footprint.map(|it| (click.offer_id, it, target.offer.session_seconds)),
        };
        let location = location(&target, &decision, &click, &visit.deep_link);
        Ok((seq, click.disposition, Sent { click_id: Some(click.id), location, remember }))
    }

    fn known(&self, target: &Target<'_>, visit: &Visit, now: Timestamp) -> Known {
        let cookies = Cookies(&visit.cookies);
        let place = visit.ip_address.map(|address| self.places.of(address)).unwrap_or_default();
        let country = visit.country.unwrap_or(place.country);
        Known {
            agent: self.agents.of(&visit.user_agent),
            place: Place { country, ..place },
            ip_address: visit.ip_address.and_then(|address| self.settings.address_policy.apply(address)),
            visitor_id: cookies.visitor_id(now),
            footprint: cookies.footprint(target.offer.id),
        }
    }

    fn situation<'n, 's>(
        &'n self,
        visit: &'s Visit,
        known: &'s Known,
        has_converted: bool,
        random: u64,
        now: Timestamp,
    ) -> Situation<'n, 's>
    where
        'n: 's,
    {
        Situation {
            now,
            zone: &self.settings.zone,
            global_redirect: self.settings.global_redirect.as_ref(),
            visitor: Visitor {
                country: known.place.country,
                region: &known.place.region,
                asn: known.place.asn,
                device: known.agent.device,
                os: &known.agent.os,
                browser: &known.agent.browser,
                language: &visit.language,
                referrer: &visit.referrer,
                sub_ids: &visit.sub_ids,
                // A new visitor's id is this click's own, with these random bits.
                seed: known.visitor_id.map_or(domain::ids::random_bits(random), ClickId::random_bits),
            },
            on_tracking_domain: visit.known_domain,
            has_converted,
        }
    }

    /// Notes that a click has reached its offer, and calls it a duplicate where it is the same again as the
    /// one before: as the browser remembers, or else this program. No other click can come between.
    fn leave_footprint(
        &self,
        sequence: &mut Sequence,
        offer: &Offer,
        click: &mut Click,
        in_cookie: Option<Footprint>,
    ) -> Option<Footprint> {
        if !click.disposition.reached_the_offer() {
            return None;
        }
        let footprints = &mut sequence.footprints;
        let key = (in_cookie.is_none() && footprints.is_on())
            .then(|| footprints.key(offer.id, click.ip_address, &click.user_agent));
        let in_memory = key.and_then(|key| footprints.get(key, click.date()));
        if let Some((visitor_id, _)) = in_memory {
            click.visitor_id.get_or_insert(visitor_id);
        }
        let before = in_cookie.or(in_memory.map(|(_, footprint)| footprint));
        let throw_out_seconds = offer.throw_out_seconds.unwrap_or(self.settings.throw_out_seconds);
        if before.is_some_and(|before| before.is_repeated_by(click, throw_out_seconds)) {
            click.disposition = Disposition::Duplicate;
        }
        let footprint = Footprint::after(before.as_ref(), offer, click);
        if let Some(key) = key {
            footprints.set(key, click.visitor_id.unwrap_or(click.id), footprint);
        }
        Some(footprint)
    }

    /// Whether the visitor has converted on the offer, where that makes a difference. A ledger that
    /// does not answer in time makes none.
    async fn has_converted(&self, visit: &Visit) -> bool {
        match self.clicks_to_thank_for(visit) {
            // In a box of its own: the way of all other clicks stays small.
            Some(click_ids) => Box::pin(self.has_one_converted(click_ids)).await,
            None => false,
        }
    }

    async fn has_one_converted(&self, click_ids: [ClickId; 2]) -> bool {
        let ledger = Arc::clone(&self.ledger);
        let asked = blocking(move || Ok(ledger.find_conversions_of(&click_ids)?));
        match tokio::time::timeout(CONVERTED_WITHIN, asked).await {
            Ok(Ok(found)) => found.iter().any(Option::is_some),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// The visitor's clicks on an offer that thanks those who have converted.
    fn clicks_to_thank_for(&self, visit: &Visit) -> Option<[ClickId; 2]> {
        if visit.cookies.is_empty() && self.settings.cookieless.is_zero() {
            return None;
        }
        let network = self.network.load();
        let offer = Target::of(&network, visit.link?).ok()?.offer;
        offer.thank_you_url.as_ref()?;
        let footprint = Cookies(&visit.cookies).footprint(offer.id).or_else(|| {
            let address = visit.ip_address.and_then(|it| self.settings.address_policy.apply(it));
            let footprints = &mut self.sequence().footprints;
            let key = footprints.is_on().then(|| footprints.key(offer.id, address, &visit.user_agent))?;
            footprints.get(key, self.clock.now()).map(|(_, footprint)| footprint)
        })?;
        Some([footprint.credited, footprint.last])
    }

    fn count_sent(&self, disposition: Disposition) {
        if disposition.reached_the_offer() {
            self.metrics.clicks_accepted.inc();
        } else {
            self.metrics.clicks_refused.inc();
        }
    }

    fn count_not_sent(&self, not_sent: NotSent) {
        match not_sent {
            NotSent::Unattributable(_) => self.metrics.clicks_unattributable.inc(),
            NotSent::Overloaded | NotSent::Unavailable => self.metrics.clicks_unavailable.inc(),
        };
    }
}

fn target(network: &Network, link: Option<Link>) -> Result<Target<'_>, NotSent> {
    let link = link.ok_or(NotSent::Unattributable(Unattributable::Incomplete))?;
    Target::of(network, link).map_err(NotSent::Unattributable)
}

/// The click a visit becomes.
fn click(target: &Target<'_>, decision: &Decision<'_>, visit: &Visit, known: &Known, id: ClickId) -> Click {
    let mut click = Click {
        id,
        offer_id: target.offer.id,
        advertiser_id: target.offer.advertiser_id,
        affiliate_id: target.affiliate.id,
        campaign_id: target.campaign.map(|it| it.id),
        creative_id: target.creative_id,
        landing_page_id: decision.landing_page_id,
        redirect_offer_id: decision.redirect_offer_id,
        disposition: decision.disposition,
        rules: decision.trail.clone(),
        visitor_id: known.visitor_id,
        country: known.place.country,
        region: known.place.region.clone(),
        asn: known.place.asn,
        device: known.agent.device,
        os: known.agent.os.clone(),
        browser: known.agent.browser.clone(),
        language: visit.language.clone(),
        ip_address: known.ip_address,
        sub_ids: visit.sub_ids.clone(),
        user_agent: visit.user_agent.clone(),
        referrer: visit.referrer.clone(),
        udid: visit.udid.clone(),
        extra_query: visit.extra_query.clone(),
        redirect_url: decision.url.map(|url| url.as_str().to_owned()).unwrap_or_default(),
    };
    if resolve_deep_link(target, &click, &visit.deep_link).is_some() {
        click.redirect_url.clone_from(&visit.deep_link);
    }
    click
}

/// Where the visitor is sent, with every token expanded.
fn location(target: &Target<'_>, decision: &Decision<'_>, click: &Click, deep_link: &str) -> Option<String> {
    let landing = || Some(decision.url?.expand(|token| value(token, click)));
    resolve_deep_link(target, click, deep_link).or_else(landing)
}

/// The affiliate's own destination, where the click reached the offer and the offer permits it.
fn resolve_deep_link(target: &Target<'_>, click: &Click, deep_link: &str) -> Option<String> {
    let permitted = click.disposition.reached_the_offer() && target.offer.allow_deep_link;
    if deep_link.is_empty() || !permitted {
        return None;
    }
    deep_link::resolve(deep_link, &target.offer.deep_link_hosts, |token| value(token, click))
}

/// Where a click was sent, with every token expanded as far as its value is still kept; none is the built-in page.
pub(crate) fn expanded(click: &Click) -> Option<String> {
    let template = UrlTemplate::lenient(&click.redirect_url).ok();
    let url =
        template.map_or_else(|| click.redirect_url.clone(), |it| it.expand(|token| value(token, click)));
    Some(url).filter(|it| !it.is_empty())
}

/// A token's value at the time of the click; before the click has its id that is empty.
fn value(token: Token, click: &Click) -> Cow<'_, str> {
    match token {
        Token::AffiliateId => click.affiliate_id.to_string().into(),
        Token::OfferId => click.offer_id.to_string().into(),
        Token::CampaignId => click.campaign_id.as_ref().map(CampaignId::to_string).unwrap_or_default().into(),
        Token::CreativeId => click.creative_id.to_string().into(),
        Token::SubId(index) => click.sub_ids[usize::from(index)].as_str().into(),
        Token::ClickId | Token::VisitorId if click.id == ClickId::MIN => Cow::Borrowed(""),
        Token::ClickId => click.id.to_string().into(),
        Token::VisitorId => click.visitor_id.unwrap_or(click.id).to_string().into(),
        Token::Udid => click.udid.as_str().into(),
        Token::ClickIp => click.ip_address.map(|it| it.to_string()).unwrap_or_default().into(),
        // Known only once there is a conversion.
        Token::ConversionId
        | Token::UniqueId
        | Token::OrderId
        | Token::Payout
        | Token::Amount
        | Token::ConversionStatus
        | Token::EventId
        | Token::Adv(_)
        | Token::ConversionIp
        | Token::UnixTime
        | Token::ConversionTime => Cow::Borrowed(""),
    }
}
