//! A segment and its checksums as a disk may return them: every answer is right, or says what is damaged.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use archive::{Archive, ArchiveError, Options, record};
use domain::archive_query::ClickFilter;
use domain::click::Click;
use domain::ids::{AffiliateId, ClickId, NodeNumber, OfferId};
use domain::segment::Segment;
use fuzz::{Files, damage, read_files, write_files};
use libfuzzer_sys::fuzz_target;

const ALL: ClickFilter =
    ClickFilter { from: ClickId::MIN, before: ClickId::MAX, offer_id: None, affiliate_id: None };

struct Sound {
    files: Files,
    segment: Segment,
    clicks: Vec<Click>,
}

fn open(dir: &Path, catalogue: Vec<Segment>) -> Result<Archive, ArchiveError> {
    Archive::open(Options { dir: dir.to_owned(), metadata_cache_max: 2, cube_cache_bytes: 0 }, catalogue)
}

fn click(number: u32) -> Click {
    let id = u128::from(number) << 80 | 0x7001 << 64 | 0b10 << 62;
    Click {
        offer_id: OfferId(number % 5),
        affiliate_id: AffiliateId(number % 7),
        sub_ids: [
            number.to_string(),
            format!("{:x}", number.wrapping_mul(0x9e37_79b9)),
            String::new(),
            "s".into(),
            "é".into(),
        ],
        user_agent: format!("Mozilla/{}", number % 11),
        ..Click::blank(ClickId::from_bytes(id.to_be_bytes()))
    }
}

fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let archive = open(dir.path(), Vec::new()).expect("opens");
        let clicks: Vec<Click> = (1..700).map(click).collect();
        for (seq, click) in (1..).zip(&clicks) {
            let mut bytes = Vec::new();
            record::encode(click, &mut bytes);
            archive.push_recents(1, std::iter::once((seq, &bytes[..]))).expect("in order");
        }
        let node = NodeNumber::new(1).expect("in range");
        let segment = archive.write_segment(node, 1).expect("written").expect("has clicks");
        Sound { files: read_files(dir.path()), segment, clicks }
    })
}

fn told<T>(result: Result<T, ArchiveError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(ArchiveError::Corrupt { .. }) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fuzz_target!(|draw: &[u8]| {
    let Sound { files, segment, clicks } = sound();
    let mut damaged = files.clone();
    damage(&mut damaged, draw);
    let dir = tempfile::tempdir().expect("a folder");
    write_files(dir.path(), &damaged);
    let Some(archive) = told(open(dir.path(), vec![segment.clone()])) else { return };
    for click in clicks.iter().step_by(97) {
        if let Some(found) = told(archive.find(click.id)) {
            assert_eq!(found.as_ref(), Some(click));
        }
    }
    if let Some(page) = told(archive.list(&ALL, 0, usize::MAX)) {
        assert_eq!(&page.clicks, clicks);
    }
    let is_whole = files.iter().all(|file| damaged.contains(file));
    assert_eq!(told(archive.verify_segment(segment)).is_some(), is_whole);
});
