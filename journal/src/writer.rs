//! The writer's thread: group commit. A batch is whatever arrived while the one before it was written. A failed
//! write or fsync is final for its file; the next attempt is made on another one.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::file::LogFile;
use crate::frame::FrameBuilder;
use crate::header::{Header, Previous};
use crate::prepare::longer;
use crate::shared::{Shared, Work};
use crate::sink::{Batch, Sink};
use crate::{FileNumber, Seq};

pub(crate) struct Writer {
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    /// The batch being written; its buffer and the queue's change places.
    batch: FrameBuilder,
    /// The durable end of the journal.
    previous: Previous,
    /// A file that failed and has no successor yet.
    ended: Option<LogFile>,
    /// Replayed files without records, of no use once a new file has begun.
    empty: Vec<FileNumber>,
    /// How long to wait before the next file is tried; grows until a batch succeeds.
    pause: Duration,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        sink: Box<dyn Sink>,
        previous: Previous,
        empty: Vec<FileNumber>,
    ) -> Writer {
        let (batch, pause) = (FrameBuilder::new(), Duration::ZERO);
        Writer { shared, sink, batch, previous, ended: None, empty, pause }
    }

    /// The thread. However it ends, nobody is left waiting.
    pub(crate) fn run(mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.write_until_closed()));
        if ended.is_err() {
            self.shared.fail("the journal's writer has died");
            // The owner's code may be what panicked, and then may do so again.
            _ = catch_unwind(AssertUnwindSafe(|| self.sink.progressed()));
        }
        self.shared.end();
    }

    fn write_until_closed(&mut self) {
        while let Some(mut file) = self.reopen() {
            match self.write_to(&mut file) {
                Ok(()) => return,
                Err(error) => {
                    self.fail(&error);
                    self.ended = Some(file);
                }
            }
        }
    }

    /// Writes what comes, rolling from file to file; returns when the journal closes, or when the file cannot be
    /// written any more.
    fn write_to(&mut self, file: &mut LogFile) -> io::Result<()> {
        loop {
            self.batch.clear();
            match self.shared.next_work(&mut self.batch, file) {
                Work::Batch(first_seq) => {
                    if !file.fits(&self.batch) {
                        self.roll(file, first_seq)?;
                    }
                    self.commit(file, first_seq)?;
                }
                Work::Roll(first_seq) => self.roll(file, first_seq)?,
                Work::Close => return Ok(()),
            }
        }
    }

    fn commit(&mut self, file: &mut LogFile, first_seq: Seq) -> io::Result<()> {
        file.append(&mut self.batch, first_seq)?;
        self.previous = file.previous();
        self.pause = Duration::ZERO;
        let batch =
            Batch { file: file.number, first_seq, count: self.batch.count(), records: self.batch.records() };
        self.sink.committed(&batch);
        self.shared.succeed(&self.batch, batch.last_seq());
        self.sink.progressed();
        Ok(())
    }

    fn roll(&mut self, file: &mut LogFile, first_seq: Seq) -> io::Result<()> {
        let next = self.begin(Some(first_seq))?;
        let ended = mem::replace(file, next);
        self.complete(&ended);
        Ok(())
    }

    /// Opens a file when there is none, trying again ever more slowly; `None` when the journal closes first.
    fn reopen(&mut self) -> Option<LogFile> {
        while self.shared.pause_writer(self.pause) {
            match self.begin(None) {
                Ok(file) => {
                    if let Some(ended) = self.ended.take() {
                        self.complete(&ended);
                    }
                    for empty in mem::take(&mut self.empty) {
                        self.remove(empty);
                    }
                    return Some(file);
                }
                Err(error) => self.fail(&error),
            }
        }
        None
    }

    /// Begins the next file, with the queue's next number when no batch is at hand.
    fn begin(&mut self, first_seq: Option<Seq>) -> io::Result<LogFile> {
        let (spare, number, next_seq) = self.shared.take_spare()?;
        let header = Header::new(number, first_seq.unwrap_or(next_seq), self.previous);
        let file = LogFile::begin(&*self.shared.disk, &spare, &header)?;
        self.shared.begin(number);
        Ok(file)
    }

    fn complete(&mut self, file: &LogFile) {
        if !file.has_records {
            return self.remove(file.number);
        }
        if !file.has_failed {
            self.shared.mark_reusable(file.number);
        }
        self.sink.rolled(file.number);
    }

    /// Deletes a file the owner never heard of. One that stays is found empty, or read, at the next start.
    fn remove(&self, file: FileNumber) {
        _ = self.shared.drop_file(file);
    }

    fn fail(&mut self, error: &io::Error) {
        self.pause = longer(self.pause);
        self.shared.fail(format!("cannot write the journal: {error}"));
        self.sink.progressed();
    }
}
