//! A click: decide where it goes, make it durable, then send the visitor on. It awaits nothing but
//! the journal.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::PoisonError;

use domain::click::{Click, Country};
use domain::deep_link;
use domain::ids::{CampaignId, ClickId};
use domain::routing::{Link, Route, Unattributable, route};
use domain::tokens::{Token, UrlTemplate};
use jiff::Timestamp;
use journal::AppendError;

use crate::{App, Lane};

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
    /// The visitor's country, where the caller says so.
    pub country: Country,
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
        let (seq, sent) = self.submit_click(&visit).inspect_err(|not_sent| self.count_not_sent(*not_sent))?;
        let durable = lane.durable(seq).await.map_err(|journal::Failed| NotSent::Unavailable);
        durable.inspect_err(|not_sent| self.count_not_sent(*not_sent))?;
        Ok(sent)
    }

    /// Where a visit would go, recording nothing: what `HEAD` asks.
    pub fn preview_click(&self, visit: &Visit) -> Result<Sent, NotSent> {
        let network = self.network.load();
        let route = self.route(&network, visit, self.clock.now())?;
        Ok(Sent { click_id: None, location: location(&route, visit, None) })
    }

    fn submit_click(&self, visit: &Visit) -> Result<(journal::Seq, Sent), NotSent> {
        if self.archive.recent_bytes() > self.settings.recent_bytes_max {
            return Err(NotSent::Overloaded);
        }
        let now = self.clock.now();
        let network = self.network.load();
        let route = self.route(&network, visit, now)?;
        let redirect_url = if deep_link(&route, visit, None).is_some() {
            visit.deep_link.as_str()
        } else {
            route.redirect.map(UrlTemplate::as_str).unwrap_or_default()
        };
        let random = self.chance.draw();
        let mut id = ClickId::MIN;
        // The id is minted under the journal's lock: the order of the journal is the order of the ids.
        let appended = self.journal.append(|bytes| {
            id = self.mint.lock().unwrap_or_else(PoisonError::into_inner).mint(now, random);
            archive::record::encode(&click(id, &route, visit, redirect_url), bytes);
        });
        let seq = appended.map_err(|error| match error {
            AppendError::Full { .. } => NotSent::Overloaded,
            AppendError::Unavailable | AppendError::TooLong { .. } => NotSent::Unavailable,
        })?;
        let location = location(&route, visit, Some(id));
        let counter = if route.disposition.reached_the_offer() {
            &self.metrics.clicks_accepted
        } else {
            &self.metrics.clicks_refused
        };
        counter.inc();
        Ok((seq, Sent { click_id: Some(id), location }))
    }

    fn route<'n>(
        &'n self,
        network: &'n domain::network::Network,
        visit: &Visit,
        now: Timestamp,
    ) -> Result<Route<'n>, NotSent> {
        let link = visit.link.ok_or(NotSent::Unattributable(Unattributable::Incomplete))?;
        route(network, link, self.settings.global_redirect.as_ref(), now).map_err(NotSent::Unattributable)
    }

    fn count_not_sent(&self, not_sent: NotSent) {
        match not_sent {
            NotSent::Unattributable(_) => self.metrics.clicks_unattributable.inc(),
            NotSent::Overloaded | NotSent::Unavailable => self.metrics.clicks_unavailable.inc(),
        };
    }
}

/// Where the visitor is sent, with every token expanded.
fn location(route: &Route<'_>, visit: &Visit, id: Option<ClickId>) -> Option<String> {
    let landing = || Some(route.redirect?.expand(|token| value(token, route, visit, id)));
    deep_link(route, visit, id).or_else(landing)
}

/// The affiliate's own destination, where the click reached the offer and the offer permits it.
fn deep_link(route: &Route<'_>, visit: &Visit, id: Option<ClickId>) -> Option<String> {
    let permitted = route.disposition.reached_the_offer() && route.offer.allow_deep_link;
    if visit.deep_link.is_empty() || !permitted {
        return None;
    }
    deep_link::resolve(&visit.deep_link, &route.offer.deep_link_hosts, |token| value(token, route, visit, id))
}

fn click(id: ClickId, route: &Route<'_>, visit: &Visit, redirect_url: &str) -> Click {
    let Visit {
        link: _,
        deep_link: _,
        sub_ids,
        udid,
        extra_query,
        country,
        ip_address,
        user_agent,
        referrer,
    } = visit.clone();
    Click {
        id,
        offer_id: route.offer.id,
        advertiser_id: route.offer.advertiser_id,
        affiliate_id: route.affiliate.id,
        campaign_id: route.campaign.map(|it| it.id),
        creative_id: route.creative_id,
        disposition: route.disposition,
        country,
        ip_address,
        sub_ids,
        user_agent,
        referrer,
        udid,
        extra_query,
        redirect_url: redirect_url.to_owned(),
    }
}

fn value<'v>(token: Token, route: &Route<'_>, visit: &'v Visit, id: Option<ClickId>) -> Cow<'v, str> {
    match token {
        Token::AffiliateId => route.affiliate.id.to_string().into(),
        Token::OfferId => route.offer.id.to_string().into(),
        Token::CampaignId => {
            route.campaign.map(|it| it.id).as_ref().map(CampaignId::to_string).unwrap_or_default().into()
        }
        Token::CreativeId => route.creative_id.to_string().into(),
        Token::SubId(index) => visit.sub_ids[usize::from(index)].as_str().into(),
        Token::ClickId => id.as_ref().map(ClickId::to_string).unwrap_or_default().into(),
        Token::Udid => visit.udid.as_str().into(),
        Token::ClickIp => visit.ip_address.map(|it| it.to_string()).unwrap_or_default().into(),
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
