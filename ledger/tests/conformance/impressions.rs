//! The promises about impressions.

use domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};
use domain::impression::{ImpressionKey, Impressions};
use ledger::Ledger;

use crate::sample::{Open, at};

fn shown(quarter: i64, offer_id: u32, campaign_id: Option<u32>, count: u64) -> Impressions {
    let key = ImpressionKey {
        quarter: at(quarter * 900),
        offer_id: OfferId(offer_id),
        affiliate_id: AffiliateId(7),
        campaign_id: campaign_id.map(CampaignId),
        creative_id: CreativeId(u32::MAX),
    };
    Impressions { key, count }
}

fn list(ledger: &dyn Ledger, from: i64, until: i64) -> Vec<Impressions> {
    let mut found = Vec::new();
    ledger.list_impressions(at(from * 900), at(until * 900), &mut |it| found.push(it)).expect("listed");
    found.sort_unstable_by_key(|it| it.key);
    found
}

pub fn impressions_of_one_kind_add_up(open: Open<'_>) {
    let ledger = open();
    ledger.add_impressions(&[]).expect("nothing to add");
    ledger.add_impressions(&[shown(1, 1, Some(5), 3), shown(1, 1, None, 1)]).expect("added");
    ledger.add_impressions(&[shown(1, 1, Some(5), 4), shown(1, 2, Some(5), 1)]).expect("added");
    ledger.add_impressions(&[shown(1, 2, Some(5), 1), shown(1, 2, Some(5), 1)]).expect("added");
    let expected = [shown(1, 1, None, 1), shown(1, 1, Some(5), 7), shown(1, 2, Some(5), 3)];
    assert_eq!(list(&*open(), 0, 9), expected, "also for whoever opens it anew");
}

pub fn impressions_are_listed_by_their_quarter(open: Open<'_>) {
    let ledger = open();
    let all = [4, 2, 3, 1].map(|quarter| shown(quarter, 1, None, 1));
    ledger.add_impressions(&all).expect("added");
    assert_eq!(list(&*ledger, 2, 4), [shown(2, 1, None, 1), shown(3, 1, None, 1)]);
    let mut quarters = Vec::new();
    ledger.list_impressions(at(0), at(99_999), &mut |it| quarters.push(it.key.quarter)).expect("listed");
    assert_eq!(quarters, [1, 2, 3, 4].map(|quarter| at(quarter * 900)));
}
