//! A journal's folder as a disk may return it: what is read was written, in its order; the rest is an error.
#![no_main]

use std::sync::OnceLock;

use fuzz::{Files, damage, read_files, write_files};
use journal::{Batch, FileNumber, Journal, Opened, Options, Sink, inspect};
use libfuzzer_sys::fuzz_target;

struct Nothing;

impl Sink for Nothing {
    fn committed(&mut self, _: &Batch<'_>) {}
    fn rolled(&mut self, _: FileNumber) {}
    fn progressed(&mut self) {}
}

fn options(dir: &std::path::Path) -> Options {
    Options { dir: dir.to_owned(), file_bytes: 4096, pending_bytes_max: 2048, spare_files_max: 2 }
}

/// A record says which it is.
fn record(number: u64) -> Vec<u8> {
    let filling = usize::try_from(number * 37 % 300).expect("small");
    [&number.to_le_bytes()[..], &vec![7; filling]].concat()
}

fn sound() -> &'static Files {
    static SOUND: OnceLock<Files> = OnceLock::new();
    SOUND.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let journal: Journal =
            Opened::open(options(dir.path())).expect("opens").start(Box::new(Nothing)).expect("starts");
        for number in 1..=60 {
            let seq = journal.append(|bytes| bytes.extend(record(number))).expect("there is room");
            journal.wait(seq).expect("durable");
        }
        journal.close();
        read_files(dir.path())
    })
}

fuzz_target!(|draw: &[u8]| {
    let mut files = sound().clone();
    damage(&mut files, draw);
    let dir = tempfile::tempdir().expect("a folder");
    write_files(dir.path(), &files);
    let looked_at = inspect(dir.path());
    let mut last = 0;
    let Ok(mut opened) = Opened::open(options(dir.path())) else { return };
    let replayed = opened.replay(
        |_| true,
        |_, seq, bytes| {
            assert!(seq > last, "in order, each once");
            assert_eq!(bytes, record(seq), "as it was written");
            last = seq;
        },
    );
    if let Ok(replayed) = replayed {
        let records: u64 = replayed.files.iter().map(|file| file.records).sum();
        assert_eq!(looked_at.expect("a look finds what a replay finds").records, records);
        opened.start(Box::new(Nothing)).expect("goes on").close();
    }
});
