//! A conversion call, and what becomes of it. [`judge`] is the whole decision, in the order users may
//! rely on; the ledger gathers the facts inside its transaction and writes what it says.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::adjustment::{Standing, Worth};
use crate::caps::{AtCap, Cap, Counted, Left, Window, hold};
use crate::click::{Click, Country, Device, Disposition};
use crate::conversion_request::SentEvent;
use crate::details::{Details, Door};
use crate::event::Repeats;
use crate::ids::{
    AdvertiserId, AffiliateId, BatchId, CampaignId, CapId, ClickId, ConversionId, CreativeId, EventId, KeyId,
    OfferId,
};
use crate::money::{Amount, Currency, ExchangeRate};
use crate::network::{Approval, Campaign, DEFAULT_EVENT, Network, Offer, OfferStatus, PartyStatus, Pricing};
use crate::pricing::{
    Offered, PriceError, PriceRule, PriceScope, PriceSource, PriceType, Rate, Side, Subject, price,
};
use crate::report::host_of;
use crate::status::ConversionStatus;
use crate::suppression::{Fingerprint, OnSuppressed};

/// An inbound request to record a conversion, read and valid in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversionCall {
    /// The key it came with; 0 where it needed none.
    pub key_id: KeyId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The batch it belongs to.
    pub batch_id: Option<BatchId>,
    /// The click, as sent: opaque text of at most 100 characters.
    pub click_id: String,
    /// The offer the caller says it belongs to.
    pub offer_id: OfferId,
    /// What it says of its event.
    pub event: SentEvent,
    /// What kind of conversion that is on the offer; none means an event nobody knows there.
    pub event_id: Option<EventId>,
    /// The advertiser's transaction id; empty when none was sent.
    pub unique_id: String,
    /// The advertiser's order reference.
    pub order_id: String,
    /// `adv1` to `adv5`.
    pub adv: [String; 5],
    /// What the caller says the affiliate gets. Whether it may say so has been checked.
    pub payout: Option<Amount>,
    /// What the caller says the advertiser owes.
    pub revenue: Option<Amount>,
    /// The sale's total.
    pub amount: Option<Amount>,
    /// CAKE's `p`: the amount where a percentage applies, else the revenue.
    pub received: Option<Amount>,
    /// When it happened.
    pub conversion_date: Timestamp,
    /// Whether the click's age is measured at the conversion's date instead of at receipt. Whether the
    /// caller may ask for that has been checked.
    pub is_backfill: bool,
    /// Whether postbacks tell of it.
    pub is_told: bool,
    /// Whether a buyer's browser waits for the answer, which can then carry its affiliate's own pixels.
    pub in_browser: bool,
    /// Whom suppression lists may know it by.
    pub fingerprints: Vec<Fingerprint>,
    /// The call as it came, without its key.
    pub raw: String,
    /// What else it carries, and where it came from.
    pub details: Details,
}

/// What a call is judged by: the network at the time of the call, and where it is at home.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The network.
    pub network: Arc<Network>,
    /// The zone of caps whose offer has none.
    pub zone: TimeZone,
    /// The currency that exchange rates lead to.
    pub currency: Currency,
}

impl Terms {
    fn offer(&self, call: &ConversionCall) -> Option<&Arc<Offer>> {
        self.network.offer(call.offer_id)
    }

    /// A click that was redirected to this offer is paid as its affiliate's campaign there says.
    fn campaign(&self, call: &ConversionCall, click: &Click) -> Option<&Arc<Campaign>> {
        if click.offer_id == call.offer_id {
            self.network.campaign(click.campaign_id?)
        } else {
            self.network.campaign_of(click.affiliate_id, call.offer_id)
        }
    }

    /// The caps a call falls under, with the windows it falls in.
    pub fn caps(&self, call: &ConversionCall, click: &Click) -> Vec<(Arc<Cap>, Window)> {
        let (Some(offer), Some(event_id)) = (self.offer(call), call.event_id) else { return Vec::new() };
        let Some(pricing) = self.network.pricing(offer.id) else { return Vec::new() };
        let campaign_id = self.campaign(call, click).map(|it| it.id);
        let zone = offer.zone.as_ref().map_or(&self.zone, |own| own.rules());
        let covering = pricing.caps.iter().filter(|cap| cap.covers_conversion(campaign_id, event_id));
        covering.map(|cap| (Arc::clone(cap), Window::of(cap.interval, zone, call.received_at))).collect()
    }
}

/// A conversion already on record, as far as a repeat is compared with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First {
    /// Its number.
    pub id: ConversionId,
    /// Its click.
    pub click_id: ClickId,
    /// Its payout at recording.
    pub payout: Amount,
    /// Its revenue at recording.
    pub revenue: Amount,
    /// Its sale amount, where it had one.
    pub amount: Option<Amount>,
}

/// What is already on record, as only the transaction can see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prior {
    /// The conversion of the same offer, event and `unique_id`, of any click.
    pub same_unique_id: Option<First>,
    /// The first conversion of the same click and event.
    pub on_click: Option<ConversionId>,
    /// The caps it falls under, with what they have taken.
    pub caps: Vec<Counted>,
    /// What a suppression list says about it.
    pub suppressed: Option<OnSuppressed>,
}

/// Why a conversion call was not recorded as a conversion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No click has that id.
    ClickNotFound,
    /// No offer has that number.
    OfferNotFound,
    /// The click was on another offer.
    OfferMismatch,
    /// The offer has no such event.
    UnknownEvent,
    /// The offer (or its advertiser) takes no conversions now.
    OfferNotActive,
    /// The affiliate is not active.
    AffiliateNotActive,
    /// The click never reached the offer.
    ClickNotAccepted,
    /// The click is too old.
    ClickExpired,
    /// The transaction, or the click, has converted already.
    DuplicateConversion(ConversionId),
    /// Sooner after the click than the offer allows.
    TooSoon,
    /// Later after the click than the offer allows.
    TooLate,
    /// A suppression list names it.
    Suppressed,
    /// A percentage applies and the call has no amount.
    AmountRequired,
    /// The price is beyond what can be recorded.
    PriceTooLarge,
    /// A cap is used up and refuses.
    CapReached(CapId),
}

impl Refusal {
    /// The stable code, as the API answers it and the attempt keeps it.
    pub fn code(self) -> &'static str {
        match self {
            Self::ClickNotFound => "click_not_found",
            Self::OfferNotFound => "offer_not_found",
            Self::OfferMismatch => "offer_mismatch",
            Self::UnknownEvent | Self::PriceTooLarge => "invalid_parameter",
            Self::OfferNotActive => "offer_not_active",
            Self::AffiliateNotActive => "affiliate_not_active",
            Self::ClickNotAccepted => "click_not_accepted",
            Self::ClickExpired => "click_expired",
            Self::DuplicateConversion(_) => "duplicate_conversion",
            Self::TooSoon => "conversion_too_soon",
            Self::TooLate => "conversion_too_late",
            Self::Suppressed => "suppressed",
            Self::AmountRequired => "amount_required",
            Self::CapReached(_) => "cap_reached",
        }
    }
}

/// What a conversion is worth, and what said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Price {
    /// What the affiliate gets.
    pub payout: Amount,
    /// What said so.
    pub payout_source: PriceSource,
    /// What the advertiser owes.
    pub revenue: Amount,
    /// What said so.
    pub revenue_source: PriceSource,
    /// The sale amount percentages were applied to.
    pub amount: Option<Amount>,
}

impl Price {
    /// What it is worth to either side.
    pub fn worth(&self) -> Worth {
        Worth { payout: self.payout, revenue: self.revenue }
    }
}

/// How a call is recorded that is not refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// What it is worth.
    pub price: Price,
    /// Where it stands.
    pub status: ConversionStatus,
    /// The cap that is used up and has left something out, or alerts.
    pub cap_id: Option<CapId>,
    /// The caps that count it: those of its [`Prior`], by place, and for how much, in millionths.
    pub counts: Vec<(usize, i64)>,
    /// When it is approved by itself, unless somebody decides before.
    pub approve_at: Option<Timestamp>,
    /// What one unit of its currency costs in the network's at recording, where that is known.
    pub exchange_rate: Option<ExchangeRate>,
}

/// What becomes of a conversion call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is recorded.
    New(Accepted),
    /// It was recorded before: the first stands. `conflict` when this call carries other amounts.
    Same {
        /// The conversion that stands.
        first: ConversionId,
        /// Whether this call carries other amounts.
        conflict: bool,
    },
    /// It is not recorded.
    Refused(Refusal),
}

/// Decides a conversion call: click known, offer known and the click's, event known there, repeat, parties
/// active, click accepted and not expired, other duplicates, time since the click, suppression, price,
/// caps, status.
pub fn judge(call: &ConversionCall, click: Option<&Click>, terms: &Terms, prior: &Prior) -> Verdict {
    match decide(call, click, terms, prior) {
        Ok(verdict) => verdict,
        Err(refusal) => Verdict::Refused(refusal),
    }
}

fn decide(
    call: &ConversionCall,
    click: Option<&Click>,
    terms: &Terms,
    prior: &Prior,
) -> Result<Verdict, Refusal> {
    let click = click.ok_or(Refusal::ClickNotFound)?;
    let offer = terms.offer(call).ok_or(Refusal::OfferNotFound)?;
    if click.offer_id != offer.id && click.reached_offer_id() != Some(offer.id) {
        return Err(Refusal::OfferMismatch);
    }
    let campaign = terms.campaign(call, click).map(|it| &**it);
    let event_id = call.event_id.ok_or(Refusal::UnknownEvent)?;
    let event = EventTerms::find(&terms.network, offer, campaign, event_id).ok_or(Refusal::UnknownEvent)?;
    let same_unique_id = prior.same_unique_id.filter(|_| !call.unique_id.is_empty());
    if let Some(first) = same_unique_id.filter(|first| first.click_id == click.id) {
        return Ok(Verdict::Same { first: first.id, conflict: differs(call, &first, &event) });
    }
    check_active(call, click, offer, &terms.network)?;
    check_duplicates(call, event.repeats, same_unique_id, prior.on_click)?;
    check_time(call, click, offer)?;
    if prior.suppressed == Some(OnSuppressed::Reject) {
        return Err(Refusal::Suppressed);
    }
    let mut price = price_of(call, click, event_id, &event)?;
    let worth = price.worth();
    let Left { cap_id, without_payout, without_revenue } =
        hold(&prior.caps, worth).map_err(Refusal::CapReached)?;
    let is_ignored = (without_payout && without_revenue) || prior.suppressed.is_some();
    if !is_ignored && without_payout {
        (price.payout, price.payout_source) = (Amount::ZERO, PriceSource::flat(PriceScope::Cap));
    }
    if !is_ignored && without_revenue {
        (price.revenue, price.revenue_source) = (Amount::ZERO, PriceSource::flat(PriceScope::Cap));
    }
    let counts = if is_ignored { Vec::new() } else { counts(&prior.caps, worth) };
    let status = match offer.approval {
        _ if is_ignored => ConversionStatus::Ignored,
        Approval::Auto => ConversionStatus::Approved,
        Approval::Manual => ConversionStatus::Pending,
    };
    let delay = offer.approval_delay_seconds.filter(|_| status == ConversionStatus::Pending);
    let approve_at = delay
        .map(|delay| call.received_at.saturating_add(i64::from(delay).seconds()).unwrap_or(Timestamp::MAX));
    let exchange_rate = if offer.currency == terms.currency {
        Some(ExchangeRate::ONE)
    } else {
        terms.network.exchange_rate(offer.currency, call.received_at)
    };
    Ok(Verdict::New(Accepted { price, status, cap_id, counts, approve_at, exchange_rate }))
}

/// A cap counts what it has room for; one that only alerts counts everything.
fn counts(caps: &[Counted], worth: Worth) -> Vec<(usize, i64)> {
    let counted =
        caps.iter().enumerate().filter(|(_, it)| !it.is_over(worth) || it.cap.at_cap == AtCap::Both);
    counted.map(|(at, it)| (at, it.cap.measure(worth))).filter(|(_, measure)| *measure > 0).collect()
}

fn check_active(
    call: &ConversionCall,
    click: &Click,
    offer: &Offer,
    network: &Network,
) -> Result<(), Refusal> {
    let now = call.received_at;
    let advertiser = network.advertiser(offer.advertiser_id);
    let is_advertiser_active = advertiser.is_some_and(|it| it.status == PartyStatus::Active);
    if offer.status != OfferStatus::Active || !is_advertiser_active || offer.has_expired(now) {
        return Err(Refusal::OfferNotActive);
    }
    if network.affiliate(click.affiliate_id).is_none_or(|it| it.status != PartyStatus::Active) {
        return Err(Refusal::AffiliateNotActive);
    }
    if click.reached_offer_id() != Some(offer.id) {
        return Err(Refusal::ClickNotAccepted);
    }
    let at = if call.is_backfill { call.conversion_date } else { now };
    let age_ms = at.as_millisecond() - click.id.unix_ms();
    if offer.session_seconds == 0 || age_ms > i64::from(offer.session_seconds) * 1000 {
        return Err(Refusal::ClickExpired);
    }
    Ok(())
}

fn check_duplicates(
    call: &ConversionCall,
    repeats: Repeats,
    same_unique_id: Option<First>,
    on_click: Option<ConversionId>,
) -> Result<(), Refusal> {
    if let Some(first) = same_unique_id {
        return Err(Refusal::DuplicateConversion(first.id));
    }
    let again = call.unique_id.is_empty() && !repeats.allow_duplicates;
    match on_click {
        Some(first) if again || repeats.one_per_click => Err(Refusal::DuplicateConversion(first)),
        _ => Ok(()),
    }
}

fn check_time(call: &ConversionCall, click: &Click, offer: &Offer) -> Result<(), Refusal> {
    let after_ms = call.conversion_date.as_millisecond() - click.id.unix_ms();
    let limit = |seconds: Option<u32>| seconds.map(|it| i64::from(it) * 1000);
    if limit(offer.min_conversion_seconds).is_some_and(|min| after_ms < min) {
        Err(Refusal::TooSoon)
    } else if limit(offer.max_conversion_seconds).is_some_and(|max| after_ms > max) {
        Err(Refusal::TooLate)
    } else {
        Ok(())
    }
}

/// What is in force for an event on an offer.
struct EventTerms<'n> {
    repeats: Repeats,
    scopes: Vec<Offered<'n>>,
}

impl<'n> EventTerms<'n> {
    /// None where the offer (or the campaign on it) does not take the event.
    fn find(
        network: &'n Network,
        offer: &Offer,
        campaign: Option<&Campaign>,
        event_id: EventId,
    ) -> Option<Self> {
        if event_id == DEFAULT_EVENT {
            let repeats =
                Repeats { one_per_click: offer.one_per_click, allow_duplicates: offer.allow_duplicates };
            return Some(Self { repeats, scopes: default_scopes(network, offer, campaign) });
        }
        let event = network.event(event_id)?;
        if event.advertiser_id != offer.advertiser_id || event.status != PartyStatus::Active {
            return None;
        }
        let said = |campaign_id| network.offer_event(offer.id, event_id, campaign_id);
        let by_campaign = campaign.and_then(|it| said(Some(it.id)));
        let by_offer = said(None);
        if !by_campaign.or(by_offer)?.is_enabled {
            return None;
        }
        let repeats =
            Repeats { one_per_click: event.one_per_click, allow_duplicates: event.allow_duplicates };
        let pricing = network.pricing(offer.id);
        let scope = |scope, campaign_id: Option<CampaignId>, payout, revenue| Offered {
            scope,
            rules: rules(pricing, campaign_id),
            payout,
            revenue,
        };
        let mut scopes = Vec::with_capacity(3);
        if let Some(campaign) = campaign {
            let own = by_campaign.map(|it| (it.payout, it.revenue)).unwrap_or_default();
            scopes.push(scope(PriceScope::Campaign, Some(campaign.id), own.0, own.1));
        }
        let own = by_offer.map(|it| (it.payout, it.revenue)).unwrap_or_default();
        scopes.push(scope(PriceScope::Offer, None, own.0, own.1));
        let (payout, revenue) = (Some(event.payout), Some(event.revenue));
        scopes.push(Offered { scope: PriceScope::Event, rules: Vec::new(), payout, revenue });
        Some(Self { repeats, scopes })
    }

    /// `p` is the sale amount where either side is a percentage, else the revenue.
    fn received(&self, call: &ConversionCall) -> (Option<Amount>, Option<Amount>) {
        let is_percentage = [Side::Payout, Side::Revenue].into_iter().any(|side| {
            let flat = self.scopes.iter().find_map(|scope| scope.flat(side));
            flat.is_some_and(|rate| rate.price_type == PriceType::Revshare)
        });
        if is_percentage {
            (call.amount.or(call.received), call.revenue)
        } else {
            (call.amount, call.revenue.or(call.received))
        }
    }
}

/// The scopes of the default event: the campaign, its affiliate's tier, the offer. What campaign and tier
/// say is read in the offer's price types.
fn default_scopes<'n>(network: &'n Network, offer: &Offer, campaign: Option<&Campaign>) -> Vec<Offered<'n>> {
    let pricing = network.pricing(offer.id);
    let read = |number: Option<Amount>, as_in: Rate| number.map(|number| Rate { number, ..as_in });
    let mut scopes = Vec::with_capacity(3);
    if let Some(campaign) = campaign {
        scopes.push(Offered {
            scope: PriceScope::Campaign,
            rules: rules(pricing, Some(campaign.id)),
            payout: read(campaign.payout, offer.payout),
            revenue: read(campaign.revenue, offer.revenue),
        });
        let tier = network.affiliate(campaign.affiliate_id).and_then(|it| it.tier.as_deref());
        let priced = pricing.zip(tier).and_then(|(it, tier)| it.tiers.iter().find(|it| it.tier == tier));
        if let Some(tier) = priced {
            scopes.push(Offered {
                scope: PriceScope::Tier,
                rules: Vec::new(),
                payout: read(tier.payout, offer.payout),
                revenue: read(tier.revenue, offer.revenue),
            });
        }
    }
    scopes.push(Offered {
        scope: PriceScope::Offer,
        rules: rules(pricing, None),
        payout: Some(offer.payout),
        revenue: Some(offer.revenue),
    });
    scopes
}

fn rules(pricing: Option<&Pricing>, campaign_id: Option<CampaignId>) -> Vec<&Arc<PriceRule>> {
    let all = pricing.map_or(&[][..], |it| &it.rules);
    all.iter().filter(|rule| rule.campaign_id == campaign_id).collect()
}

fn price_of(
    call: &ConversionCall,
    click: &Click,
    event_id: EventId,
    event: &EventTerms<'_>,
) -> Result<Price, Refusal> {
    let (amount, revenue) = event.received(call);
    let subject = Subject {
        country: click.country,
        device: click.device,
        event_id,
        sub_ids: &click.sub_ids,
        adv: &call.adv,
        amount,
    };
    let priced = |side, given| {
        price(side, given, &event.scopes, &subject).map_err(|error| match error {
            PriceError::AmountRequired => Refusal::AmountRequired,
            PriceError::TooLarge => Refusal::PriceTooLarge,
        })
    };
    let (payout, payout_source) = priced(Side::Payout, call.payout)?;
    let (revenue, revenue_source) = priced(Side::Revenue, revenue)?;
    Ok(Price { payout, payout_source, revenue, revenue_source, amount })
}

/// An amount that the call does not state differs from nothing.
fn differs(call: &ConversionCall, first: &First, event: &EventTerms<'_>) -> bool {
    let (amount, revenue) = event.received(call);
    call.payout.is_some_and(|it| it != first.payout)
        || revenue.is_some_and(|it| it != first.revenue)
        || amount.is_some_and(|it| Some(it) != first.amount)
}

/// A recorded conversion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conversion {
    /// Its number.
    pub id: ConversionId,
    /// The offer.
    pub offer_id: OfferId,
    /// The offer's advertiser.
    pub advertiser_id: AdvertiserId,
    /// Who is paid.
    pub affiliate_id: AffiliateId,
    /// The campaign of the click.
    pub campaign_id: Option<CampaignId>,
    /// The creative of the click.
    pub creative_id: CreativeId,
    /// The click.
    pub click_id: ClickId,
    /// What kind of conversion.
    pub event_id: EventId,
    /// The way it came in.
    pub door: Door,
    /// The batch that brought it.
    pub batch_id: Option<BatchId>,
    /// The advertiser's transaction id, or empty.
    pub unique_id: String,
    /// The advertiser's order reference, or empty.
    pub order_id: String,
    /// `adv1` to `adv5`.
    pub adv: [String; 5],
    /// The sub ids of the click.
    pub sub_ids: [String; 5],
    /// The country of the click.
    pub country: Country,
    /// The device of the click.
    pub device: Device,
    /// The operating system of the click, or empty.
    pub os: String,
    /// The browser of the click, or empty.
    pub browser: String,
    /// The host of the click's referrer, or empty.
    pub referrer_host: String,
    /// Why the click went where it went.
    pub disposition: Disposition,
    /// The currency of its amounts.
    pub currency: Currency,
    /// What one unit of it cost in the network's currency at recording, where that was known.
    pub exchange_rate: Option<ExchangeRate>,
    /// The price at recording.
    pub price: Price,
    /// The cap that was used up when it was recorded.
    pub cap_id: Option<CapId>,
    /// Where it stands now.
    pub standing: Standing,
    /// How many adjustments it has had.
    pub adjustments: u32,
    /// What else the call carried, as JSON; empty where it carried nothing.
    pub details: String,
    /// When it is approved by itself; none once somebody has decided.
    pub approve_at: Option<Timestamp>,
    /// When it was first approved: its date where it was recorded so, else when somebody approved it. Once set it stays.
    pub approved_at: Option<Timestamp>,
    /// When it happened.
    pub conversion_date: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When it last changed.
    pub last_updated: Timestamp,
}

impl Conversion {
    /// The conversion that an accepted call becomes, without its number. None where the network does not
    /// know the offer, or the call no event: such a call is not accepted.
    pub fn new(call: &ConversionCall, click: &Click, terms: &Terms, accepted: &Accepted) -> Option<Self> {
        let offer = terms.offer(call)?;
        Some(Self {
            id: ConversionId(0),
            offer_id: offer.id,
            advertiser_id: offer.advertiser_id,
            affiliate_id: click.affiliate_id,
            campaign_id: terms.campaign(call, click).map(|it| it.id).or(click.campaign_id),
            creative_id: click.creative_id,
            click_id: click.id,
            event_id: call.event_id?,
            door: call.details.origin.door,
            batch_id: call.batch_id,
            unique_id: call.unique_id.clone(),
            order_id: call.order_id.clone(),
            adv: call.adv.clone(),
            sub_ids: click.sub_ids.clone(),
            country: click.country,
            device: click.device,
            os: click.os.clone(),
            browser: click.browser.clone(),
            referrer_host: host_of(&click.referrer),
            disposition: click.disposition,
            currency: offer.currency,
            exchange_rate: accepted.exchange_rate,
            price: accepted.price,
            cap_id: accepted.cap_id,
            standing: Standing { status: accepted.status, price: accepted.price.worth() },
            adjustments: 0,
            details: call.details.to_json(),
            approve_at: accepted.approve_at,
            approved_at: (accepted.status == ConversionStatus::Approved).then_some(call.conversion_date),
            conversion_date: call.conversion_date,
            recorded_at: call.received_at,
            last_updated: call.received_at,
        })
    }

    /// What the affiliate gets now.
    pub fn payout(&self) -> Amount {
        self.standing.worth().payout
    }

    /// What the advertiser owes now.
    pub fn revenue(&self) -> Amount {
        self.standing.worth().revenue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::{CapStatus, CapType, Interval};
    use crate::click::Disposition;
    use crate::event::{Event, EventType, OfferEvent};
    use crate::ids::{ClickIdMint, NodeNumber};
    use crate::network::{Affiliate, CampaignStatus, Entities, sample};
    use crate::pricing::{PriceCondition, PriceRule};
    use crate::targeting::RuleStatus;

    /// One call against the sample network, with everything about it open to change.
    struct Case {
        call: ConversionCall,
        click: Option<Click>,
        network: Entities,
        prior: Prior,
    }

    impl Case {
        fn offer(&mut self) -> &mut Offer {
            &mut self.network.offers[0]
        }

        fn affiliate(&mut self) -> &mut Affiliate {
            &mut self.network.affiliates[0]
        }
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn case() -> Case {
        let clicked = Timestamp::from_second(1_000_000).expect("in range");
        let id = ClickIdMint::after(NodeNumber::new(1).expect("in range"), None).mint(clicked, 1);
        let click = Click {
            id,
            offer_id: OfferId(2),
            advertiser_id: AdvertiserId(1),
            affiliate_id: AffiliateId(4),
            campaign_id: Some(CampaignId(5)),
            creative_id: CreativeId(3),
            ..Click::blank(id)
        };
        let received_at = Timestamp::from_second(1_000_060).expect("in range");
        let call = ConversionCall {
            key_id: KeyId(1),
            received_at,
            batch_id: None,
            is_backfill: false,
            is_told: true,
            in_browser: false,
            fingerprints: Vec::new(),
            click_id: id.to_string(),
            offer_id: OfferId(2),
            event: SentEvent::default(),
            event_id: Some(DEFAULT_EVENT),
            unique_id: "ORD-1".into(),
            order_id: String::new(),
            adv: Default::default(),
            payout: None,
            revenue: None,
            amount: None,
            received: None,
            conversion_date: received_at,
            raw: String::new(),
            details: Details::default(),
        };
        Case { call, click: Some(click), network: sample::entities(), prior: Prior::default() }
    }

    fn terms(network: Entities) -> Terms {
        Terms { network: Arc::new(Network::new(network)), zone: TimeZone::UTC, currency: Currency::USD }
    }

    fn verdict(change: impl FnOnce(&mut Case)) -> Verdict {
        let mut case = case();
        change(&mut case);
        judge(&case.call, case.click.as_ref(), &terms(case.network), &case.prior)
    }

    fn accepted(change: impl FnOnce(&mut Case)) -> Accepted {
        match verdict(change) {
            Verdict::New(accepted) => accepted,
            other => panic!("{other:?}"),
        }
    }

    fn refused(change: impl FnOnce(&mut Case)) -> Refusal {
        match verdict(change) {
            Verdict::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn first() -> First {
        let click_id = case().click.expect("a click").id;
        First { id: FIRST, click_id, payout: amount("18"), revenue: amount("22"), amount: None }
    }

    const FIRST: ConversionId = ConversionId(9);

    #[test]
    fn a_plain_call_is_recorded_at_the_offers_price() {
        let plain = accepted(|_| {});
        assert_eq!((plain.price.payout, plain.price.revenue), (amount("18"), amount("22")));
        assert_eq!(plain.status, ConversionStatus::Approved);
        assert_eq!((plain.exchange_rate, plain.approve_at), (Some(ExchangeRate::ONE), None));
    }

    #[test]
    fn an_offer_approves_at_once_or_later_or_leaves_it_to_somebody() {
        let manual = accepted(|it| it.offer().approval = Approval::Manual);
        assert_eq!((manual.status, manual.approve_at), (ConversionStatus::Pending, None));
        let later = accepted(|it| {
            it.offer().approval = Approval::Manual;
            it.offer().approval_delay_seconds = Some(3600);
        });
        assert_eq!(later.approve_at.map(Timestamp::as_second), Some(1_003_660));
        let at_once = accepted(|it| it.offer().approval_delay_seconds = Some(3600));
        assert_eq!((at_once.status, at_once.approve_at), (ConversionStatus::Approved, None));
    }

    #[test]
    fn every_refusal_has_its_cause() {
        use Refusal::{
            AffiliateNotActive, AmountRequired, ClickExpired, ClickNotAccepted, ClickNotFound, OfferMismatch,
            OfferNotActive, OfferNotFound, Suppressed, TooLate, TooSoon, UnknownEvent,
        };
        let check = |refusal: Refusal, change: fn(&mut Case)| {
            assert_eq!(verdict(change), Verdict::Refused(refusal), "{}", refusal.code());
        };
        check(ClickNotFound, |it| it.click = None);
        check(OfferNotFound, |it| it.network.offers.clear());
        check(OfferMismatch, |it| it.click.as_mut().expect("a click").offer_id = OfferId(99));
        check(UnknownEvent, |it| it.call.event_id = None);
        check(OfferNotActive, |it| it.offer().status = OfferStatus::Paused);
        check(OfferNotActive, |it| it.network.advertisers[0].status = PartyStatus::Inactive);
        check(OfferNotActive, |it| it.offer().expires = Some(it.call.received_at));
        check(AffiliateNotActive, |it| it.affiliate().status = PartyStatus::Inactive);
        check(ClickNotAccepted, |it| it.click.as_mut().expect("a click").disposition = Disposition::Bot);
        check(ClickExpired, |it| it.offer().session_seconds = 59);
        check(ClickExpired, |it| it.offer().session_seconds = 0);
        check(TooSoon, |it| it.offer().min_conversion_seconds = Some(61));
        check(TooLate, |it| it.offer().max_conversion_seconds = Some(59));
        check(Suppressed, |it| it.prior.suppressed = Some(OnSuppressed::Reject));
        check(AmountRequired, |it| it.offer().payout.price_type = PriceType::Revshare);
    }

    #[test]
    fn an_unknown_click_is_told_before_an_unknown_offer() {
        let both = |it: &mut Case| {
            it.click = None;
            it.network.offers.clear();
        };
        assert_eq!(refused(both), Refusal::ClickNotFound);
    }

    #[test]
    fn a_click_is_good_to_the_last_moment_of_its_session() {
        assert!(matches!(verdict(|it| it.offer().session_seconds = 60), Verdict::New(..)));
        let backfilled = verdict(|it| {
            it.offer().session_seconds = 10;
            it.call.is_backfill = true;
            it.call.conversion_date = Timestamp::from_second(1_000_010).expect("in range");
        });
        assert!(matches!(backfilled, Verdict::New(..)));
    }

    #[test]
    fn a_campaigns_status_refuses_no_conversion() {
        let deleted = verdict(|it| it.network.campaigns[0].status = CampaignStatus::Deleted);
        assert!(matches!(deleted, Verdict::New(..)));
    }

    #[test]
    fn a_repeat_gets_its_original_whatever_has_happened_since() {
        let same = Verdict::Same { first: FIRST, conflict: false };
        let repeated = verdict(|it| {
            it.prior.same_unique_id = Some(first());
            it.prior.on_click = Some(FIRST);
            it.prior.suppressed = Some(OnSuppressed::Reject);
            it.offer().status = OfferStatus::Inactive;
            it.affiliate().status = PartyStatus::Inactive;
            it.offer().session_seconds = 0;
        });
        assert_eq!(repeated, same);
    }

    #[test]
    fn a_repeat_with_other_amounts_is_a_conflict() {
        let conflict = |change: fn(&mut ConversionCall)| {
            let verdict = verdict(|it| {
                it.prior.same_unique_id = Some(first());
                change(&mut it.call);
            });
            matches!(verdict, Verdict::Same { conflict: true, .. })
        };
        assert!(!conflict(|_| {}));
        assert!(!conflict(|it| it.payout = Some(amount("18.00"))));
        assert!(conflict(|it| it.payout = Some(amount("18.01"))));
        assert!(conflict(|it| it.revenue = Some(amount("1"))));
        assert!(conflict(|it| it.received = Some(amount("1"))));
        assert!(conflict(|it| it.amount = Some(amount("1"))));
    }

    #[test]
    fn duplicates_follow_the_events_rules() {
        let duplicate = Verdict::Refused(Refusal::DuplicateConversion(FIRST));
        let again = |unique_id: &str, one_per_click, allow_duplicates| {
            verdict(|it| {
                it.prior.on_click = Some(FIRST);
                it.call.unique_id = unique_id.into();
                it.offer().one_per_click = one_per_click;
                it.offer().allow_duplicates = allow_duplicates;
            })
        };
        assert_eq!(again("", false, false), duplicate);
        assert!(matches!(again("", false, true), Verdict::New(..)));
        assert_eq!(again("", true, true), duplicate);
        assert!(matches!(again("ORD-2", false, false), Verdict::New(..)));
        assert_eq!(again("ORD-2", true, false), duplicate);
        let other_click = First { click_id: ClickId::MIN, ..first() };
        assert_eq!(verdict(|it| it.prior.same_unique_id = Some(other_click)), duplicate);
    }

    #[test]
    fn the_received_amount_is_the_base_of_a_percentage_or_else_the_revenue() {
        let priced = |change: fn(&mut Case)| {
            let price = accepted(change).price;
            (price.payout, price.revenue)
        };
        let fixed = priced(|it| it.call.received = Some(amount("61")));
        assert_eq!(fixed, (amount("18"), amount("61")));
        let shared = priced(|it| {
            it.offer().payout = Rate { price_type: PriceType::Revshare, number: amount("70") };
            it.call.received = Some(amount("100"));
        });
        assert_eq!(shared, (amount("70"), amount("22")));
    }

    #[test]
    fn a_tier_is_the_campaigns_default_price() {
        let tier = |payout: Option<&str>, own: Option<&str>| {
            let price = accepted(|it| {
                it.affiliate().tier = Some("gold".into());
                it.network.tier_prices = vec![crate::network::TierPrice {
                    offer_id: OfferId(2),
                    tier: "gold".into(),
                    payout: payout.map(amount),
                    revenue: None,
                }];
                it.network.campaigns[0].payout = own.map(amount);
            })
            .price;
            (price.payout, price.payout_source.scope)
        };
        assert_eq!(tier(Some("19"), None), (amount("19"), PriceScope::Tier));
        assert_eq!(tier(Some("19"), Some("21")), (amount("21"), PriceScope::Campaign));
        assert_eq!(tier(None, None), (amount("18"), PriceScope::Offer));
    }

    #[test]
    fn the_rule_that_decided_stands_on_the_price_with_its_version() {
        let price = accepted(|it| {
            it.call.adv[1] = "premium".into();
            it.network.price_rules = vec![PriceRule {
                id: crate::ids::PriceRuleId(3),
                version: 5,
                offer_id: OfferId(2),
                campaign_id: None,
                position: 0,
                status: RuleStatus::Active,
                conditions: vec![PriceCondition::parse("adv2", "premium").expect("a condition")],
                payout: Some(Rate::cpa(amount("30"))),
                revenue: None,
            }];
        })
        .price;
        let rule = Some((crate::ids::PriceRuleId(3), 5));
        assert_eq!(price.payout_source, PriceSource { scope: PriceScope::Offer, rule });
        assert_eq!((price.payout, price.revenue), (amount("30"), amount("22")));
        assert_eq!(price.revenue_source, PriceSource::flat(PriceScope::Offer));
    }

    const SIGN_UP: EventId = EventId(7);

    fn with_event(case: &mut Case) {
        case.call.event_id = Some(SIGN_UP);
        case.network.events = vec![Event {
            id: SIGN_UP,
            advertiser_id: AdvertiserId(1),
            name: "Sign-up".into(),
            event_type: EventType::Micro,
            status: PartyStatus::Active,
            payout: Rate::cpa(amount("1")),
            revenue: Rate::cpa(amount("2")),
            one_per_click: false,
            allow_duplicates: false,
            created: Timestamp::UNIX_EPOCH,
        }];
        case.network.offer_events = vec![OfferEvent {
            offer_id: OfferId(2),
            event_id: SIGN_UP,
            campaign_id: None,
            is_enabled: true,
            payout: None,
            revenue: None,
        }];
    }

    #[test]
    fn an_event_is_taken_where_it_is_switched_on() {
        let check = |expected: Option<Refusal>, change: fn(&mut Case)| {
            let verdict = verdict(|it| {
                with_event(it);
                change(it);
            });
            let refused = match verdict {
                Verdict::New(_) => None,
                Verdict::Refused(refusal) => Some(refusal),
                Verdict::Same { .. } => panic!("{verdict:?}"),
            };
            assert_eq!(refused, expected);
        };
        let unknown = Some(Refusal::UnknownEvent);
        check(None, |_| {});
        check(unknown, |it| it.network.offer_events.clear());
        check(unknown, |it| it.network.offer_events[0].is_enabled = false);
        check(unknown, |it| it.network.events[0].status = PartyStatus::Inactive);
        check(unknown, |it| it.network.events[0].advertiser_id = AdvertiserId(2));
        check(unknown, |it| {
            let mut own = it.network.offer_events[0].clone();
            (own.campaign_id, own.is_enabled) = (Some(CampaignId(5)), false);
            it.network.offer_events.push(own);
        });
        check(None, |it| {
            let own = OfferEvent { campaign_id: Some(CampaignId(5)), ..it.network.offer_events[0].clone() };
            it.network.offer_events[0].is_enabled = false;
            it.network.offer_events.push(own);
        });
    }

    #[test]
    fn an_event_is_priced_by_campaign_offer_or_itself() {
        let payout = |by_campaign: Option<&str>, by_offer: Option<&str>| {
            let price = accepted(|it| {
                with_event(it);
                it.network.campaigns[0].payout = Some(amount("99"));
                it.network.offer_events[0].payout = by_offer.map(|it| Rate::cpa(amount(it)));
                let own = OfferEvent {
                    campaign_id: Some(CampaignId(5)),
                    payout: by_campaign.map(|it| Rate::cpa(amount(it))),
                    ..it.network.offer_events[0].clone()
                };
                it.network.offer_events.push(own);
            })
            .price;
            (price.payout, price.payout_source.scope)
        };
        assert_eq!(payout(Some("4"), Some("3")), (amount("4"), PriceScope::Campaign));
        assert_eq!(payout(None, Some("3")), (amount("3"), PriceScope::Offer));
        assert_eq!(payout(None, None), (amount("1"), PriceScope::Event));
    }

    fn full(at_cap: AtCap, used: i64) -> Counted {
        let cap = Cap {
            id: CapId(6),
            offer_id: OfferId(2),
            campaign_id: None,
            event_id: None,
            cap_type: CapType::Conversion,
            interval: Interval::Overall,
            limit: amount("3"),
            at_cap,
            status: CapStatus::Active,
            created: Timestamp::UNIX_EPOCH,
        };
        let window = Window { from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX };
        Counted { cap: Arc::new(cap), window, used: used * 1_000_000 }
    }

    #[test]
    fn a_cap_counts_what_it_takes_and_leaves_out_what_is_over() {
        let held = |at_cap, used| accepted(|it| it.prior.caps = vec![full(at_cap, used)]);
        let within = held(AtCap::Neither, 2);
        assert_eq!((within.status, within.cap_id), (ConversionStatus::Approved, None));
        assert_eq!(within.counts, [(0, 1_000_000)]);
        let ignored = held(AtCap::Neither, 3);
        assert_eq!((ignored.status, ignored.cap_id), (ConversionStatus::Ignored, Some(CapId(6))));
        assert_eq!((ignored.price.payout, ignored.counts), (amount("18"), Vec::new()));
        let half = held(AtCap::AdvertiserOnly, 3);
        assert_eq!((half.price.payout, half.price.revenue), (amount("0"), amount("22")));
        assert_eq!(
            (half.price.payout_source.scope, half.status),
            (PriceScope::Cap, ConversionStatus::Approved)
        );
        assert_eq!(half.counts, []);
        assert_eq!(held(AtCap::Both, 3).counts, [(0, 1_000_000)]);
        assert_eq!(refused(|it| it.prior.caps = vec![full(AtCap::Refuse, 3)]), Refusal::CapReached(CapId(6)));
    }

    #[test]
    fn a_suppressed_conversion_is_ignored_where_the_list_says_so() {
        let suppressed = accepted(|it| it.prior.suppressed = Some(OnSuppressed::Ignore));
        assert_eq!(suppressed.status, ConversionStatus::Ignored);
    }

    #[test]
    fn a_foreign_currency_takes_the_rate_of_the_day() {
        let rate = |dates: &[(i64, &str)]| {
            accepted(|it| {
                it.offer().currency = "EUR".parse().expect("a currency");
                let dated = |(second, rate): &(i64, &str)| crate::network::DatedRate {
                    currency: "EUR".parse().expect("a currency"),
                    effective: Timestamp::from_second(*second).expect("in range"),
                    rate: rate.parse().expect("a rate"),
                };
                it.network.exchange_rates = dates.iter().map(dated).collect();
            })
            .exchange_rate
            .map(|it| it.to_string())
        };
        assert_eq!(rate(&[]), None);
        assert_eq!(rate(&[(2_000_000, "1.2"), (500, "1.1"), (1_000_060, "1.15")]), Some("1.15".into()));
        assert_eq!(rate(&[(2_000_000, "1.2")]), None);
    }
}
