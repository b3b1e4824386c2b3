//! A click: decide where it goes, make it durable, then send the visitor on. It awaits nothing but
//! the journal.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::PoisonError;

use domain::click::{Click, Country};
use domain::ids::{CampaignId, ClickId};
use domain::routing::{Link, Route, Unattributable, route};
use domain::tokens::Token;
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
    /// The device id, as sent.
    pub udid: String,
    /// Parameters without a field of their own, as sent.
    pub extra_query: String,
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
        let location = route.redirect.map(|url| url.expand(|token| value(token, &route, visit, None)));
        Ok(Sent { click_id: None, location })
    }

    fn submit_click(&self, visit: &Visit) -> Result<(journal::Seq, Sent), NotSent> {
        if self.archive.recent_bytes() > self.settings.recent_bytes_max {
            return Err(NotSent::Overloaded);
        }
        let now = self.clock.now();
        let network = self.network.load();
        let route = self.route(&network, visit, now)?;
        let random = self.chance.draw();
        let mut id = ClickId::MIN;
        // The id is minted under the journal's lock: the order of the journal is the order of the ids.
        let appended = self.journal.append(|bytes| {
            id = self.mint.lock().unwrap_or_else(PoisonError::into_inner).mint(now, random);
            archive::record::encode(&click(id, &route, visit), bytes);
        });
        let seq = appended.map_err(|error| match error {
            AppendError::Full { .. } => NotSent::Overloaded,
            AppendError::Unavailable | AppendError::TooLong { .. } => NotSent::Unavailable,
        })?;
        let location = route.redirect.map(|url| url.expand(|token| value(token, &route, visit, Some(id))));
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

fn click(id: ClickId, route: &Route<'_>, visit: &Visit) -> Click {
    let Visit { link: _, sub_ids, udid, extra_query, ip_address, user_agent, referrer } = visit.clone();
    Click {
        id,
        offer_id: route.offer.id,
        advertiser_id: route.offer.advertiser_id,
        affiliate_id: route.affiliate.id,
        campaign_id: route.campaign.map(|it| it.id),
        creative_id: route.creative_id,
        disposition: route.disposition,
        country: Country::UNKNOWN,
        ip_address,
        sub_ids,
        user_agent,
        referrer,
        udid,
        extra_query,
        redirect_url: route.redirect.map(|url| url.as_str().to_owned()).unwrap_or_default(),
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
