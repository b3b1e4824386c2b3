//! Clicks and archives to test with.

use archive::{Archive, ArchiveError, Options, record};
use domain::archive_query::{ClickFilter, ClickPage};
use domain::click::{Click, Country, Device, Disposition};
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId};
use domain::ids::{LandingPageId, NodeNumber, OfferId};
use domain::segment::Segment;
use tempfile::TempDir;

/// Few of each, so that filters meet often.
pub const OFFERS: u32 = 5;
pub const AFFILIATES: u32 = 7;

pub const ALL: ClickFilter =
    ClickFilter { from: ClickId::MIN, before: ClickId::MAX, offer_id: None, affiliate_id: None };

pub fn node() -> NodeNumber {
    NodeNumber::new(7).expect("in range")
}

fn click_id(index: u64) -> ClickId {
    let unix_ms = 1_768_470_131_000 + index / 3;
    let id = (u128::from(unix_ms) << 80) | (0x7007 << 64) | (0b10 << 62) | (u128::from(index) << 24);
    ClickId::from_bytes(id.to_be_bytes())
}

/// The `index`th click: ids grow with it, everything else varies.
pub fn click(index: u64) -> Click {
    // Some scrambled bits per click (the constant is that of Fibonacci hashing).
    let bits = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |shift: u32, below: u32| u32::try_from((bits >> shift) % u64::from(below)).expect("small");
    let strange = ["", "\0", "🦀 emoji", "'; drop table clicks; --", "line\nbreak\t\"quoted\"", "ß"];
    let text = |shift: u32| format!("{}{}", strange[pick(shift, 6) as usize], pick(shift, 1000));
    Click {
        id: click_id(index),
        offer_id: OfferId(pick(3, OFFERS)),
        advertiser_id: AdvertiserId(pick(5, 3)),
        affiliate_id: AffiliateId(if pick(7, 50) == 0 { u32::MAX } else { pick(9, AFFILIATES) }),
        campaign_id: (pick(11, 4) > 0).then(|| CampaignId(pick(13, 100))),
        creative_id: CreativeId(pick(15, 20)),
        landing_page_id: (pick(2, 3) > 0).then(|| LandingPageId(pick(4, 9))),
        redirect_offer_id: (pick(6, 9) == 0).then(|| OfferId(pick(8, OFFERS))),
        disposition: Disposition::ALL[pick(17, 14) as usize],
        rules: ["", "1+", "1-2+", "12-13-14+"][pick(10, 4) as usize].into(),
        visitor_id: (pick(12, 3) == 0).then(|| click_id(index / 2)),
        country: Country::new(["US", "DE", "??"][pick(19, 3) as usize]).unwrap_or_default(),
        region: ["", "CA", "NW"][pick(14, 3) as usize].into(),
        asn: (pick(16, 5) > 0).then(|| pick(18, 400_000)),
        device: Device::ALL[pick(20, 8) as usize],
        os: ["", "iOS", "Windows"][pick(22, 3) as usize].into(),
        browser: ["", "Safari", "Chrome"][pick(24, 3) as usize].into(),
        language: ["", "en", "de"][pick(26, 3) as usize].into(),
        ip_address: match pick(21, 3) {
            0 => None,
            1 => Some(std::net::IpAddr::from(pick(1, u32::MAX).to_be_bytes())),
            _ => Some(std::net::IpAddr::from(u128::from(bits).to_be_bytes())),
        },
        sub_ids: [
            text(23),
            format!("{bits:x}"),
            String::new(),
            text(25),
            strange[pick(27, 6) as usize].into(),
        ],
        user_agent: format!("Mozilla/5.0 (like {})", pick(29, 40)),
        referrer: text(31),
        udid: strange[pick(33, 6) as usize].into(),
        extra_query: text(35),
        redirect_url: format!("https://shop{}.example/?cid=#reqid#", pick(37, 9)),
    }
}

pub fn clicks(range: std::ops::Range<u64>) -> Vec<Click> {
    range.map(click).collect()
}

/// An archive in a folder of its own.
pub struct Shelf {
    pub archive: Archive,
    pub dir: TempDir,
}

impl Shelf {
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let archive = open(&dir, Vec::new()).expect("an empty archive opens");
        Self { archive, dir }
    }

    /// One whose only content is a segment of these clicks.
    pub fn sealed(clicks: &[Click]) -> (Self, Segment) {
        let shelf = Self::empty();
        push(&shelf.archive, 1, 1, clicks);
        let segment = seal(&shelf.archive, 1);
        (shelf, segment)
    }

    pub fn reopened(&self, catalogue: Vec<Segment>) -> Result<Archive, ArchiveError> {
        open(&self.dir, catalogue)
    }

    pub fn path(&self, segment: &Segment, ending: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{}.{ending}", segment.name()))
    }
}

pub fn open(dir: &TempDir, catalogue: Vec<Segment>) -> Result<Archive, ArchiveError> {
    // Two: tests with more segments reach the bound of the cache.
    Archive::open(
        Options { dir: dir.path().to_owned(), metadata_cache_max: 2, cube_cache_bytes: 1 << 20 },
        catalogue,
    )
}

/// Pushes `clicks` as records from number `seq` on.
pub fn push(archive: &Archive, file: u64, seq: u64, clicks: &[Click]) {
    try_push(archive, file, seq, clicks).expect("in order");
}

pub fn try_push(archive: &Archive, file: u64, seq: u64, clicks: &[Click]) -> Result<(), ArchiveError> {
    let records: Vec<Vec<u8>> = clicks.iter().map(encoded).collect();
    archive.push_recents(file, (seq..).zip(records.iter().map(Vec::as_slice)))
}

pub fn encoded(click: &Click) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode(click, &mut bytes);
    bytes
}

/// Writes and publishes a file's segment.
pub fn seal(archive: &Archive, file: u64) -> Segment {
    let segment = archive.write_segment(node(), file).expect("can be written").expect("has recents");
    archive.publish(segment.clone());
    segment
}

/// What a list must answer, the slow way.
pub fn naive(clicks: &[Click], filter: &ClickFilter, offset: u64, limit: usize) -> ClickPage {
    let matching: Vec<&Click> = clicks
        .iter()
        .filter(|click| filter.from <= click.id && click.id < filter.before)
        .filter(|click| filter.offer_id.is_none_or(|id| id == click.offer_id))
        .filter(|click| filter.affiliate_id.is_none_or(|id| id == click.affiliate_id))
        .collect();
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    ClickPage {
        total: matching.len() as u64,
        clicks: matching.into_iter().skip(offset).take(limit).cloned().collect(),
    }
}
