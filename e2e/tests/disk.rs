//! Disks that are full, fail, or can only be read: a visitor who was sent on has a click that survives `kill -9`,
//! everybody else is told to come back, and the server recovers without a restart.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use e2e::{Answer, EIO, EROFS, Faults, Network, Server, SmallDisk, click_pages, until};

/// All that there is, in whole years.
const ALWAYS: &str = "start_date=2020-01-01&end_date=2099-01-01";
/// Nothing is sealed but what a full journal file makes.
const SETTINGS: [(&str, &str); 5] = [
    ("JOURNAL__FILE_MIB", "1"),
    ("JOURNAL__PENDING_MIB", "1"),
    ("ARCHIVE__RECENT_MIB", "8"),
    ("ARCHIVE__SEAL_AFTER_SECONDS", "86400"),
    ("LOG__LEVEL", "warn"),
];
/// More clicks than any disk here has room for.
const CLICKS_MAX: usize = 20_000;

/// A server, and what it has answered.
struct Trial {
    server: Server,
    network: Network,
    answered: Vec<String>,
    turned_away: usize,
}

impl Trial {
    fn start(server: Server) -> Self {
        let network = Network::make(&server.api());
        Self { server, network, answered: Vec::new(), turned_away: 0 }
    }

    /// A click of some 3 KiB: whether the visitor was sent on. Nobody is left without an answer, and who is turned
    /// away is told when to come back.
    fn click(&mut self) -> bool {
        let headers = format!("User-Agent: {}\r\nReferer: {}\r\n", "u".repeat(1000), "r".repeat(2000));
        let answer = self.server.connect().request("GET", &self.network.link, &headers).expect("an answer");
        match answer.status {
            302 => self.answered.push(answer.click_id().expect("the landing page is told the click id")),
            503 => {
                assert_retry_after(&answer);
                self.turned_away += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
        answer.status == 302
    }

    fn click_until_turned_away(&mut self) {
        assert!((0..CLICKS_MAX).any(|_| !self.click()), "nobody is ever turned away");
    }

    fn click_until_sent_on(&mut self) {
        until("a visitor is sent on again", || self.click().then_some(()));
    }

    fn health(&self) -> u16 {
        let answer = self.server.connect().get("/healthz").expect("an answer");
        if answer.status == 503 {
            assert_retry_after(&answer);
        }
        answer.status
    }

    fn until_health_is(&self, status: u16) {
        until("the health is as it should be", || (self.health() == status).then_some(()));
    }

    /// Every visitor sent on has a click, and nobody has one but who might have been.
    fn assert_answered_are_there(&self) {
        let clicks = click_pages(&self.server.api(), ALWAYS, 10_000);
        let found: BTreeSet<_> =
            clicks.iter().map(|click| click["click_id"].as_str().expect("a text")).collect();
        let lost: Vec<_> = self.answered.iter().filter(|id| !found.contains(id.as_str())).collect();
        assert!(lost.is_empty(), "{} of {} clicks are lost: {lost:?}", lost.len(), self.answered.len());
        let others = found.len() - self.answered.len();
        assert!(others <= self.turned_away, "{others} clicks of nobody");
    }

    /// `kill -9`, and all is there after the next start; then also after an orderly stop, with everything sound.
    fn assert_all_survives(&mut self) {
        self.assert_answered_are_there();
        self.server.kill();
        self.server.start_again();
        self.assert_answered_are_there();
        self.click_until_sent_on();
        let stopped = self.server.stop();
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        let check = self.server.command(&["check"]);
        assert_eq!(check.code, Some(0), "{check:?}");
        self.server.start_again();
        self.assert_answered_are_there();
    }
}

fn assert_retry_after(answer: &Answer) {
    let seconds = answer.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "{answer:?}");
}

#[test]
fn on_a_full_disk_nobody_is_sent_on_without_a_durable_click_and_room_heals_it() {
    let disk = SmallDisk::of_mib(16);
    let mut trial = Trial::start(Server::start_in(&disk.inside().join("data"), &SETTINGS, disk.runner()));
    for _ in 0..2 {
        disk.fill();
        trial.click_until_turned_away();
        trial.until_health_is(503);
        assert!(!trial.click(), "there still is no room");
        assert!(trial.server.metric("crumb_clicks_unavailable_total") > 0);
        disk.make_room();
        trial.until_health_is(200);
        trial.click_until_sent_on();
        trial.assert_answered_are_there();
    }
    disk.fill();
    trial.click_until_turned_away();
    trial.server.kill();
    disk.make_room();
    trial.server.start_again();
    trial.assert_all_survives();
}

#[test]
fn a_server_starts_on_a_full_disk_answers_questions_and_waits_for_room() {
    let disk = SmallDisk::of_mib(16);
    let mut trial = Trial::start(Server::start_in(&disk.inside().join("data"), &SETTINGS, disk.runner()));
    disk.fill();
    trial.click_until_turned_away();
    trial.server.kill();
    trial.server.start_again();
    trial.assert_answered_are_there();
    assert_eq!(trial.health(), 503);
    assert!(!trial.click(), "there is no room");
    disk.make_room();
    trial.until_health_is(200);
    trial.click_until_sent_on();
    trial.assert_all_survives();
}

/// A server whose segments lie on a disk of their own.
fn with_segments_on(disk: &SmallDisk, folder: &std::path::Path) -> Trial {
    symlink(disk.inside(), folder.join("segments")).expect("a link");
    Trial::start(Server::start_in(folder, &SETTINGS, disk.runner()))
}

#[test]
fn without_room_for_segments_clicks_go_on_until_memory_is_full() {
    let (disk, folder) = (SmallDisk::of_mib(4), tempfile::tempdir().expect("a temporary folder"));
    let mut trial = with_segments_on(&disk, folder.path());
    disk.fill();
    trial.click_until_turned_away();
    let bytes = trial.answered.len() * 3000;
    assert!(bytes > 7 << 20, "memory has room for more than {bytes} bytes");
    assert_eq!(trial.health(), 200, "clicks can be made durable");
    assert!(trial.server.metric("crumb_seal_failures_total") > 0);
    assert_eq!(trial.server.metric("crumb_segments_sealed_total"), 0);
    trial.assert_answered_are_there();
    disk.make_room();
    trial.click_until_sent_on();
    assert!(trial.server.metric("crumb_segments_sealed_total") > 0);
    trial.assert_all_survives();
}

#[test]
fn without_room_for_the_ledger_clicks_go_on_and_conversions_come_back_later() {
    let (disk, journal) = (SmallDisk::of_mib(8), tempfile::tempdir().expect("a temporary folder"));
    symlink(journal.path(), disk.path().join("journal")).expect("a link");
    let mut trial = Trial::start(Server::start_in(disk.inside(), &SETTINGS, disk.runner()));
    assert!(trial.click());
    let click_id = trial.answered[0].clone();
    let call = |unique: usize| {
        let offer_id = trial.network.offer_id;
        format!("/api/2/conversion.json?click_id={click_id}&offer_id={offer_id}&unique_id={unique}")
    };
    let key = format!("X-Api-Key: {}\r\n", trial.server.api().key());
    let convert = |server: &Server, unique: usize| {
        server.connect().request("GET", &call(unique), &key).expect("an answer")
    };
    convert(&trial.server, 0).success();
    disk.fill();
    // What SQLite has set aside is used up first.
    let refused = (1..CLICKS_MAX).find(|unique| convert(&trial.server, *unique).status != 200);
    let refused = refused.expect("the ledger never fills");
    let answer = convert(&trial.server, refused);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_retry_after(&answer);
    assert_eq!(trial.health(), 200, "clicks can be made durable");
    for _ in 0..1000 {
        assert!(trial.server.connect().get(&trial.network.link).expect("an answer").status == 302);
    }
    disk.make_room();
    let first = convert(&trial.server, refused).success()["conversion"]["conversion_id"].clone();
    trial.server.kill();
    trial.server.start_again();
    assert_eq!(convert(&trial.server, refused).success()["conversion"]["conversion_id"], first);
    let check = trial.server.command(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

/// A server whose disk fails on command.
fn with(faults: &Faults, folder: &std::path::Path) -> Trial {
    Trial::start(Server::start_in(folder, &SETTINGS, faults.runner()))
}

#[test]
fn a_failed_fsync_is_final_for_its_file_and_the_journal_goes_on_in_another() {
    let (faults, folder) = (Faults::none(), tempfile::tempdir().expect("a temporary folder"));
    let mut trial = with(&faults, folder.path());
    for _ in 0..5 {
        assert!(trial.click());
    }
    for call in ["sync", "write"] {
        faults.set(&[(call, EIO, ".log")]);
        trial.click_until_turned_away();
        faults.set(&[]);
        trial.click_until_sent_on();
        trial.until_health_is(200);
    }
    let calls = faults.calls();
    let failed: Vec<_> = (0..calls.len()).filter(|at| calls[*at].error == EIO).collect();
    assert!(failed.len() >= 2, "{failed:?}");
    for at in failed {
        let path = &calls[at].path;
        let again: Vec<_> =
            calls[at + 1..].iter().filter(|it| it.path == *path && it.call != "change").collect();
        assert!(again.is_empty(), "{path} was used again: {again:?}");
    }
    trial.assert_all_survives();
}

#[test]
fn while_every_fsync_fails_nobody_is_sent_on_and_afterwards_everybody_is() {
    let (faults, folder) = (Faults::none(), tempfile::tempdir().expect("a temporary folder"));
    let mut trial = with(&faults, folder.path());
    assert!(trial.click());
    faults.set(&[("sync", EIO, "/journal/")]);
    for _ in 0..20 {
        assert!(!trial.click(), "nothing is durable");
    }
    assert_eq!(trial.health(), 503);
    faults.set(&[]);
    trial.until_health_is(200);
    trial.click_until_sent_on();
    faults.set(&[("sync", EIO, "/journal/")]);
    assert!(!trial.click(), "nothing is durable");
    trial.server.kill();
    faults.set(&[]);
    trial.server.start_again();
    trial.assert_all_survives();
}

#[test]
fn a_file_system_that_turns_read_only_and_back_costs_nothing_that_was_answered() {
    let (faults, folder) = (Faults::none(), tempfile::tempdir().expect("a temporary folder"));
    let mut trial = with(&faults, folder.path());
    assert!(trial.click());
    let path = folder.path().to_str().expect("a text");
    faults.set(&[("write", EROFS, path), ("sync", EROFS, path), ("change", EROFS, path)]);
    for _ in 0..20 {
        assert!(!trial.click(), "nothing can be written");
    }
    assert_eq!(trial.health(), 503);
    trial.assert_answered_are_there();
    let create = |name: &str| {
        let call = format!("/api/2/affiliate.json?affiliate_name={name}");
        let headers = format!("X-Api-Key: {}\r\nContent-Length: 0\r\n", trial.server.api().key());
        trial.server.connect().request("POST", &call, &headers).expect("an answer")
    };
    let refused = create("Nobody");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_retry_after(&refused);
    faults.set(&[]);
    create("Somebody").success();
    trial.until_health_is(200);
    trial.click_until_sent_on();
    trial.assert_all_survives();
    let names = trial.server.api().get("affiliates.json").success();
    assert!(!names.to_string().contains("Nobody"), "{names}");
}

#[test]
fn a_read_only_data_folder_stops_the_start_and_nothing_is_changed() {
    let mut disk = SmallDisk::of_mib(16);
    let mut trial = Trial::start(Server::start_in(&disk.inside().join("data"), &SETTINGS, disk.runner()));
    assert!(trial.click());
    trial.server.kill();
    disk.remount("ro");
    let failed = trial.server.fail_to_start();
    assert_eq!(failed.code, Some(2), "{failed:?}");
    assert!(failed.stderr.contains("cannot be written"), "{}", failed.stderr);
    disk.remount("rw");
    trial.server.start_again();
    trial.assert_all_survives();
}
