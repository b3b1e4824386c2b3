//! Every question against a naive scan, with clicks in recents and in segments.

use archive::Reached;
use domain::archive_query::ClickFilter;
use domain::click::Click;
use domain::ids::{AffiliateId, ClickId, OfferId};
use domain::segment::Segment;
use proptest::prelude::*;

use crate::builders::{AFFILIATES, ALL, OFFERS, Shelf, click, clicks, naive, push, seal};

/// An archive with one journal file per pair: how many clicks, and whether it is sealed.
fn shelf_of(files: &[(u64, bool)]) -> Shelf {
    let shelf = Shelf::empty();
    let mut start = 0;
    for (&(rows, _), file) in files.iter().zip(1..) {
        push(&shelf.archive, file, start, &clicks(start..start + rows));
        start += rows;
    }
    for (&(rows, sealed), file) in files.iter().zip(1..) {
        if sealed && rows > 0 {
            seal(&shelf.archive, file);
        }
    }
    shelf
}

fn any_files() -> impl Strategy<Value = Vec<(u64, bool)>> {
    // Up to three pages of a segment, up to six blocks of recents.
    prop::collection::vec((0u64..1500, any::<bool>()), 0..5)
}

/// Ids of clicks there are, ids between them, and ids beyond them.
fn any_bound() -> impl Strategy<Value = ClickId> {
    let near = (0u64..7000, 0..3u128).prop_map(|(index, off)| {
        let id = u128::from_be_bytes(click(index).id.to_bytes()) + off - 1;
        ClickId::from_bytes(id.to_be_bytes())
    });
    prop_oneof![4 => near, 1 => Just(ClickId::MIN), 1 => Just(ClickId::MAX)]
}

fn any_filter() -> impl Strategy<Value = ClickFilter> {
    let offer = prop::option::of(0..=OFFERS);
    let affiliate = prop::option::of(prop_oneof![0..=AFFILIATES, Just(u32::MAX)]);
    (any_bound(), any_bound(), offer, affiliate).prop_map(|(from, before, offer, affiliate)| ClickFilter {
        from,
        before,
        offer_id: offer.map(OfferId),
        affiliate_id: affiliate.map(AffiliateId),
    })
}

/// The newest of a device's clicks, the slow way.
fn naive_of_device(
    all: &[Click],
    filter: &ClickFilter,
    udid: &str,
    rows_max: usize,
    read_max: usize,
) -> Option<Click> {
    let in_range = all.iter().rev().filter(|it| filter.from <= it.id && it.id < filter.before);
    let looked_at = in_range.take(rows_max).filter(|it| it.udid == udid);
    let mut matching =
        looked_at.filter(|it| filter.offer_id.is_none_or(|id| id == it.offer_id)).take(read_max);
    matching.find(|it| it.disposition.reached_the_offer()).cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_ids_a_segment_lacks_are_those_of_no_click_in_it(
        rows in 1u64..20_000,
        mut asked in prop::collection::vec(any_bound(), 0..50),
    ) {
        let own = clicks(0..rows);
        let (shelf, segment) = Shelf::sealed(&own);
        asked.sort_unstable();
        let mut expected = asked.clone();
        expected.retain(|id| own.binary_search_by_key(id, |click| click.id).is_err());
        prop_assert_eq!(shelf.archive.missing_from(&segment, &asked).expect("readable"), expected);
    }

    #[test]
    fn the_newest_click_of_a_device_equals_a_naive_scan(
        files in any_files(),
        questions in prop::collection::vec((any_filter(), 0u64..7000, 0usize..4000), 12),
    ) {
        let shelf = shelf_of(&files);
        let all = clicks(0..files.iter().map(|(rows, _)| rows).sum());
        for (filter, like, rows_max) in questions {
            let filter = ClickFilter { affiliate_id: None, ..filter };
            let udid = click(like).udid;
            let wanted = |click: &Click| click.disposition.reached_the_offer();
            let found = shelf.archive.find_newest_of_device(&filter, &udid, rows_max, wanted);
            // A segment that the catalogue knows to be without the offer is not looked through, so more of
            // the older ones may be.
            let naive = |rows_max| naive_of_device(&all, &filter, &udid, rows_max, 100);
            let found = found.expect("readable");
            if filter.offer_id.is_none() {
                prop_assert_eq!(&found, &naive(rows_max));
            }
            prop_assert!(found == naive(rows_max) || found == naive(usize::MAX));
        }
    }

    #[test]
    fn every_list_and_count_equals_a_naive_scan(
        files in any_files(),
        questions in prop::collection::vec((any_filter(), 0u64..3000, 0usize..2000), 12),
    ) {
        let shelf = shelf_of(&files);
        let all = clicks(0..files.iter().map(|(rows, _)| rows).sum());
        for (filter, offset, limit) in questions {
            let expected = naive(&all, &filter, offset, limit);
            prop_assert_eq!(shelf.archive.count(&filter).expect("readable"), expected.total);
            prop_assert_eq!(shelf.archive.list(&filter, offset, limit).expect("readable"), expected);
            let first = naive(&all, &filter, 0, limit).clicks;
            prop_assert_eq!(shelf.archive.first(&filter, limit).expect("readable"), first);
        }
    }

    #[test]
    fn every_count_of_clicks_that_reached_an_offer_equals_a_naive_scan(
        files in any_files(),
        catalogued_before: bool,
        ranges in prop::collection::vec((any_bound(), any_bound()), 12),
    ) {
        let shelf = shelf_of(&files);
        let all = clicks(0..files.iter().map(|(rows, _)| rows).sum());
        if catalogued_before {
            for segment in shelf.archive.segments().iter() {
                shelf.archive.publish(Segment { reached: None, ..Segment::clone(segment) });
            }
        }
        for (from, before) in ranges {
            let mut expected = Reached::default();
            for click in all.iter().filter(|click| from <= click.id && click.id < before) {
                if let Some(offer_id) = click.reached_offer_id() {
                    *expected.by_offer.entry(offer_id).or_default() += 1;
                }
                if let Some(id) = click.campaign_id.filter(|_| click.disposition.reached_the_offer()) {
                    *expected.by_campaign.entry(id).or_default() += 1;
                }
            }
            prop_assert_eq!(shelf.archive.reached(from, before).expect("readable"), expected);
        }
    }
}

#[test]
fn each_click_is_found_before_and_after_sealing_and_no_other() {
    let shelf = Shelf::empty();
    let all = clicks(0..1300);
    push(&shelf.archive, 1, 0, &all[..700]);
    push(&shelf.archive, 2, 700, &all[700..]);
    let find_all = || {
        for click in &all {
            assert_eq!(shelf.archive.find(click.id).expect("readable").as_ref(), Some(click));
            let between = ClickId::from_bytes((u128::from_be_bytes(click.id.to_bytes()) + 1).to_be_bytes());
            assert_eq!(shelf.archive.find(between).expect("readable"), None);
        }
    };
    find_all();
    assert_eq!(shelf.archive.find_recent(all[3].id).as_ref(), Some(&all[3]));
    seal(&shelf.archive, 1);
    find_all();
    assert_eq!(shelf.archive.find_recent(all[3].id), None);
    seal(&shelf.archive, 2);
    find_all();
    for id in [ClickId::MIN, ClickId::MAX] {
        assert_eq!(shelf.archive.find(id).expect("readable"), None);
    }
}

#[test]
fn a_walk_in_pages_of_333_meets_each_click_once() {
    let shelf = shelf_of(&[(1100, true), (600, true), (900, false)]);
    let mut met = Vec::new();
    while let page = shelf.archive.list(&ALL, met.len() as u64, 333).expect("readable")
        && !page.clicks.is_empty()
    {
        assert_eq!(page.total, 2600);
        met.extend(page.clicks);
    }
    assert_eq!(met, clicks(0..2600));
}

#[test]
fn a_page_of_ten_thousand_crosses_from_segments_into_recents() {
    let shelf = shelf_of(&[(4000, true), (4000, true), (4000, false)]);
    let page = shelf.archive.list(&ALL, 1000, 10_000).expect("readable");
    assert_eq!(page, naive(&clicks(0..12_000), &ALL, 1000, 10_000));
}

#[test]
fn an_offset_behind_the_end_gives_no_clicks_but_the_total() {
    let shelf = shelf_of(&[(700, true), (300, false)]);
    for offset in [1000, 5000, u64::MAX] {
        let page = shelf.archive.list(&ALL, offset, 10).expect("readable");
        assert_eq!((page.total, page.clicks.len()), (1000, 0));
    }
}

#[test]
fn only_so_many_clicks_of_a_device_are_read() {
    let shelf = Shelf::empty();
    let same = |index| Click { udid: "device".into(), ..click(index) };
    let all: Vec<Click> = (0..300).map(same).collect();
    push(&shelf.archive, 1, 0, &all[..150]);
    push(&shelf.archive, 2, 150, &all[150..]);
    seal(&shelf.archive, 1);
    let find = |id: ClickId| {
        let found = shelf.archive.find_newest_of_device(&ALL, "device", 1000, |click| click.id == id);
        found.expect("readable").map(|click| click.id)
    };
    assert_eq!(find(all[200].id), Some(all[200].id));
    assert_eq!(find(all[199].id), None);
    let within = shelf.archive.find_newest_of_device(&ALL, "device", 160, |it| it.id == all[140].id);
    assert_eq!(within.expect("readable"), None, "beyond what is looked through");
}
