//! Starting again on what a crash, a failing disk or a mistake has left.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use e2e::{Network, Server, click_pages, conversion_pages, until};

const CLICKS: usize = 12;
/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";

/// A killed server whose clicks were made one by one, so that each has a frame of its own in the
/// journal: the server, the ids, and the newest journal file.
fn killed() -> (Server, Vec<String>, PathBuf) {
    let mut server = Server::start_with(&[("LOG__LEVEL", "warn")]);
    let network = Network::make(&server.api());
    let clicks: Vec<_> = (0..CLICKS).map(|_| server.click(&network.link)).collect();
    server.kill();
    let file = newest(&server.data().join("journal"));
    (server, clicks, file)
}

fn newest(journal: &Path) -> PathBuf {
    let entries = std::fs::read_dir(journal).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|it| it == "log")).max().expect("a journal file")
}

/// Where each frame begins, and behind the last one where the next would: see the journal's format.
fn frames(file: &Path) -> Vec<usize> {
    let bytes = std::fs::read(file).expect("readable");
    let mut offsets = vec![64];
    loop {
        let offset = *offsets.last().expect("one at least");
        if bytes.get(offset..offset + 4) != Some(b"CJf1") {
            return offsets;
        }
        let length = bytes[offset + 4..offset + 8].try_into().expect("four bytes");
        let body = usize::try_from(u32::from_le_bytes(length)).expect("small");
        offsets.push(offset + (32 + body).next_multiple_of(16));
    }
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("readable");
    change(&mut bytes);
    std::fs::write(file, bytes).expect("written");
}

/// Starts it again: exactly these clicks are there, and it goes on.
fn holds(mut server: Server, clicks: &[String]) {
    server.start_again();
    let api = server.api();
    let found: Vec<_> = click_pages(&api, ALWAYS, 5)
        .iter()
        .map(|click| click["click_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(found, clicks);
    let networks = api.get("campaigns.json").success();
    let link = networks["campaigns"][0]["tracking_link"].as_str().expect("a link").to_owned();
    let next = server.click(link.strip_prefix("http://crumb").expect("on the host that was asked"));
    assert!(Some(&next) > found.last(), "ids go on growing");
    let stopped = server.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    server.start_again();
    server.api().click(&next);
    let check = server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn garbage_behind_the_last_record_is_ignored() {
    for garbage in [&b"garbage of no meaning"[..], b"CJf1", &[0xff; 4096], b"CJf1\xff\xff\xff\xff\x01\0\0\0"]
    {
        let (server, clicks, file) = killed();
        let end = *frames(&file).last().expect("frames");
        change(&file, |bytes| bytes[end..end + garbage.len()].copy_from_slice(garbage));
        holds(server, &clicks);
    }
}

#[test]
fn a_file_cut_right_behind_the_last_record_loses_nothing() {
    let (server, clicks, file) = killed();
    let frames = frames(&file);
    assert_eq!(frames.len(), CLICKS + 1, "a frame for each click");
    change(&file, |bytes| bytes.truncate(frames[CLICKS]));
    holds(server, &clicks);
}

#[test]
fn a_torn_last_record_is_cut_off_and_all_before_it_are_kept() {
    // In its head, behind it, and in the middle of its body.
    for kept in [1, 31, 32, 33, 60] {
        let (server, clicks, file) = killed();
        let last = frames(&file)[CLICKS - 1];
        change(&file, |bytes| bytes.truncate(last + kept));
        holds(server, &clicks[..CLICKS - 1]);
    }
    // The disk wrote the end but not the beginning, and the other way round.
    for torn in [0..20, 40..60] {
        let (server, clicks, file) = killed();
        let last = frames(&file)[CLICKS - 1];
        change(&file, |bytes| bytes[last + torn.start..last + torn.end].fill(0));
        holds(server, &clicks[..CLICKS - 1]);
    }
}

#[test]
fn damage_with_records_behind_it_stops_the_start_and_names_file_and_offset() {
    let (mut server, clicks, file) = killed();
    let number = file.file_stem().expect("a name").to_string_lossy().trim_start_matches('0').to_owned();
    let sound = std::fs::read(&file).expect("readable");
    for (frame, into) in [(0, 0), (0, 40), (5, 5), (5, 20), (5, 50), (CLICKS - 2, 33)] {
        let offset = frames(&file)[frame];
        change(&file, |bytes| bytes[offset + into] ^= 0x10);
        let damaged = std::fs::read(&file).expect("readable");
        let failed = server.fail_to_start();
        assert!(failed.code.is_some_and(|code| code != 0), "{failed:?}");
        let named = format!("file {number} is damaged at byte {offset}");
        assert!(failed.stderr.contains(&named), "{named}: {}", failed.stderr);
        assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
        assert!(std::fs::read(&file).expect("readable") == damaged, "evidence is left as it is");
        std::fs::write(&file, &sound).expect("written");
    }
    change(&file, |bytes| bytes[10] ^= 1);
    assert!(server.fail_to_start().code.is_some_and(|code| code != 0), "a damaged header");
    std::fs::write(&file, &sound).expect("written");
    server.start_again();
    assert_eq!(click_pages(&server.api(), ALWAYS, 100).len(), clicks.len());
}

#[test]
fn a_journal_that_is_not_this_ledgers_is_refused() {
    let settings = [("ARCHIVE__SEAL_AFTER_SECONDS", "1"), ("LOG__LEVEL", "warn")];
    let mut server = Server::start_with(&settings);
    let network = Network::make(&server.api());
    server.click(&network.link);
    until("a click is sealed", || (server.metric("crumb_segments_sealed_total") > 0).then_some(()));
    server.stop();
    let journal = server.data().join("journal");
    std::fs::rename(&journal, server.data().join("journal-elsewhere")).expect("renamed");
    let failed = server.fail_to_start();
    assert!(failed.code.is_some_and(|code| code != 0), "{failed:?}");
    assert!(failed.stderr.contains("journal"), "{}", failed.stderr);
    std::fs::remove_dir_all(&journal).expect("removed");
    std::fs::rename(server.data().join("journal-elsewhere"), &journal).expect("renamed");
    server.start_again();
    assert_eq!(click_pages(&server.api(), ALWAYS, 100).len(), 1);
}

#[test]
fn half_written_files_of_a_crash_do_not_matter() {
    let (server, clicks, file) = killed();
    let journal = file.parent().expect("a folder");
    let segments = server.data().join("segments");
    for path in [
        journal.join("00000000000000009999.spare"),
        segments.join("clicks-0001-00000000000000000001-00000000000000000002.parquet"),
        segments.join("clicks-0001-00000000000000000001-00000000000000000002.parquet.crc"),
        segments.join("clicks-0001-00000000000000000001-00000000000000000002.parquet.tmp"),
    ] {
        std::fs::write(path, b"half written").expect("written");
    }
    let spare =
        OpenOptions::new().write(true).create_new(true).open(journal.join("00000000000000009998.spare"));
    spare.expect("created").set_len(64 * 1024 * 1024).expect("grown");
    holds(server, &clicks);
}

#[test]
fn a_data_folder_opens_again_with_everything_in_it() {
    let settings = [("ARCHIVE__SEAL_AFTER_SECONDS", "1"), ("LOG__LEVEL", "warn")];
    let mut server = Server::start_with(&settings);
    let api = server.api();
    let network = Network::make(&api);
    let sealed = server.click(&format!("{}&s1=sealed", network.link));
    until("a click is sealed", || (server.metric("crumb_segments_sealed_total") > 0).then_some(()));
    let recent = server.click(&format!("{}&s1=recent", network.link));
    for click_id in [&sealed, &recent] {
        let call =
            format!("conversion.json?click_id={click_id}&offer_id={}&unique_id={click_id}", network.offer_id);
        api.get(&call).success();
    }
    let everything = |server: &Server| {
        let api = server.api();
        let lists = ["advertisers.json", "offers.json", "affiliates.json", "campaigns.json"];
        let lists = lists.map(|list| api.get(list).success());
        (click_pages(&api, ALWAYS, 1), conversion_pages(&api, ALWAYS), lists)
    };
    let before = everything(&server);
    assert_eq!((before.0.len(), before.1.len()), (2, 2));
    server.stop();
    server.start_again();
    assert_eq!(everything(&server), before);
    server.kill();
    server.start_again();
    assert_eq!(everything(&server), before);
}
