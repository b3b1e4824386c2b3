//! What the ledger promises of creatives, landing pages, rules and caps.

use domain::caps::{AtCap, CAPS_MAX, CapStatus, CapType, Interval};
use domain::ids::{CampaignId, CapId, CreativeId, EventId, LandingPageId, OfferId, RuleId};
use domain::network::{LANDING_PAGES_MAX, MediaStatus, Redirect};
use domain::network_change::{
    CapChange, CreateCap, CreateCreative, CreateLandingPage, CreateRule, CreativeChange, EntityKind,
    LandingPageChange, Rejected, RuleChange,
};
use domain::targeting::{Condition, RULES_MAX, RuleStatus, RuleType};
use domain::tokens::UrlTemplate;
use ledger::Ledger;

use crate::sample::{Open, amount, at, create_offer, with_campaign};

fn url(text: &str) -> UrlTemplate {
    UrlTemplate::parse(text).expect("a url")
}

fn conditions(all: &[(&str, &str)]) -> Vec<Condition> {
    all.iter().map(|(target, values)| Condition::parse(target, values).expect("a condition")).collect()
}

fn create_creative(offer_id: OfferId) -> CreateCreative {
    let url = Some(url("https://shop.example/banner?id={click_id}"));
    CreateCreative { offer_id, name: "Banner".into(), status: MediaStatus::Paused, url }
}

fn create_landing_page(offer_id: OfferId) -> CreateLandingPage {
    CreateLandingPage {
        offer_id,
        name: "Long".into(),
        url: url("https://shop.example/long?id={click_id}"),
        weight: 70,
        status: MediaStatus::Active,
    }
}

fn create_rule(offer_id: OfferId) -> CreateRule {
    CreateRule {
        offer_id: Some(offer_id),
        campaign_id: None,
        position: None,
        rule_type: RuleType::Allow,
        status: RuleStatus::Active,
        conditions: conditions(&[("country", "US,CA"), ("sub_id_2", "a=b,c*"), ("percentage", "12.5")]),
        redirect: Some(Redirect::Url(url("https://elsewhere.example/"))),
    }
}

fn create_cap(offer_id: OfferId) -> CreateCap {
    CreateCap {
        offer_id: Some(offer_id),
        campaign_id: None,
        event_id: None,
        cap_type: CapType::Click,
        interval: Interval::Daily,
        limit: amount("100"),
        at_cap: AtCap::Redirect,
    }
}

fn other_offer(ledger: &dyn Ledger) -> OfferId {
    let advertiser_id = ledger.load_network().expect("loads").advertisers[0].id;
    ledger.create_offer(create_offer(advertiser_id), at(0)).expect("made").expect("accepted").id
}

pub fn a_creative_is_kept_and_the_default_one_stays_active(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let update = |id, change| ledger.update_creative(id, change).expect("asked");
    let made = ledger.create_creative(create_creative(offer.id), at(7)).expect("made").expect("accepted");
    assert_eq!((made.status, made.created), (MediaStatus::Paused, at(7)));
    assert_eq!(open().load_network().expect("loads").creatives[1], made);
    let change = CreativeChange { url: Some(None), name: Some("Text".into()), ..CreativeChange::default() };
    let changed = update(made.id, change).expect("accepted");
    assert_eq!((changed.name.as_str(), &changed.url, changed.status), ("Text", &None, made.status));
    assert_eq!(open().load_network().expect("loads").creatives[1], changed);
    let paused = || CreativeChange { status: Some(MediaStatus::Paused), ..CreativeChange::default() };
    assert_eq!(update(offer.creative_id, paused()).err(), Some(Rejected::DefaultCreative));
    assert_eq!(update(CreativeId(99), paused()).err(), Some(Rejected::NotFound(EntityKind::Creative)));
    let nowhere = ledger.create_creative(create_creative(OfferId(99)), at(0)).expect("asked");
    assert_eq!(nowhere.err(), Some(Rejected::NotFound(EntityKind::Offer)));
}

pub fn a_landing_page_is_kept_and_an_offer_has_at_most_a_hundred(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = |id| ledger.create_landing_page(create_landing_page(id), at(7)).expect("asked");
    let set = |id, status| {
        let change = LandingPageChange { status: Some(status), ..LandingPageChange::default() };
        ledger.update_landing_page(id, change).expect("asked")
    };
    let first = create(offer.id).expect("accepted");
    assert_eq!(open().load_network().expect("loads").landing_pages, std::slice::from_ref(&first));
    let change = LandingPageChange { weight: Some(0), ..LandingPageChange::default() };
    let changed = ledger.update_landing_page(first.id, change).expect("made").expect("accepted");
    assert_eq!((changed.weight, changed.url), (0, first.url));
    for _ in 1..LANDING_PAGES_MAX {
        create(offer.id).expect("accepted");
    }
    let full = Some(Rejected::TooMany(EntityKind::LandingPage));
    assert_eq!(create(offer.id).err(), full);
    create(other_offer(&*ledger)).expect("another offer has its own");
    set(first.id, MediaStatus::Deleted).expect("accepted");
    let last = create(offer.id).expect("accepted");
    assert_eq!(set(first.id, MediaStatus::Active).err(), full);
    set(last.id, MediaStatus::Paused).expect("accepted");
    let unknown = Some(Rejected::NotFound(EntityKind::LandingPage));
    assert_eq!(set(LandingPageId(999), MediaStatus::Active).err(), unknown);
    assert_eq!(create(OfferId(99)).err(), Some(Rejected::NotFound(EntityKind::Offer)));
}

pub fn every_version_of_a_rule_is_kept(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let create = CreateRule { campaign_id: Some(campaign.id), ..create_rule(offer.id) };
    let first = ledger.create_rule(create, at(1)).expect("made").expect("accepted");
    assert_eq!((first.version, first.campaign_id, first.position), (1, Some(campaign.id), 1));
    let change = RuleChange {
        conditions: conditions(&[("country", "DE"), ("bot", "false")]),
        without: vec!["sub_id_2"],
        redirect: Some(None),
        ..RuleChange::default()
    };
    let second = ledger.update_rule(first.id, change, at(2)).expect("made").expect("accepted");
    let values: Vec<_> = second.conditions.iter().map(|it| (it.target(), it.values())).collect();
    let expected = [("percentage", "12.50"), ("country", "DE"), ("bot", "false")];
    assert_eq!(values, expected.map(|(target, values)| (target, values.to_owned())));
    assert_eq!((second.version, &second.redirect), (2, &None));
    let change = RuleChange { status: Some(RuleStatus::Deleted), ..RuleChange::default() };
    let third = ledger.update_rule(first.id, change, at(3)).expect("made").expect("accepted");
    let ledger = open();
    assert_eq!(ledger.load_network().expect("loads").rules, std::slice::from_ref(&third));
    for rule in [first, second, third] {
        assert_eq!(ledger.find_rule_version(rule.id, rule.version).expect("asked"), Some(rule));
    }
    assert_eq!(ledger.find_rule_version(RuleId(1), 4).expect("asked"), None);
    assert_eq!(ledger.find_rule_version(RuleId(2), 1).expect("asked"), None);
}

pub fn a_rule_always_asks_for_something(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = CreateRule { conditions: Vec::new(), ..create_rule(offer.id) };
    assert_eq!(
        ledger.create_rule(create, at(0)).expect("asked").err(),
        Some(Rejected::NoConditions(EntityKind::Rule))
    );
    let create = CreateRule { conditions: conditions(&[("os", "iOS")]), ..create_rule(offer.id) };
    let rule = ledger.create_rule(create, at(0)).expect("asked").expect("accepted");
    let change = RuleChange { without: vec!["os"], ..RuleChange::default() };
    let emptied = ledger.update_rule(rule.id, change, at(1)).expect("asked");
    assert_eq!(emptied.err(), Some(Rejected::NoConditions(EntityKind::Rule)));
    assert_eq!(ledger.load_network().expect("loads").rules, std::slice::from_ref(&rule));
    assert_eq!(ledger.find_rule_version(rule.id, 2).expect("asked"), None);
}

pub fn a_rule_comes_after_all_others_unless_told_otherwise(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let other = other_offer(&*ledger);
    let position = |offer_id, position| {
        let create = CreateRule { position, ..create_rule(offer_id) };
        ledger.create_rule(create, at(0)).expect("asked").expect("accepted").position
    };
    assert_eq!(position(offer.id, Some(7)), 7);
    assert_eq!(position(offer.id, None), 8);
    assert_eq!(position(other, None), 1);
}

pub fn an_offer_has_at_most_fifty_rules(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = || ledger.create_rule(create_rule(offer.id), at(0)).expect("asked");
    let set = |id, status| {
        let change = RuleChange { status: Some(status), ..RuleChange::default() };
        ledger.update_rule(id, change, at(1)).expect("asked")
    };
    let first = create().expect("accepted");
    for _ in 1..RULES_MAX {
        create().expect("accepted");
    }
    let full = Some(Rejected::TooMany(EntityKind::Rule));
    assert_eq!(create().err(), full);
    set(first.id, RuleStatus::Deleted).expect("accepted");
    create().expect("accepted");
    assert_eq!(set(first.id, RuleStatus::Paused).err(), full);
}

pub fn rules_and_caps_belong_to_an_offer_and_its_campaigns(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let other = other_offer(&*ledger);
    let rule = |offer_id, campaign_id| {
        let create = CreateRule { offer_id, campaign_id, ..create_rule(offer.id) };
        ledger.create_rule(create, at(0)).expect("asked").map(|it| it.offer_id)
    };
    let cap = |offer_id, campaign_id| {
        let create = CreateCap { offer_id, campaign_id, ..create_cap(offer.id) };
        ledger.create_cap(create, at(0)).expect("asked").map(|it| it.offer_id)
    };
    for (offer_id, campaign_id, expected) in [
        (None, Some(campaign.id), Ok(offer.id)),
        (Some(offer.id), Some(campaign.id), Ok(offer.id)),
        (Some(offer.id), None, Ok(offer.id)),
        (Some(other), Some(campaign.id), Err(Rejected::CampaignOfOtherOffer)),
        (Some(other), Some(CampaignId(99)), Err(Rejected::NotFound(EntityKind::Campaign))),
        (Some(OfferId(99)), Some(campaign.id), Err(Rejected::NotFound(EntityKind::Offer))),
        (None, None, Err(Rejected::NotFound(EntityKind::Offer))),
    ] {
        assert_eq!(rule(offer_id, campaign_id), expected, "{offer_id:?} {campaign_id:?}");
        assert_eq!(cap(offer_id, campaign_id), expected, "{offer_id:?} {campaign_id:?}");
    }
    let redirected = |to| {
        let create = CreateRule { redirect: Some(Redirect::Offer(to)), ..create_rule(offer.id) };
        ledger.create_rule(create, at(0)).expect("asked").err()
    };
    assert_eq!(redirected(offer.id), Some(Rejected::RedirectsToItself));
    assert_eq!(redirected(OfferId(99)), Some(Rejected::RedirectNotFound));
    assert_eq!(redirected(other), None);
    let unknown = ledger.update_rule(RuleId(99), RuleChange::default(), at(0)).expect("asked");
    assert_eq!(unknown.err(), Some(Rejected::NotFound(EntityKind::Rule)));
}

pub fn a_cap_is_kept_and_does_at_its_limit_what_suits_what_it_counts(open: Open<'_>) {
    let ledger = open();
    let (offer, campaign) = with_campaign(&*ledger);
    let create = |create| ledger.create_cap(create, at(7)).expect("asked");
    let update = |id, change| ledger.update_cap(id, change).expect("asked");
    let clicks = create(CreateCap { campaign_id: Some(campaign.id), ..create_cap(offer.id) });
    let clicks = clicks.expect("accepted");
    let payout = CreateCap {
        event_id: Some(EventId(1)),
        cap_type: CapType::Payout,
        interval: Interval::Overall,
        limit: amount("1000.5"),
        at_cap: AtCap::AdvertiserOnly,
        ..create_cap(offer.id)
    };
    let payout = create(payout).expect("accepted");
    assert_eq!((clicks.status, clicks.created), (CapStatus::Active, at(7)));
    assert_eq!(open().load_network().expect("loads").caps, [clicks.clone(), payout.clone()]);
    let change = CapChange {
        interval: Some(Interval::Weekly),
        limit: Some(amount("0")),
        at_cap: Some(AtCap::Stop),
        status: Some(CapStatus::Deleted),
    };
    let mut expected = clicks.clone();
    change.clone().apply(&mut expected);
    assert_eq!(update(clicks.id, change), Ok(expected.clone()));
    assert_eq!(open().load_network().expect("loads").caps[0], expected);
    let unsuitable = create(CreateCap { at_cap: AtCap::Neither, ..create_cap(offer.id) });
    assert_eq!(unsuitable.err(), Some(Rejected::UnsuitableAtCap));
    let change = CapChange { at_cap: Some(AtCap::Redirect), ..CapChange::default() };
    assert_eq!(update(payout.id, change).err(), Some(Rejected::UnsuitableAtCap));
    let uneven = create(CreateCap { limit: amount("1.5"), ..create_cap(offer.id) });
    assert_eq!(uneven.err(), Some(Rejected::UnevenLimit));
    let unknown = update(CapId(99), CapChange::default());
    assert_eq!(unknown.err(), Some(Rejected::NotFound(EntityKind::Cap)));
}

pub fn an_offer_has_at_most_a_thousand_caps(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let create = || ledger.create_cap(create_cap(offer.id), at(0)).expect("asked");
    let set = |id, status| {
        let change = CapChange { status: Some(status), ..CapChange::default() };
        ledger.update_cap(id, change).expect("asked")
    };
    let first = create().expect("accepted");
    for _ in 1..CAPS_MAX {
        create().expect("accepted");
    }
    let full = Some(Rejected::TooMany(EntityKind::Cap));
    assert_eq!(create().err(), full);
    set(first.id, CapStatus::Deleted).expect("accepted");
    create().expect("accepted");
    assert_eq!(set(first.id, CapStatus::Active).err(), full);
}

pub fn what_decides_clicks_raises_the_networks_version(open: Open<'_>) {
    let ledger = open();
    let (offer, _) = with_campaign(&*ledger);
    let mut before = ledger.network_version().expect("read");
    let mut raised = |by| {
        let now = ledger.network_version().expect("read");
        assert_eq!(now - std::mem::replace(&mut before, now), by);
    };
    ledger.create_creative(create_creative(offer.id), at(0)).expect("made").expect("accepted");
    raised(1);
    ledger.create_landing_page(create_landing_page(offer.id), at(0)).expect("made").expect("accepted");
    raised(1);
    ledger.create_rule(create_rule(offer.id), at(0)).expect("made").expect("accepted");
    raised(1);
    ledger.create_cap(create_cap(offer.id), at(0)).expect("made").expect("accepted");
    raised(1);
    ledger.create_cap(create_cap(OfferId(99)), at(0)).expect("asked").expect_err("rejected");
    raised(0);
}
