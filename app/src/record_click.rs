//! A click: decide where it goes, make it durable, then send the visitor on. It awaits nothing but
//! the journal.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::PoisonError;

use domain::click::{Click, Country, Disposition};
use domain::deep_link;
use domain::ids::{CampaignId, ClickId};
use domain::network::Network;
use domain::routing::{Link, Route, Unattributable, route};
use domain::tokens::Token;
use journal::AppendError;

use crate::{App, Lane};

/// A visitor at a tracking link.
#[derive(Clone, Debug)]
pub struct Visit {
    /// What the link names; none when it cannot be read.
    pub link: Option<Link>,
    /// Whether the link was followed on a tracking domain; what a server records always is.
    pub known_domain: bool,
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
}

/// A click that is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The click; none when it was only looked at.
    pub click_id: Option<ClickId>,
    /// Where to; none means the built-in page.
    pub location: Option<String>,
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

impl App {
    /// Records a click and says where it goes. On return the click is durable and readable.
    pub async fn record_click(&self, lane: &Lane, visit: Visit) -> Result<Sent, NotSent> {
        let (seq, sent) = self.submit_click(visit).inspect_err(|not_sent| self.count_not_sent(*not_sent))?;
        let durable = lane.durable(seq).await.map_err(|journal::Failed| NotSent::Unavailable);
        durable.inspect_err(|not_sent| self.count_not_sent(*not_sent))?;
        Ok(sent)
    }

    /// Where a visit would go, recording nothing: what `HEAD` asks.
    pub fn preview_click(&self, visit: Visit) -> Result<Sent, NotSent> {
        let network = self.network.load();
        let route = self.route(&network, &visit)?;
        let (click, deep_link) = self.click(&route, visit);
        Ok(Sent { click_id: None, location: location(&route, &click, &deep_link) })
    }

    fn submit_click(&self, visit: Visit) -> Result<(journal::Seq, Sent), NotSent> {
        if self.archive.recent_bytes() > self.settings.recent_bytes_max {
            return Err(NotSent::Overloaded);
        }
        let network = self.network.load();
        let route = self.route(&network, &visit)?;
        let (mut click, deep_link) = self.click(&route, visit);
        let (now, random) = (self.clock.now(), self.chance.draw());
        // The id is minted under the journal's lock: the order of the journal is the order of the ids.
        let appended = self.journal.append(|bytes| {
            click.id = self.mint.lock().unwrap_or_else(PoisonError::into_inner).mint(now, random);
            archive::record::encode(&click, bytes);
        });
        let seq = appended.map_err(|error| match error {
            AppendError::Full { .. } => NotSent::Overloaded,
            AppendError::Unavailable | AppendError::TooLong { .. } => NotSent::Unavailable,
        })?;
        let counter = if route.disposition.reached_the_offer() {
            &self.metrics.clicks_accepted
        } else {
            &self.metrics.clicks_refused
        };
        counter.inc();
        Ok((seq, Sent { click_id: Some(click.id), location: location(&route, &click, &deep_link) }))
    }

    fn route<'n>(&'n self, network: &'n Network, visit: &Visit) -> Result<Route<'n>, NotSent> {
        let link = visit.link.ok_or(NotSent::Unattributable(Unattributable::Incomplete))?;
        let now = self.clock.now();
        let global_redirect = self.settings.global_redirect.as_ref();
        let mut route = route(network, link, global_redirect, now).map_err(NotSent::Unattributable)?;
        if !visit.known_domain {
            (route.disposition, route.redirect) = (Disposition::UnknownDomain, global_redirect);
        }
        Ok(route)
    }

    /// The click a visit becomes, still without its id, and the deep link it asks for.
    fn click(&self, route: &Route<'_>, visit: Visit) -> (Click, String) {
        let Visit {
            link: _,
            known_domain: _,
            sub_ids,
            deep_link,
            udid,
            extra_query,
            country,
            ip_address,
            user_agent,
            referrer,
        } = visit;
        let mut click = Click {
            offer_id: route.offer.id,
            advertiser_id: route.offer.advertiser_id,
            affiliate_id: route.affiliate.id,
            campaign_id: route.campaign.map(|it| it.id),
            creative_id: route.creative_id,
            disposition: route.disposition,
            country: country.or_else(|| Some(self.countries.of(ip_address?))).unwrap_or_default(),
            ip_address: ip_address.and_then(|address| self.settings.address_policy.apply(address)),
            sub_ids,
            user_agent,
            referrer,
            udid,
            extra_query,
            redirect_url: route.redirect.map(|url| url.as_str().to_owned()).unwrap_or_default(),
            ..Click::blank(ClickId::MIN)
        };
        if resolve_deep_link(route, &click, &deep_link).is_some() {
            click.redirect_url.clone_from(&deep_link);
        }
        (click, deep_link)
    }

    fn count_not_sent(&self, not_sent: NotSent) {
        match not_sent {
            NotSent::Unattributable(_) => self.metrics.clicks_unattributable.inc(),
            NotSent::Overloaded | NotSent::Unavailable => self.metrics.clicks_unavailable.inc(),
        };
    }
}

/// Where the visitor is sent, with every token expanded.
fn location(route: &Route<'_>, click: &Click, deep_link: &str) -> Option<String> {
    let landing = || Some(route.redirect?.expand(|token| value(token, click)));
    resolve_deep_link(route, click, deep_link).or_else(landing)
}

/// The affiliate's own destination, where the click reached the offer and the offer permits it.
fn resolve_deep_link(route: &Route<'_>, click: &Click, deep_link: &str) -> Option<String> {
    let permitted = route.disposition.reached_the_offer() && route.offer.allow_deep_link;
    if deep_link.is_empty() || !permitted {
        return None;
    }
    deep_link::resolve(deep_link, &route.offer.deep_link_hosts, |token| value(token, click))
}

/// A token's value at the time of the click; before the click has its id that is empty.
fn value(token: Token, click: &Click) -> Cow<'_, str> {
    match token {
        Token::AffiliateId => click.affiliate_id.to_string().into(),
        Token::OfferId => click.offer_id.to_string().into(),
        Token::CampaignId => click.campaign_id.as_ref().map(CampaignId::to_string).unwrap_or_default().into(),
        Token::CreativeId => click.creative_id.to_string().into(),
        Token::SubId(index) => click.sub_ids[usize::from(index)].as_str().into(),
        Token::ClickId if click.id == ClickId::MIN => Cow::Borrowed(""),
        Token::ClickId => click.id.to_string().into(),
        Token::Udid => click.udid.as_str().into(),
        Token::ClickIp => click.ip_address.map(|it| it.to_string()).unwrap_or_default().into(),
        // Known only once there is a conversion, or a visitor with a cookie.
        Token::VisitorId
        | Token::ConversionId
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
