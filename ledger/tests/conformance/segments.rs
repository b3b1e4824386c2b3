//! The catalogue's promises.

use domain::ids::{AffiliateId, CampaignId, ClickId, NodeNumber, OfferId};
use domain::segment::{ReachedRows, Segment};

use crate::sample::Open;

fn segment(first_seq: u64) -> Segment {
    let click = |last: u64| ClickId::from_bytes(u128::from(first_seq + last).to_be_bytes());
    Segment {
        node: NodeNumber::new(1).expect("in range"),
        journal_file: 3,
        first_seq,
        last_seq: first_seq + 9,
        generation: 0,
        visitors_blanked: false,
        format: 1,
        rows: 10,
        file_bytes: 4096,
        first_click: click(0),
        last_click: click(9),
        rows_by_offer: vec![(OfferId(1), 4), (OfferId(u32::MAX), 6)],
        rows_by_affiliate: vec![(AffiliateId(2), 10)],
        // Some were catalogued before this was counted.
        reached: (first_seq > 1).then(|| ReachedRows {
            by_offer: vec![(OfferId(1), 3), (OfferId(9), 1)],
            by_campaign: vec![(CampaignId(5), 3)],
        }),
    }
}

pub fn a_segment_is_entered_once(open: Open<'_>) {
    let ledger = open();
    for first_seq in [11, 1, 11] {
        ledger.record_segment(&segment(first_seq)).expect("entered");
    }
    ledger.record_segment(&Segment { rows: 99, ..segment(1) }).expect("entered before");
    assert_eq!(open().list_segments().expect("listed"), [segment(1), segment(11)]);
}

pub fn segments_are_replaced_at_once_and_once(open: Open<'_>) {
    let ledger = open();
    let old = [segment(1), segment(11)];
    let old: Vec<&Segment> = old.iter().collect();
    let listed = || open().list_segments().expect("listed");
    for segment in &old {
        ledger.record_segment(segment).expect("entered");
    }
    ledger.record_segment(&segment(21)).expect("entered");
    let merged = Segment { generation: 1, visitors_blanked: true, last_seq: 20, rows: 20, ..segment(1) };
    for _ in 0..2 {
        ledger.replace_segments(&old, Some(&merged)).expect("replaced");
        assert_eq!(listed(), [merged.clone(), segment(21)]);
    }
    for _ in 0..2 {
        ledger.replace_segments(&[&segment(21)], None).expect("taken out");
        assert_eq!(listed(), std::slice::from_ref(&merged));
    }
    let not_all_there = ledger.replace_segments(&[&merged, &segment(31)], Some(&segment(41)));
    not_all_there.expect_err("one of them is not there");
    assert_eq!(listed(), [merged]);
}
