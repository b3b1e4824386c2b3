//! A conversion call, and what becomes of it. [`judge`] is the whole decision, in the order users may
//! rely on; the ledger gathers the facts inside its transaction and writes what it says.

use std::sync::Arc;

use jiff::Timestamp;

use crate::click::{Click, Country};
use crate::details::Details;
use crate::ids::{
    AdvertiserId, AffiliateId, CampaignId, ClickId, ConversionId, CreativeId, EventId, KeyId, OfferId,
};
use crate::money::{Amount, Currency};
use crate::network::{Affiliate, Approval, Campaign, Offer, OfferStatus, PartyStatus};
use crate::pricing::{PriceError, PriceScope, PriceType, price};
use crate::status::ConversionStatus;

/// An inbound request to record a conversion, read and valid in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversionCall {
    /// The key it came with.
    pub key_id: KeyId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The click, as sent: opaque text of at most 100 characters.
    pub click_id: String,
    /// The offer the caller says it belongs to.
    pub offer_id: OfferId,
    /// What kind of conversion; none means an event nobody knows.
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
    /// The call as it came, without its key.
    pub raw: String,
    /// What else it carries, and where it came from.
    pub details: Details,
}

/// What the network says about the offer called for and the click's parties, at the time of the call.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The offer called for.
    pub offer: Option<Arc<Offer>>,
    /// The click's affiliate.
    pub affiliate: Option<Arc<Affiliate>>,
    /// The click's campaign.
    pub campaign: Option<Arc<Campaign>>,
    /// Whether the offer's advertiser is active.
    pub advertiser_active: bool,
}

/// A conversion already on record, as far as a repeat is compared with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First {
    /// Its number.
    pub id: ConversionId,
    /// Its payout at recording.
    pub payout: Amount,
    /// Its revenue at recording.
    pub revenue: Amount,
    /// Its sale amount, where it had one.
    pub amount: Option<Amount>,
}

/// What is already on record, as only the transaction can see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prior {
    /// The conversion of the same click, event and `unique_id`.
    pub repeat: Option<First>,
    /// The conversion of the same offer, event and `unique_id`, of any click.
    pub same_unique_id: Option<ConversionId>,
    /// The first conversion of the same click and event.
    pub on_click: Option<ConversionId>,
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
    /// A percentage applies and the call has no amount.
    AmountRequired,
    /// The price is beyond what can be recorded.
    PriceTooLarge,
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
            Self::AmountRequired => "amount_required",
        }
    }
}

/// What a conversion is worth, and which scope said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Price {
    /// What the affiliate gets.
    pub payout: Amount,
    /// Which scope's price that was.
    pub payout_scope: PriceScope,
    /// What the advertiser owes.
    pub revenue: Amount,
    /// Which scope's price that was.
    pub revenue_scope: PriceScope,
    /// The sale amount percentages were applied to.
    pub amount: Option<Amount>,
}

/// What becomes of a conversion call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is recorded.
    New(Price, ConversionStatus),
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

/// Decides a conversion call: click known, offer known and the click's, repeat, parties active,
/// click accepted and not expired, other duplicates, price, status.
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
    let offer = terms.offer.as_deref().ok_or(Refusal::OfferNotFound)?;
    if click.offer_id != offer.id && click.reached_offer_id() != Some(offer.id) {
        return Err(Refusal::OfferMismatch);
    }
    call.event_id.ok_or(Refusal::UnknownEvent)?;
    if let Some(first) = prior.repeat.filter(|_| !call.unique_id.is_empty()) {
        return Ok(Verdict::Same { first: first.id, conflict: differs(call, &first, offer) });
    }
    check_active(call, click, offer, terms)?;
    check_duplicates(call, offer, prior)?;
    let price = price_of(call, offer, terms.campaign.as_deref())?;
    let status = match offer.approval {
        Approval::Auto => ConversionStatus::Approved,
        Approval::Manual => ConversionStatus::Pending,
    };
    Ok(Verdict::New(price, status))
}

fn check_active(call: &ConversionCall, click: &Click, offer: &Offer, terms: &Terms) -> Result<(), Refusal> {
    let now = call.received_at;
    if offer.status != OfferStatus::Active || !terms.advertiser_active || offer.has_expired(now) {
        return Err(Refusal::OfferNotActive);
    }
    if terms.affiliate.as_ref().is_none_or(|it| it.status != PartyStatus::Active) {
        return Err(Refusal::AffiliateNotActive);
    }
    if click.reached_offer_id() != Some(offer.id) {
        return Err(Refusal::ClickNotAccepted);
    }
    let age_ms = now.as_millisecond() - click.id.unix_ms();
    if offer.session_seconds == 0 || age_ms > i64::from(offer.session_seconds) * 1000 {
        return Err(Refusal::ClickExpired);
    }
    Ok(())
}

fn check_duplicates(call: &ConversionCall, offer: &Offer, prior: &Prior) -> Result<(), Refusal> {
    if let Some(first) = prior.same_unique_id.filter(|_| !call.unique_id.is_empty()) {
        return Err(Refusal::DuplicateConversion(first));
    }
    let again = if call.unique_id.is_empty() { !offer.allow_duplicates } else { offer.one_per_click };
    match prior.on_click {
        Some(first) if again || offer.one_per_click => Err(Refusal::DuplicateConversion(first)),
        _ => Ok(()),
    }
}

/// `p` is the sale amount where either side is a percentage, else the revenue.
fn received(call: &ConversionCall, offer: &Offer) -> (Option<Amount>, Option<Amount>) {
    let percentage = [offer.payout, offer.revenue].iter().any(|it| it.price_type == PriceType::Revshare);
    if percentage {
        (call.amount.or(call.received), call.revenue)
    } else {
        (call.amount, call.revenue.or(call.received))
    }
}

fn price_of(call: &ConversionCall, offer: &Offer, campaign: Option<&Campaign>) -> Result<Price, Refusal> {
    let (amount, revenue) = received(call, offer);
    let refusal = |error| match error {
        PriceError::AmountRequired => Refusal::AmountRequired,
        PriceError::TooLarge => Refusal::PriceTooLarge,
    };
    let (payout, payout_scope) =
        price(call.payout, campaign.and_then(|it| it.payout), offer.payout, amount).map_err(refusal)?;
    let (revenue, revenue_scope) =
        price(revenue, campaign.and_then(|it| it.revenue), offer.revenue, amount).map_err(refusal)?;
    Ok(Price { payout, payout_scope, revenue, revenue_scope, amount })
}

/// An amount that the call does not state differs from nothing.
fn differs(call: &ConversionCall, first: &First, offer: &Offer) -> bool {
    let (amount, revenue) = received(call, offer);
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
    /// The currency of its amounts.
    pub currency: Currency,
    /// The price at recording.
    pub price: Price,
    /// Where it stands.
    pub status: ConversionStatus,
    /// When it happened.
    pub conversion_date: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When it last changed.
    pub last_updated: Timestamp,
}

impl Conversion {
    /// What the affiliate gets now.
    pub fn payout(&self) -> Amount {
        if self.status.pays() { self.price.payout } else { Amount::ZERO }
    }

    /// What the advertiser owes now.
    pub fn revenue(&self) -> Amount {
        if self.status.pays() { self.price.revenue } else { Amount::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::Disposition;
    use crate::ids::{ClickIdMint, NodeNumber};
    use crate::network::{CampaignStatus, DEFAULT_EVENT, sample};
    use crate::pricing::Rate;

    /// One call against the sample network, with everything about it open to change.
    struct Case {
        call: ConversionCall,
        click: Option<Click>,
        offer: Offer,
        affiliate: Affiliate,
        campaign: Campaign,
        advertiser_active: bool,
        prior: Prior,
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn case() -> Case {
        let entities = sample::entities();
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
            click_id: id.to_string(),
            offer_id: OfferId(2),
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
        Case {
            call,
            click: Some(click),
            offer: entities.offers[0].clone(),
            affiliate: entities.affiliates[0].clone(),
            campaign: entities.campaigns[0].clone(),
            advertiser_active: true,
            prior: Prior::default(),
        }
    }

    fn verdict(change: impl FnOnce(&mut Case)) -> Verdict {
        let mut case = case();
        change(&mut case);
        let terms = Terms {
            offer: Some(Arc::new(case.offer)),
            affiliate: Some(Arc::new(case.affiliate)),
            campaign: Some(Arc::new(case.campaign)),
            advertiser_active: case.advertiser_active,
        };
        judge(&case.call, case.click.as_ref(), &terms, &case.prior)
    }

    const FIRST: First =
        First { id: ConversionId(9), payout: Amount::ZERO, revenue: Amount::ZERO, amount: None };

    #[test]
    fn a_plain_call_is_recorded_at_the_offers_price() {
        let Verdict::New(price, status) = verdict(|_| {}) else { panic!("refused") };
        assert_eq!((price.payout, price.revenue), (amount("18"), amount("22")));
        assert_eq!(status, ConversionStatus::Approved);
        assert!(matches!(
            verdict(|it| it.offer.approval = Approval::Manual),
            Verdict::New(_, ConversionStatus::Pending)
        ));
    }

    #[test]
    fn every_refusal_has_its_cause() {
        use Refusal::{
            AffiliateNotActive, AmountRequired, ClickExpired, ClickNotAccepted, ClickNotFound, OfferMismatch,
            OfferNotActive, UnknownEvent,
        };
        let check = |refusal: Refusal, change: fn(&mut Case)| {
            assert_eq!(verdict(change), Verdict::Refused(refusal), "{}", refusal.code());
        };
        check(ClickNotFound, |it| it.click = None);
        check(OfferMismatch, |it| it.offer.id = OfferId(99));
        check(UnknownEvent, |it| it.call.event_id = None);
        check(OfferNotActive, |it| it.offer.status = OfferStatus::Paused);
        check(OfferNotActive, |it| it.advertiser_active = false);
        check(OfferNotActive, |it| it.offer.expires = Some(it.call.received_at));
        check(AffiliateNotActive, |it| it.affiliate.status = PartyStatus::Inactive);
        check(ClickNotAccepted, |it| it.click.as_mut().expect("a click").disposition = Disposition::Bot);
        check(ClickExpired, |it| it.offer.session_seconds = 59);
        check(ClickExpired, |it| it.offer.session_seconds = 0);
        check(AmountRequired, |it| it.offer.payout.price_type = PriceType::Revshare);
    }

    #[test]
    fn an_unknown_offer_is_told_after_an_unknown_click() {
        let case = case();
        let terms = Terms::default();
        let refused = |click| judge(&case.call, click, &terms, &Prior::default());
        assert_eq!(refused(None), Verdict::Refused(Refusal::ClickNotFound));
        assert_eq!(refused(case.click.as_ref()), Verdict::Refused(Refusal::OfferNotFound));
    }

    #[test]
    fn a_click_is_good_to_the_last_moment_of_its_session() {
        assert!(matches!(verdict(|it| it.offer.session_seconds = 60), Verdict::New(..)));
    }

    #[test]
    fn a_campaigns_status_refuses_no_conversion() {
        assert!(matches!(verdict(|it| it.campaign.status = CampaignStatus::Deleted), Verdict::New(..)));
    }

    #[test]
    fn a_repeat_gets_its_original_whatever_has_happened_since() {
        let same = Verdict::Same { first: FIRST.id, conflict: false };
        let repeated = verdict(|it| {
            it.prior =
                Prior { repeat: Some(FIRST), same_unique_id: Some(FIRST.id), on_click: Some(FIRST.id) };
            it.offer.status = OfferStatus::Inactive;
            it.affiliate.status = PartyStatus::Inactive;
            it.offer.session_seconds = 0;
        });
        assert_eq!(repeated, same);
    }

    #[test]
    fn a_repeat_with_other_amounts_is_a_conflict() {
        let conflict = |change: fn(&mut ConversionCall)| {
            let verdict = verdict(|it| {
                it.prior.repeat = Some(First { payout: amount("18"), revenue: amount("22"), ..FIRST });
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
        let refused = Verdict::Refused(Refusal::DuplicateConversion(FIRST.id));
        let again = |unique_id: &str, one_per_click, allow_duplicates| {
            verdict(|it| {
                it.prior.on_click = Some(FIRST.id);
                it.call.unique_id = unique_id.into();
                it.offer.one_per_click = one_per_click;
                it.offer.allow_duplicates = allow_duplicates;
            })
        };
        assert_eq!(again("", false, false), refused);
        assert!(matches!(again("", false, true), Verdict::New(..)));
        assert_eq!(again("", true, true), refused);
        assert!(matches!(again("ORD-2", false, false), Verdict::New(..)));
        assert_eq!(again("ORD-2", true, false), refused);
        assert_eq!(verdict(|it| it.prior.same_unique_id = Some(FIRST.id)), refused);
    }

    #[test]
    fn the_received_amount_is_the_base_of_a_percentage_or_else_the_revenue() {
        let priced = |change: fn(&mut Case)| match verdict(change) {
            Verdict::New(price, _) => (price.payout, price.revenue),
            other => panic!("{other:?}"),
        };
        let fixed = priced(|it| it.call.received = Some(amount("61")));
        assert_eq!(fixed, (amount("18"), amount("61")));
        let shared = priced(|it| {
            it.offer.payout = Rate { price_type: PriceType::Revshare, number: amount("70") };
            it.call.received = Some(amount("100"));
        });
        assert_eq!(shared, (amount("70"), amount("22")));
    }
}
