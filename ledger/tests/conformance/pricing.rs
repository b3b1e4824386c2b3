//! What the ledger promises of events, price rules, prices of tiers and exchange rates.

use domain::caps::{Interval, Window};
use domain::event::{EventType, OfferEvent};
use domain::ids::{AdvertiserId, CampaignId, CapId, EventId, OfferId, PriceRuleId};
use domain::network::{DEFAULT_EVENT, DatedRate, PartyStatus, TierPrice};
use domain::network_change::{
    AffiliateChange, CreateAffiliate, CreateCap, CreateEvent, CreateOffer, CreatePriceRule, EntityKind,
    EventChange, OfferChange, PriceRuleChange, RateChange, Rejected,
};
use domain::pricing::{PRICE_RULES_MAX, PriceCondition, PriceType, Rate};
use domain::targeting::RuleStatus;
use jiff::tz::TimeZone;
use ledger::Ledger;

use crate::sample::{
    Open, amount, at, create_advertiser, create_affiliate, create_offer, rate, with_campaign,
};

fn create_event(advertiser_id: AdvertiserId, name: &str) -> CreateEvent {
    CreateEvent {
        advertiser_id,
        name: name.into(),
        event_type: EventType::Micro,
        status: PartyStatus::Pending,
        payout: rate("1.5"),
        revenue: share("12.5"),
        one_per_click: true,
        allow_duplicates: false,
    }
}

/// A percentage.
fn share(text: &str) -> Rate {
    Rate { price_type: PriceType::Revshare, number: amount(text) }
}

fn conditions(all: &[(&str, &str)]) -> Vec<PriceCondition> {
    all.iter().map(|(target, values)| PriceCondition::parse(target, values).expect("a condition")).collect()
}

fn create_price_rule(offer_id: OfferId) -> CreatePriceRule {
    CreatePriceRule {
        offer_id: Some(offer_id),
        campaign_id: None,
        position: None,
        status: RuleStatus::Active,
        conditions: conditions(&[("country", "US,CA"), ("adv2", "a=b,c*"), ("amount_min", "12.5")]),
        payout: Some(share("70")),
        revenue: None,
    }
}

/// A second advertiser, with an offer of its own.
fn other_offer(ledger: &dyn Ledger) -> (AdvertiserId, OfferId) {
    let advertiser = ledger.create_advertiser(create_advertiser(), at(0)).expect("made").expect("accepted");
    let offer = ledger.create_offer(create_offer(advertiser.id), at(0)).expect("made").expect("accepted");
    (advertiser.id, offer.id)
}

pub fn an_event_is_kept_and_its_name_is_its_advertisers_only_one(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let (other, _) = other_offer(&*ledger);
    let create =
        |advertiser, name: &str| ledger.create_event(create_event(advertiser, name), at(7)).expect("asked");
    let rename = |id, name: &str| {
        let change = EventChange { name: Some(name.into()), ..EventChange::default() };
        ledger.update_event(id, change).expect("asked")
    };
    let lead = create(offer.advertiser_id, "Lead").expect("accepted");
    assert!(lead.id > DEFAULT_EVENT, "number 1 is the default event's");
    let expected = create_event(offer.advertiser_id, "Lead").into_event(lead.id, at(7));
    assert_eq!(open().load_network().expect("loads").events, [expected]);

    let taken = Some(Rejected::EventExists(lead.id));
    assert_eq!(create(offer.advertiser_id, "LEAD").err(), taken);
    let sale = create(offer.advertiser_id, "Größe").expect("accepted");
    assert_eq!(create(offer.advertiser_id, "grÖSSE").map(drop), Ok(()), "other letters");
    assert_eq!(create(offer.advertiser_id, "GRÖßE").err(), Some(Rejected::EventExists(sale.id)));
    assert_eq!(create(offer.advertiser_id, "conversion").err(), Some(Rejected::EventExists(DEFAULT_EVENT)));
    assert_eq!(create(other, "lead").map(|it| it.advertiser_id), Ok(other));
    assert_eq!(rename(sale.id, "lead").err(), taken);
    assert_eq!(rename(lead.id, "LEAD").map(|it| it.name), Ok("LEAD".to_owned()), "its own name");

    let change = EventChange {
        status: Some(PartyStatus::Active),
        event_type: Some(EventType::Macro),
        payout: Some(amount("2")),
        revenue_type: Some(PriceType::Cpa),
        one_per_click: Some(false),
        allow_duplicates: Some(true),
        ..EventChange::default()
    };
    let mut expected = sale.clone();
    change.clone().apply(&mut expected);
    assert_eq!(ledger.update_event(sale.id, change).expect("made"), Ok(expected.clone()));
    assert_eq!(open().load_network().expect("loads").events[1], expected);
    assert_eq!(rename(EventId(99), "x").err(), Some(Rejected::NotFound(EntityKind::Event)));
    assert_eq!(create(AdvertiserId(99), "x").err(), Some(Rejected::NotFound(EntityKind::Advertiser)));
}

pub fn what_an_offer_says_of_an_event_replaces_what_it_said(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let event = ledger.create_event(create_event(offer.advertiser_id, "Lead"), at(0)).expect("asked");
    let event_id = event.expect("accepted").id;
    let of_offer = OfferEvent {
        offer_id: offer.id,
        event_id,
        campaign_id: None,
        is_enabled: true,
        payout: Some(share("7.5")),
        revenue: None,
    };
    let of_campaign = OfferEvent { campaign_id: Some(campaign.id), ..of_offer.clone() };
    let set = |said: &OfferEvent| ledger.set_offer_event(said.clone()).expect("asked");
    for said in [&of_offer, &of_campaign] {
        assert_eq!(set(said).as_ref(), Ok(said));
    }
    let changed = OfferEvent { is_enabled: false, payout: None, revenue: Some(rate("3")), ..of_offer };
    assert_eq!(set(&changed).as_ref(), Ok(&changed));
    assert_eq!(open().load_network().expect("loads").offer_events, [changed, of_campaign]);
}

pub fn every_version_of_a_price_rule_is_kept(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let create = CreatePriceRule { campaign_id: Some(campaign.id), ..create_price_rule(offer.id) };
    let first = ledger.create_price_rule(create, at(1)).expect("made").expect("accepted");
    assert_eq!((first.version, first.campaign_id, first.position), (1, Some(campaign.id), 1));
    let change = PriceRuleChange {
        position: Some(9),
        conditions: conditions(&[("country", "DE"), ("sub_id_1", "x*")]),
        without: vec!["adv2"],
        payout: RateChange { price_type: None, number: Some(Some(amount("60"))) },
        revenue: RateChange { price_type: None, number: Some(Some(amount("5"))) },
        ..PriceRuleChange::default()
    };
    let second = ledger.update_price_rule(first.id, change, at(2)).expect("made").expect("accepted");
    let values: Vec<_> = second.conditions.iter().map(|it| (it.target(), it.values())).collect();
    let expected = [("amount_min", "12.50"), ("country", "DE"), ("sub_id_1", "x*")];
    assert_eq!(values, expected.map(|(target, values)| (target, values.to_owned())));
    assert_eq!((second.version, second.position), (2, 9));
    assert_eq!((second.payout, second.revenue), (Some(share("60")), Some(rate("5"))));
    let change = PriceRuleChange { status: Some(RuleStatus::Deleted), ..PriceRuleChange::default() };
    let third = ledger.update_price_rule(first.id, change, at(3)).expect("made").expect("accepted");
    let ledger = open();
    assert_eq!(ledger.load_network().expect("loads").price_rules, std::slice::from_ref(&third));
    for rule in [first, second, third] {
        assert_eq!(ledger.find_price_rule_version(rule.id, rule.version).expect("asked"), Some(rule));
    }
    assert_eq!(ledger.find_price_rule_version(PriceRuleId(1), 4).expect("asked"), None);
    assert_eq!(ledger.find_price_rule_version(PriceRuleId(2), 1).expect("asked"), None);
}

pub fn a_price_rule_always_asks_for_something_and_says_a_price(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = |create| ledger.create_price_rule(create, at(0)).expect("asked");
    let no_conditions = Some(Rejected::NoConditions(EntityKind::PriceRule));
    let asked = create(CreatePriceRule { conditions: Vec::new(), ..create_price_rule(offer.id) });
    assert_eq!(asked.err(), no_conditions);
    let said = create(CreatePriceRule { payout: None, ..create_price_rule(offer.id) });
    assert_eq!(said.err(), Some(Rejected::NoPrice));
    let rule = create(create_price_rule(offer.id)).expect("accepted");
    let update = |change| ledger.update_price_rule(rule.id, change, at(1)).expect("asked");
    let without = vec!["country", "adv2", "amount_min"];
    assert_eq!(update(PriceRuleChange { without, ..PriceRuleChange::default() }).err(), no_conditions);
    let payout = RateChange { price_type: None, number: Some(None) };
    let emptied = update(PriceRuleChange { payout, ..PriceRuleChange::default() });
    assert_eq!(emptied.err(), Some(Rejected::NoPrice));
    assert_eq!(ledger.load_network().expect("loads").price_rules, std::slice::from_ref(&rule));
    assert_eq!(ledger.find_price_rule_version(rule.id, 2).expect("asked"), None);
}

pub fn an_offer_has_at_most_two_hundred_price_rules(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = |offer_id| ledger.create_price_rule(create_price_rule(offer_id), at(0)).expect("asked");
    let set = |id, status| {
        let change = PriceRuleChange { status: Some(status), ..PriceRuleChange::default() };
        ledger.update_price_rule(id, change, at(1)).expect("asked")
    };
    let first = create(offer.id).expect("accepted");
    for place in 2..=u32::try_from(PRICE_RULES_MAX).expect("a few") {
        assert_eq!(create(offer.id).expect("accepted").position, place);
    }
    let full = Some(Rejected::TooMany(EntityKind::PriceRule));
    assert_eq!(create(offer.id).err(), full);
    create(other_offer(&*ledger).1).expect("another offer has its own");
    set(first.id, RuleStatus::Deleted).expect("accepted");
    create(offer.id).expect("accepted");
    assert_eq!(set(first.id, RuleStatus::Paused).err(), full);
}

pub fn a_tiers_price_replaces_the_one_before_and_is_taken_away(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let price = |tier: &str, payout: Option<&str>, revenue: Option<&str>| TierPrice {
        offer_id: offer.id,
        tier: tier.into(),
        payout: payout.map(amount),
        revenue: revenue.map(amount),
    };
    let set = |price: &TierPrice| ledger.set_tier_price(price.clone()).expect("asked");
    let gold = price("gold", Some("13"), None);
    let silver = price("silver", Some("12"), Some("21"));
    for price in [&price("gold", None, Some("20")), &gold, &silver] {
        assert_eq!(set(price).as_ref(), Ok(price));
    }
    assert_eq!(open().load_network().expect("loads").tier_prices, [gold.clone(), silver]);
    set(&price("silver", None, None)).expect("accepted");
    set(&price("bronze", None, None)).expect("accepted");
    assert_eq!(open().load_network().expect("loads").tier_prices, std::slice::from_ref(&gold));
    let nowhere = set(&TierPrice { offer_id: OfferId(99), ..gold });
    assert_eq!(nowhere.err(), Some(Rejected::NotFound(EntityKind::Offer)));
}

pub fn an_exchange_rate_is_kept_by_currency_and_date(open: Open<'_>) {
    let ledger = open();
    let rate = |currency: &str, second, rate: &str| DatedRate {
        currency: currency.parse().expect("a currency"),
        effective: at(second),
        rate: rate.parse().expect("a rate"),
    };
    let set = |rate: DatedRate| ledger.set_exchange_rate(rate).expect("asked").expect("accepted");
    for (currency, second, text) in
        [("GBP", 0, "1.3"), ("EUR", 60, "1.1"), ("EUR", 0, "1.0842000001"), ("EUR", 60, "0.0000000001")]
    {
        assert_eq!(set(rate(currency, second, text)), rate(currency, second, text));
    }
    let kept = [rate("EUR", 0, "1.0842000001"), rate("EUR", 60, "0.0000000001"), rate("GBP", 0, "1.3")];
    assert_eq!(open().load_network().expect("loads").exchange_rates, kept);
}

pub fn what_decides_prices_belongs_together(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let (other_advertiser, other) = other_offer(&*ledger);
    let event = |advertiser| {
        let made = ledger.create_event(create_event(advertiser, "Lead"), at(0)).expect("asked");
        made.expect("accepted").id
    };
    let (own, others) = (event(offer.advertiser_id), event(other_advertiser));
    let not_found = |kind| Some(Rejected::NotFound(kind));
    let offer_event = |offer_id, event_id, campaign_id: Option<CampaignId>| {
        let said =
            OfferEvent { offer_id, event_id, campaign_id, is_enabled: true, payout: None, revenue: None };
        ledger.set_offer_event(said).expect("asked").err()
    };
    assert_eq!(offer_event(offer.id, own, Some(campaign.id)), None);
    assert_eq!(offer_event(OfferId(99), own, None), not_found(EntityKind::Offer));
    assert_eq!(offer_event(offer.id, EventId(99), None), not_found(EntityKind::Event));
    assert_eq!(offer_event(offer.id, DEFAULT_EVENT, None), not_found(EntityKind::Event));
    assert_eq!(offer_event(offer.id, own, Some(CampaignId(99))), not_found(EntityKind::Campaign));
    assert_eq!(offer_event(offer.id, others, None), Some(Rejected::EventOfOtherAdvertiser));
    assert_eq!(offer_event(other, others, Some(campaign.id)), Some(Rejected::CampaignOfOtherOffer));

    let price_rule = |offer_id, campaign_id, events: String| {
        let conditions = conditions(&[("event_id", &events)]);
        let create = CreatePriceRule { offer_id, campaign_id, conditions, ..create_price_rule(offer.id) };
        ledger.create_price_rule(create, at(0)).expect("asked").map(|it| it.offer_id)
    };
    let both = format!("{DEFAULT_EVENT},{own}");
    assert_eq!(price_rule(None, Some(campaign.id), both.clone()), Ok(offer.id));
    let misplaced = price_rule(Some(other), Some(campaign.id), both.clone());
    assert_eq!(misplaced, Err(Rejected::CampaignOfOtherOffer));
    assert_eq!(price_rule(None, None, both).err(), not_found(EntityKind::Offer));
    let foreign = price_rule(Some(offer.id), None, format!("{own},{others}"));
    assert_eq!(foreign, Err(Rejected::EventOfOtherAdvertiser));
    assert_eq!(price_rule(Some(offer.id), None, "99".into()).err(), not_found(EntityKind::Event));

    let cap = |event_id| {
        use domain::caps::{AtCap, CapType};
        let create = CreateCap {
            offer_id: Some(offer.id),
            campaign_id: None,
            event_id: Some(event_id),
            cap_type: CapType::Conversion,
            interval: Interval::Daily,
            limit: amount("3"),
            at_cap: AtCap::Refuse,
        };
        ledger.create_cap(create, at(0)).expect("asked").err()
    };
    assert_eq!((cap(own), cap(DEFAULT_EVENT)), (None, None));
    assert_eq!(cap(others), Some(Rejected::EventOfOtherAdvertiser));
    assert_eq!(cap(EventId(99)), not_found(EntityKind::Event));
}

pub fn what_decides_prices_raises_the_networks_version(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let mut before = ledger.network_version().expect("read");
    let mut raised = |by| {
        let now = ledger.network_version().expect("read");
        assert_eq!(now - std::mem::replace(&mut before, now), by);
    };
    let event = ledger.create_event(create_event(offer.advertiser_id, "Lead"), at(0)).expect("asked");
    let event_id = event.expect("accepted").id;
    raised(1);
    let said = OfferEvent {
        offer_id: offer.id,
        event_id,
        campaign_id: None,
        is_enabled: true,
        payout: None,
        revenue: None,
    };
    ledger.set_offer_event(said).expect("asked").expect("accepted");
    raised(1);
    ledger.create_price_rule(create_price_rule(offer.id), at(0)).expect("asked").expect("accepted");
    raised(1);
    let price =
        TierPrice { offer_id: offer.id, tier: "gold".into(), payout: Some(amount("1")), revenue: None };
    ledger.set_tier_price(price).expect("asked").expect("accepted");
    raised(1);
    let rate = "EUR".parse().expect("a currency");
    let rate = DatedRate { currency: rate, effective: at(0), rate: "1.1".parse().expect("a rate") };
    ledger.set_exchange_rate(rate).expect("asked").expect("accepted");
    raised(1);
    ledger.create_price_rule(create_price_rule(OfferId(99)), at(0)).expect("asked").expect_err("rejected");
    raised(0);
}

pub fn a_cap_that_was_never_asked_has_taken_nothing(open: Open<'_>) {
    let window = Window::of(Interval::Daily, &TimeZone::UTC, at(0));
    let asked = [(CapId(1), OfferId(1), window), (CapId(2), OfferId(1), window)];
    assert_eq!(open().cap_used(&asked).expect("asked"), [0, 0]);
    assert_eq!(open().cap_used(&[]).expect("asked"), []);
}

pub fn an_affiliates_tier_is_kept_and_taken_away(open: Open<'_>) {
    let ledger = open();
    let create = CreateAffiliate { tier: Some("gold".into()), ..create_affiliate() };
    let affiliate = ledger.create_affiliate(create, at(0)).expect("made").expect("accepted");
    let kept = || open().load_network().expect("loads").affiliates.remove(0).tier;
    assert_eq!((affiliate.tier, kept()), (Some("gold".to_owned()), Some("gold".to_owned())));
    for tier in [Some("silver".to_owned()), None] {
        let change = AffiliateChange { tier: Some(tier.clone()), ..AffiliateChange::default() };
        ledger.update_affiliate(affiliate.id, change).expect("made").expect("accepted");
        assert_eq!(kept(), tier);
    }
}

pub fn what_an_offer_says_of_its_conversions_is_kept(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = CreateOffer {
        approval_delay_seconds: Some(5400),
        min_conversion_seconds: Some(0),
        max_conversion_seconds: Some(60),
        allow_pixel_payout: true,
        ..create_offer(offer.advertiser_id)
    };
    let made = ledger.create_offer(create, at(0)).expect("made").expect("accepted");
    assert_eq!((made.approval_delay_seconds, made.allow_pixel_payout), (Some(5400), true));
    assert_eq!(open().load_network().expect("loads").offers[1], made);
    let change = OfferChange {
        approval_delay_seconds: Some(None),
        min_conversion_seconds: Some(Some(7)),
        max_conversion_seconds: Some(None),
        allow_pixel_payout: Some(false),
        ..OfferChange::default()
    };
    let mut expected = made.clone();
    change.clone().apply(&mut expected);
    assert_eq!(ledger.update_offer(made.id, change).expect("made"), Ok(expected.clone()));
    assert_eq!(open().load_network().expect("loads").offers[1], expected);
}
