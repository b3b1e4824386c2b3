//! Appending, hearing the outcome, reading it back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::AppendError;

#[test]
fn what_was_written_is_read_back() {
    let disk = written(40);
    let (replayed, records) = replay_all(&disk).unwrap();
    assert_eq!(records.len(), 40);
    assert_numbered(&records);
    assert_eq!((replayed.next_seq, replayed.torn), (41, None));
    assert!(replayed.files.len() > 1);
    assert!(replayed.files.windows(2).all(|pair| pair[0].last_seq + 1 == pair[1].first_seq));
}

#[test]
fn an_empty_folder_is_an_empty_journal() {
    let disk = SimDisk::default();
    let (replayed, records) = replay_all(&disk).unwrap();
    assert_eq!(replayed, Replayed { files: Vec::new(), torn: None, missing: Vec::new(), next_seq: 1 });
    assert!(records.is_empty());
    start(&disk, Notes::default()).close();
    assert_eq!(replay_all(&disk).unwrap().0.next_seq, 1);
}

#[test]
fn an_empty_record_is_a_record() {
    let disk = SimDisk::default();
    let journal = start(&disk, Notes::default());
    write(&journal, b"");
    journal.close();
    assert_eq!(replay_all(&disk).unwrap().1, [(1, 1, Vec::new())]);
}

#[test]
fn replaying_twice_equals_replaying_once() {
    let disk = written(20);
    let mut opened = open(&disk).unwrap();
    let mut twice = [Vec::new(), Vec::new()];
    for records in &mut twice {
        opened.replay(|_| true, |_, seq, record| records.push((seq, record.to_vec()))).unwrap();
    }
    assert_eq!(twice[0].len(), 20);
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn opening_again_goes_on_with_the_next_number_in_a_new_file() {
    let disk = SimDisk::default();
    for life in 1..=4 {
        let journal = start(&disk, Notes::default());
        assert_eq!(write(&journal, &record(life)), life);
    }
    let (replayed, records) = replay_all(&disk).unwrap();
    assert_numbered(&records);
    let files: Vec<_> = replayed.files.iter().map(|file| file.file).collect();
    assert_eq!(files, [1, 2, 3, 4]);
}

#[test]
fn numbers_are_not_used_again_though_every_file_that_can_be_is_dropped() {
    let disk = written(40);
    for _ in 0..3 {
        let mut opened = open(&disk).unwrap();
        let mut files = Vec::new();
        opened
            .replay(
                |file| {
                    files.push(file);
                    false
                },
                |_, _, _| panic!("nothing is wanted"),
            )
            .unwrap();
        let journal = opened.start(Box::new(Notes::default())).unwrap();
        for file in files {
            journal.drop_file(file).unwrap();
        }
        assert_eq!(journal.stats().files, 1);
    }
    let journal = start(&disk, Notes::default());
    assert_eq!(write(&journal, &record(41)), 41);
    journal.close();
    assert_eq!(replay_all(&disk).unwrap().1.len(), 1);
}

#[test]
fn many_threads_append_and_all_is_replayed_in_the_order_of_the_numbers() {
    const THREADS: u64 = 4;
    const EACH: u64 = 300;
    let disk = SimDisk::default();
    let notes = Notes::default();
    let journal = start(&disk, notes.clone());
    // The encoder counts on its own: its order must be the log's.
    let counter = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let encode = |bytes: &mut Vec<u8>| {
                        bytes.extend(counter.fetch_add(1, Ordering::Relaxed).to_le_bytes());
                    };
                    let seq = journal.append(encode).unwrap();
                    journal.wait(seq).unwrap();
                }
            });
        }
    });
    let stats = journal.stats();
    assert_eq!((stats.records, stats.pending_bytes), (THREADS * EACH, 0));
    journal.close();

    let (_, records) = replay_all(&disk).unwrap();
    let expected: Vec<_> = (1..=THREADS * EACH).map(|seq| (seq, seq.to_le_bytes().to_vec())).collect();
    let found: Vec<_> = records.iter().map(|(_, seq, record)| (*seq, record.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(notes.read(|noted| noted.records.clone()), records);
}

/// Stops the writer in `committed`, until it is let go on.
struct Gate {
    notes: Notes,
    reached: Sender<Seq>,
    go_on: Receiver<()>,
}

impl Sink for Gate {
    fn committed(&mut self, batch: &Batch<'_>) {
        self.notes.committed(batch);
        // The test is over when nobody listens any more.
        if self.reached.send(batch.last_seq()).is_ok() {
            _ = self.go_on.recv();
        }
    }

    fn rolled(&mut self, file: FileNumber) {
        self.notes.rolled(file);
    }

    fn progressed(&mut self) {
        self.notes.progressed();
    }
}

fn gate() -> (Gate, Receiver<Seq>, Sender<()>) {
    let ((reached, is_reached), (let_go, go_on)) = (channel(), channel());
    (Gate { notes: Notes::default(), reached, go_on }, is_reached, let_go)
}

#[test]
fn a_record_is_known_to_the_sink_before_anyone_is_told() {
    let (sink, reached, let_go) = gate();
    let disk = SimDisk::default();
    let journal = start(&disk, sink);
    let seq = journal.append(|bytes| bytes.extend(record(1))).unwrap();
    assert_eq!(reached.recv().unwrap(), seq);
    assert_eq!(journal.outcome(seq), None);
    assert_eq!(replay_all(&disk).unwrap().1.len(), 1, "it is durable by then");
    let_go.send(()).unwrap();
    assert_eq!(journal.wait(seq), Ok(()));
}

#[test]
fn what_arrives_during_a_write_shares_the_next_one() {
    let (sink, reached, let_go) = gate();
    let journal = start(&SimDisk::default(), sink);
    journal.append(|bytes| bytes.extend(record(1))).unwrap();
    reached.recv().unwrap();
    for number in 2..=5 {
        journal.append(|bytes| bytes.extend(record(number))).unwrap();
    }
    let_go.send(()).unwrap();
    assert_eq!(reached.recv().unwrap(), 5);
    let_go.send(()).unwrap();
    journal.wait(5).unwrap();
    assert_eq!(journal.stats().batches, 2);
}

#[test]
fn a_requested_roll_does_not_wait_until_nothing_is_pending() {
    let (sink, reached, let_go) = gate();
    let notes = sink.notes.clone();
    let journal = start(&SimDisk::default(), sink);
    journal.append(|bytes| bytes.extend(record(1))).unwrap();
    reached.recv().unwrap();
    until(|| journal.stats().spare_files > 0);
    journal.append(|bytes| bytes.extend(record(2))).unwrap();
    journal.roll();
    let_go.send(()).unwrap();
    assert_eq!(reached.recv().unwrap(), 2);
    assert_eq!(notes.read(|noted| noted.rolled.clone()), [1]);
    drop((reached, let_go));
    journal.close();
    assert_eq!(notes.read(|noted| noted.records.clone()), [(1, 1, record(1)), (2, 2, record(2))]);
}

#[test]
fn a_full_queue_refuses_without_encoding_and_recovers() {
    let (sink, reached, let_go) = gate();
    let journal = start(&SimDisk::default(), sink);
    journal.append(|bytes| bytes.extend([1; 100])).unwrap();
    reached.recv().unwrap();
    let full = loop {
        if let Err(error) = journal.append(|bytes| bytes.extend([2; 508])) {
            break error;
        }
    };
    assert!(matches!(full, AppendError::Full { .. }));
    assert_eq!(journal.stats().pending_bytes, options().pending_bytes_max);
    assert_eq!(journal.append(|_| panic!("there is no room for anything")), Err(full));
    drop((reached, let_go));
    journal.wait(5).unwrap();
    write(&journal, &record(1));
}

#[test]
fn a_record_that_can_never_fit_is_refused_for_good() {
    let journal = start(&SimDisk::default(), Notes::default());
    let bytes_max = options().pending_bytes_max - 4;
    let refused = journal.append(|bytes| bytes.resize(bytes.len() + bytes_max + 1, 1));
    assert_eq!(refused, Err(AppendError::TooLong { bytes: bytes_max + 1, bytes_max }));
    assert_eq!(write(&journal, &vec![1; bytes_max]), 1);
}

#[test]
fn closing_writes_what_is_pending() {
    let disk = SimDisk::default();
    let journal = start(&disk, Notes::default());
    for number in 1..=5 {
        journal.append(|bytes| bytes.extend(record(number))).unwrap();
    }
    journal.close();
    assert_eq!(replay_all(&disk).unwrap().1.len(), 5);
}

#[test]
fn a_panicking_encoder_harms_nobody_else() {
    let disk = SimDisk::default();
    let journal = start(&disk, Notes::default());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        journal.append(|bytes| {
            bytes.extend(b"half a rec");
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(write(&journal, &record(1)), 1);
    journal.close();
    assert_numbered(&replay_all(&disk).unwrap().1);
}
