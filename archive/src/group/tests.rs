//! Every grouping against a naive scan, over recents and segments of all kinds.

use std::collections::BTreeMap;

use domain::archive_query::ClickFilter;
use domain::click::{Click, Country, Device, Disposition};
use domain::grouping::Value;
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId, NodeNumber, OfferId};
use domain::report::{
    Attribute, ClickCounts, ClickGroup, ClickGrouping, Filter, Period, TimeUnit, period_of, periods,
};
use domain::segment::Segment;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::record::{self, Record, Second};
use crate::{Archive, ArchiveError, Options};

const ALL: ClickFilter =
    ClickFilter { from: ClickId::MIN, before: ClickId::MAX, offer_id: None, affiliate_id: None };
/// Clocks are put back in New York on November 1st, and half an hour forward on Lord Howe Island the
/// month before.
const ZONES: [&str; 4] = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"];
/// Between two clicks: 1,500 are some four days.
const GAP_MS: u64 = 250_000;
/// Of cubes in memory: less than some tests' cubes take.
const CACHE_BYTES: u64 = 20_000;
const FIRST_MS: u64 = 1_793_300_000_000;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    Recents,
    Format1,
    Segment,
    /// Of format 1 or not, with a cube cut at the days of a zone.
    Cube(bool, &'static str),
}

fn click_id(index: u64) -> ClickId {
    let bits = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let unix_ms = FIRST_MS + index * GAP_MS + (bits >> 40) % GAP_MS;
    let id = (u128::from(unix_ms) << 80) | (0x7007 << 64) | (0b10 << 62) | u128::from(index);
    ClickId::from_bytes(id.to_be_bytes())
}

/// The `index`th click: of few kinds, so that cubes are worth while, but with a second sub id of its own.
pub(crate) fn click(index: u64) -> Click {
    let bits = (index / 4 % 23 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |shift: u32, below: u32| u32::try_from((bits >> shift) % u64::from(below)).expect("small");
    let name = |shift: u32, names: &[&str]| {
        names[pick(shift, u32::try_from(names.len()).expect("few")) as usize].to_owned()
    };
    Click {
        offer_id: OfferId(pick(3, 5)),
        advertiser_id: AdvertiserId(pick(3, 5) / 2),
        affiliate_id: AffiliateId(if pick(7, 50) == 0 { u32::MAX } else { pick(9, 7) }),
        campaign_id: (pick(11, 4) > 0).then(|| CampaignId(pick(13, 4))),
        creative_id: CreativeId(pick(15, 3)),
        disposition: Disposition::ALL[pick(17, 14) as usize],
        country: Country::new(&name(19, &["US", "DE", "??"])).unwrap_or_default(),
        device: Device::ALL[pick(20, 3) as usize],
        os: name(22, &["", "iOS"]),
        browser: name(24, &["", "Safari", "Chrome"]),
        sub_ids: [
            name(23, &["", "a", "b\0", "🦀"]),
            format!("{index:x}"),
            String::new(),
            name(25, &["x", "y"]),
            name(27, &["", "ß"]),
        ],
        referrer: name(29, &["", "https://a.example/1", "https://A.example/2", "http://b.example", "none"]),
        ..Click::blank(click_id(index))
    }
}

/// An archive in a folder of its own, and all its clicks.
pub(crate) struct Shelf {
    pub archive: Archive,
    pub dir: TempDir,
    pub clicks: Vec<Click>,
}

impl Shelf {
    /// One with a journal file of so many clicks for each pair.
    pub fn new(files: &[(u64, Kind)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options =
            Options { dir: dir.path().to_owned(), metadata_cache_max: 2, cube_cache_bytes: CACHE_BYTES };
        let archive = Archive::open(options, Vec::new()).expect("opens");
        let mut clicks: Vec<Click> = Vec::new();
        for (&(rows, kind), file) in files.iter().zip(1..) {
            let start = clicks.len() as u64;
            let mut own: Vec<Click> = (start..start + rows).map(click).collect();
            if kind.is_format_1() {
                own = own.iter().map(of_format_1).collect();
            }
            push(&archive, file, start, &own);
            clicks.extend(own);
        }
        for (&(rows, kind), file) in files.iter().zip(1..) {
            if rows > 0 && kind != Kind::Recents {
                seal(&archive, file, kind);
            }
        }
        Self { archive, dir, clicks }
    }

    /// One with a journal file of these.
    pub fn of(clicks: Vec<Click>, kind: Kind) -> Self {
        let Self { archive, dir, .. } = Self::new(&[]);
        push(&archive, 1, 0, &clicks);
        seal(&archive, 1, kind);
        Self { archive, dir, clicks }
    }
}

fn of_format_1(click: &Click) -> Click {
    let Record { first, .. } = Record::from(click);
    Record { first, second: Second::default() }.to_click()
}

fn push(archive: &Archive, file: u64, seq: u64, clicks: &[Click]) {
    let encoded = |click: &Click| {
        let mut bytes = Vec::new();
        record::encode(click, &mut bytes);
        bytes
    };
    let records: Vec<Vec<u8>> = clicks.iter().map(encoded).collect();
    archive.push_recents(file, (seq..).zip(records.iter().map(Vec::as_slice))).expect("in order");
}

fn seal(archive: &Archive, file: u64, kind: Kind) {
    let node = NodeNumber::new(7).expect("in range");
    let mut segment = archive.write_segment(node, file).expect("written").expect("has recents");
    if kind.is_format_1() {
        let of_file = ClickFilter { from: segment.first_click, ..ALL };
        let rows = usize::try_from(segment.rows).expect("few");
        let clicks = archive.list(&of_file, 0, rows).expect("readable").clicks;
        let records: Vec<Record<'_>> = clicks.iter().map(Record::from).collect();
        let old = Segment { format: 1, ..segment };
        let written = archive.folder.write(&old, |path| crate::segment::write(path, &old, &records));
        segment = Segment { file_bytes: written.expect("written"), ..old };
    }
    archive.publish(segment.clone());
    if let Kind::Cube(_, name) = kind {
        archive.make_cube(&segment, &zone(name), &|| false).expect("made");
    }
}

impl Kind {
    fn is_format_1(self) -> bool {
        matches!(self, Self::Format1 | Self::Cube(true, _))
    }
}

/// The groups there are, the slow way.
pub(crate) fn naive(
    clicks: &[Click],
    grouping: &ClickGrouping,
) -> BTreeMap<(usize, Vec<Value>), ClickCounts> {
    let mut groups = BTreeMap::new();
    for click in clicks {
        let value = |it: &Attribute| it.of_click(click).expect("clicks have it");
        let Some(period) = period_of(&grouping.periods, click.date()) else { continue };
        if grouping.filters.iter().all(|it| it.admits(&value(&it.attribute))) {
            let values = grouping.attributes.iter().map(value).collect();
            let counts: &mut ClickCounts = groups.entry((period, values)).or_default();
            counts.add(click.disposition, 1);
        }
    }
    groups
}

pub(crate) fn sorted(groups: Vec<ClickGroup>) -> BTreeMap<(usize, Vec<Value>), ClickCounts> {
    let count = groups.len();
    let sorted: BTreeMap<_, _> = groups.into_iter().map(|it| ((it.period, it.values), it.counts)).collect();
    assert_eq!(sorted.len(), count, "each group once");
    sorted
}

fn of_clicks() -> Vec<Attribute> {
    Attribute::ALL.into_iter().filter(|it| it.is_of_clicks()).collect()
}

/// A value of some click there is, or of none.
fn any_filter() -> impl Strategy<Value = Filter> {
    let attribute = prop::sample::select(of_clicks());
    (attribute, prop::collection::vec(prop::option::of(0..2000_u64), 1..4)).prop_map(|(attribute, like)| {
        let value = |index: Option<u64>| match index {
            Some(index) => attribute.of_click(&click(index)).expect("clicks have it"),
            None => Value::text("of none"),
        };
        Filter { attribute, values: like.into_iter().map(value).collect() }
    })
}

pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a known zone")
}

/// A moment among the clicks or near them, often a full hour.
fn any_moment() -> impl Strategy<Value = Timestamp> {
    (0..2500_u64, prop::sample::select(vec![1, 1000, 3_600_000_i64, 3_600_000])).prop_map(|(index, unit)| {
        let ms = i64::try_from(FIRST_MS + index * GAP_MS).expect("in range");
        Timestamp::from_millisecond(ms - ms % unit).expect("in range")
    })
}

pub(crate) fn any_grouping() -> impl Strategy<Value = ClickGrouping> {
    let units = vec![None, Some(TimeUnit::Hour), Some(TimeUnit::Day), Some(TimeUnit::Week)];
    let time =
        (any_moment(), any_moment(), prop::sample::select(units), prop::sample::select(ZONES.to_vec()));
    let attributes = prop::sample::subsequence(of_clicks(), 0..5).prop_shuffle();
    (time, attributes, prop::collection::vec(any_filter(), 0..3)).prop_map(|(time, attributes, filters)| {
        let (from, until, unit, name) = time;
        let periods = periods(from.min(until), from.max(until), unit, &zone(name));
        ClickGrouping { periods, attributes, filters, groups_max: 100_000 }
    })
}

pub(crate) fn any_files() -> impl Strategy<Value = Vec<(u64, Kind)>> {
    let cube =
        (any::<bool>(), prop::sample::select(ZONES.to_vec())).prop_map(|(old, name)| Kind::Cube(old, name));
    let kind = prop_oneof![Just(Kind::Recents), Just(Kind::Format1), Just(Kind::Segment), cube.clone(), cube];
    prop::collection::vec((0u64..900, kind), 0..5)
}

/// All of time, in one.
pub(crate) fn ever() -> Vec<Period> {
    periods(Timestamp::UNIX_EPOCH, Timestamp::MAX - 1.second(), None, &TimeZone::UTC)
}

pub(crate) fn by(attributes: &[Attribute]) -> ClickGrouping {
    let (attributes, filters) = (attributes.to_vec(), Vec::new());
    ClickGrouping { periods: ever(), attributes, filters, groups_max: 100_000 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_grouping_equals_a_naive_scan(
        files in any_files(),
        groupings in prop::collection::vec(any_grouping(), 12),
    ) {
        let shelf = Shelf::new(&files);
        prop_assert_eq!(&shelf.archive.list(&ALL, 0, usize::MAX).expect("readable").clicks, &shelf.clicks);
        for grouping in groupings {
            let found = sorted(shelf.archive.group(&grouping).expect("readable"));
            prop_assert_eq!(found, naive(&shelf.clicks, &grouping));
            prop_assert!(shelf.archive.folder.cubes.bytes() <= CACHE_BYTES);
        }
    }
}

#[test]
fn as_many_groups_as_there_may_be_are_found_and_one_more_is_an_error() {
    let own = by(&[Attribute::SubId(1)]);
    for kind in [Kind::Recents, Kind::Segment, Kind::Cube(false, "UTC")] {
        let shelf = Shelf::new(&[(900, kind)]);
        let group = |groups_max| shelf.archive.group(&ClickGrouping { groups_max, ..own.clone() });
        assert_eq!(group(900).expect("not too many").len(), 900);
        assert!(matches!(group(899), Err(ArchiveError::TooManyGroups(it)) if it.max == 899));
        // What is filtered out is no group.
        let filters = vec![Filter { attribute: Attribute::Offer, values: vec![Value::Id(3)] }];
        let few = ClickGrouping { filters, ..own.clone() };
        let few = ClickGrouping { groups_max: naive(&shelf.clicks, &few).len(), ..few };
        assert_eq!(sorted(shelf.archive.group(&few).expect("not too many")), naive(&shelf.clicks, &few));
    }
    // Each thread finds no more than there may be, both together do.
    let shelf = Shelf::new(&[(700, Kind::Cube(false, "UTC")), (700, Kind::Segment)]);
    let grouping = ClickGrouping { groups_max: 1399, ..own };
    assert!(matches!(shelf.archive.group(&grouping), Err(ArchiveError::TooManyGroups(it)) if it.max == 1399));
}

#[test]
fn no_time_and_no_clicks_are_no_groups() {
    let shelf = Shelf::new(&[(10, Kind::Cube(false, "UTC")), (10, Kind::Recents)]);
    let never = ClickGrouping { periods: Vec::new(), ..by(&[Attribute::Offer]) };
    assert_eq!(shelf.archive.group(&never).expect("nothing"), []);
    let before = periods(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + 1.hour(), None, &TimeZone::UTC);
    let long_ago = ClickGrouping { periods: before, ..by(&[]) };
    assert_eq!(shelf.archive.group(&long_ago).expect("nothing"), []);
    let all = shelf.archive.group(&by(&[])).expect("readable");
    assert_eq!(all.iter().map(|it| (it.values.len(), it.counts.total())).collect::<Vec<_>>(), [(0, 20)]);
}
