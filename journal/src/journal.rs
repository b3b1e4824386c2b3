//! The running journal as its owner sees it; the work is done in `writer` and `prepare`.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::shared::Shared;
use crate::writer::Writer;
use crate::{AppendError, Failed, FileNumber, JournalError, Seq, prepare};

/// An open journal with its two threads. Share it behind an `Arc`.
pub struct Journal {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Keeps other processes out for as long as the threads run.
    _lock: Option<File>,
}

/// What a journal has done since it was started, and how it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches made durable.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes in them, as written.
    pub bytes: u64,
    /// Fsyncs of batches and headers that succeeded.
    pub fsyncs: u64,
    /// Files of the log, the current one included.
    pub files: usize,
    /// Files ready to be used.
    pub spare_files: usize,
    /// Bytes that wait for the next batch.
    pub pending_bytes: usize,
    /// The last thing that went wrong, though it may be over.
    pub last_error: Option<String>,
}

impl Journal {
    pub(crate) fn start(
        shared: Arc<Shared>,
        writer: Writer,
        lock: Option<File>,
    ) -> Result<Journal, JournalError> {
        let mut journal = Journal { shared, threads: Vec::new(), _lock: lock };
        let shared = Arc::clone(&journal.shared);
        journal.spawn("journal-prepare", move || {
            if catch_unwind(AssertUnwindSafe(|| prepare::run(&shared))).is_err() {
                shared.spare_failed("the journal's preparer has died".to_owned());
            }
        })?;
        journal.spawn("journal-write", move || writer.run())?;
        journal.shared.wait_for_first_file();
        Ok(journal)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), JournalError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(JournalError::io(format!("start the thread {name}")))?);
        Ok(())
    }

    /// Queues one record and returns its number at once; it is durable when `outcome` says so.
    ///
    /// `encode` appends the record's bytes to what it is given and touches nothing else there. It runs under the
    /// queue's lock: records get their numbers, and their places in the log, in the order of these calls.
    pub fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Seq, AppendError> {
        self.shared.append(encode)
    }

    /// `None` while undecided, then for ever the same answer. Cheap enough to be asked by everyone who waits.
    pub fn outcome(&self, seq: Seq) -> Option<Result<(), Failed>> {
        self.shared.outcomes.of(seq)
    }

    /// The number of the last record that was queued; 0 before the first of all.
    pub fn last_seq(&self) -> Seq {
        self.shared.last_seq()
    }

    /// Blocks until a record that `append` has numbered, and with it all before, is decided.
    pub fn wait(&self, seq: Seq) -> Result<(), Failed> {
        self.shared.wait(seq)
    }

    /// Whether records are taken at the moment.
    pub fn is_available(&self) -> bool {
        self.shared.is_available()
    }

    /// Asks for the current file to be completed once it has records; `Sink::rolled` tells when it is. What is
    /// pending goes to the next file; without one at hand the request waits.
    pub fn roll(&self) {
        self.shared.request_roll();
    }

    /// Forgets a file and all its records: it becomes a spare or is deleted. A file that is gone already is fine.
    ///
    /// Drop oldest first: a file's successor is the witness that its tail is whole.
    pub fn drop_file(&self, file: FileNumber) -> Result<(), JournalError> {
        self.shared.drop_file(file)
    }

    /// Has nothing stay on the disk of what dropped files held: spares are deleted, and no file there is now is
    /// used again. The current one is completed, though it may have no records. Returns a number: once
    /// [`Journal::oldest_file`] has reached it, every earlier file is gone from the disk.
    pub fn purge(&self) -> Result<FileNumber, JournalError> {
        self.shared.purge()
    }

    /// The oldest file there is.
    pub fn oldest_file(&self) -> Option<FileNumber> {
        self.shared.oldest_file()
    }

    /// The numbers for metrics and the health page.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Writes what is pending and stops. Dropping the journal does the same.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.request_close();
        if self.threads.len() < 2 {
            // Only the preparer was started, and nobody else will tell it to end.
            self.shared.end();
        }
        for thread in self.threads.drain(..).rev() {
            // Both threads catch their panics.
            _ = thread.join();
        }
    }
}
