//! What appenders, the writer and the preparer share: the queue, the spares, the list of files. One lock, never
//! held across a disk operation or a call to the owner.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::disk::Disk;
use crate::file::{LogFile, log_name, spare_name};
use crate::frame::{FrameBuilder, HEAD_BYTES, NoRoom, PREFIX_BYTES};
use crate::journal::Stats;
use crate::outcomes::Outcomes;
use crate::{AppendError, Failed, FileNumber, JournalError, Seq};

/// A full queue empties within a few writes; a second is the least that HTTP's `Retry-After` can say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Limits {
    pub(crate) file_bytes: u64,
    /// No batch is larger, and every file has room for one.
    pub(crate) frame_bytes_max: usize,
    pub(crate) spare_files_max: usize,
}

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) limits: Limits,
    pub(crate) outcomes: Outcomes,
    state: Mutex<State>,
    /// Wakes the writer: something to write, a spare, a request, the end.
    work: Condvar,
    /// Wakes the preparer: a spare was taken, or the end.
    spare_taken: Condvar,
    /// Wakes `wait` and `start`: records were decided, or the first file was tried.
    told: Condvar,
}

struct State {
    pending: FrameBuilder,
    next_seq: Seq,
    /// There is a file to write to.
    available: bool,
    /// The writer sleeps, so somebody must wake it.
    writer_idle: bool,
    roll_wanted: bool,
    stage: Stage,
    spares: Vec<String>,
    next_spare: u64,
    /// Why there is no spare: the last attempt's error, until one succeeds.
    spare_error: Option<String>,
    /// Every file of the log, and whether it is fit to be used again.
    files: BTreeMap<FileNumber, bool>,
    /// Files that are being dropped: no longer of the log, and maybe still on the disk.
    dropping: BTreeSet<FileNumber>,
    /// Files below this one are not used again, because of what they may hold.
    fence: FileNumber,
    next_file: FileNumber,
    stats: Stats,
}

#[derive(PartialEq)]
enum Stage {
    Open,
    /// Nothing more is taken; the writer finishes what there is.
    Closing,
    /// The writer has ended and needs no more spares.
    Closed,
}

/// What a journal starts from.
pub(crate) struct Start {
    pub(crate) next_seq: Seq,
    pub(crate) files: Vec<FileNumber>,
    pub(crate) spares: Vec<String>,
    pub(crate) next_spare: u64,
}

/// What the writer does next.
pub(crate) enum Work {
    /// Write the batch; its first record has this number.
    Batch(Seq),
    /// Go on to the next file; its first record will have this number.
    Roll(Seq),
    Close,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, limits: Limits, start: Start) -> Shared {
        let state = State {
            pending: FrameBuilder::new(),
            next_seq: start.next_seq,
            available: false,
            writer_idle: false,
            roll_wanted: false,
            stage: Stage::Open,
            spares: start.spares,
            next_spare: start.next_spare,
            spare_error: None,
            next_file: start.files.last().map_or(1, |newest| newest + 1),
            files: start.files.into_iter().map(|file| (file, false)).collect(),
            dropping: BTreeSet::new(),
            fence: 0,
            stats: Stats::default(),
        };
        Shared {
            disk,
            limits,
            outcomes: Outcomes::new(start.next_seq - 1),
            state: Mutex::new(state),
            work: Condvar::new(),
            spare_taken: Condvar::new(),
            told: Condvar::new(),
        }
    }

    /// A panicking encoder leaves the state whole, so a poisoned lock is an ordinary one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Seq, AppendError> {
        let bytes_max = self.limits.frame_bytes_max;
        let mut state = self.state();
        if !state.accepts() {
            return Err(AppendError::Unavailable);
        }
        state.pending.push(bytes_max, encode).map_err(|no_room| match no_room {
            NoRoom::Full => AppendError::Full { retry_after: RETRY_AFTER },
            NoRoom::TooLong { bytes } => {
                AppendError::TooLong { bytes, bytes_max: bytes_max - HEAD_BYTES - PREFIX_BYTES }
            }
        })?;
        let seq = state.next_seq;
        state.next_seq += 1;
        let wake = mem::take(&mut state.writer_idle);
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(seq)
    }

    pub(crate) fn last_seq(&self) -> Seq {
        self.state().next_seq - 1
    }

    pub(crate) fn wait(&self, seq: Seq) -> Result<(), Failed> {
        let mut state = self.state();
        loop {
            if let Some(outcome) = self.outcomes.of(seq) {
                return outcome;
            }
            state = sleep(&self.told, state);
        }
    }

    pub(crate) fn is_available(&self) -> bool {
        self.state().accepts()
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state();
        Stats {
            files: state.files.len(),
            spare_files: state.spares.len(),
            pending_bytes: state.pending.records().len(),
            ..state.stats.clone()
        }
    }

    pub(crate) fn request_roll(&self) {
        self.state().roll_wanted = true;
        self.work.notify_one();
    }

    pub(crate) fn request_close(&self) {
        let mut state = self.state();
        // A writer that has died has closed it already, and its preparer must not take heart again.
        if state.stage == Stage::Open {
            state.stage = Stage::Closing;
        }
        drop(state);
        self.work.notify_one();
    }

    /// Sleeps until there is something to do. `batch` must be empty.
    pub(crate) fn next_work(&self, batch: &mut FrameBuilder, file: &LogFile) -> Work {
        let mut state = self.state();
        let mut yielded = false;
        loop {
            let first_pending = state.next_seq - u64::from(state.pending.count());
            let is_open = state.stage == Stage::Open;
            // A request goes first, or a busy journal would never come to it. Without a spare it waits: it must
            // not cost a file that still has room.
            let is_roll_due = state.roll_wanted && file.has_records || file.number < state.fence;
            if is_roll_due && is_open && !state.spares.is_empty() {
                return Work::Roll(first_pending);
            }
            if !state.pending.is_empty() && !yielded {
                // Whoever is about to append on this core does so first: a sync costs the same for one as for all.
                drop(state);
                thread::yield_now();
                yielded = true;
                state = self.state();
                continue;
            }
            if !state.pending.is_empty() {
                mem::swap(&mut state.pending, batch);
                return Work::Batch(first_pending);
            }
            if !is_open {
                return Work::Close;
            }
            state.writer_idle = true;
            state = sleep(&self.work, state);
            state.writer_idle = false;
        }
    }

    /// A batch is durable and its owner knows.
    pub(crate) fn succeed(&self, batch: &FrameBuilder, last: Seq) {
        let mut state = self.state();
        state.stats.batches += 1;
        state.stats.fsyncs += 1;
        state.stats.records += u64::from(batch.count());
        state.stats.bytes += batch.frame_bytes() as u64;
        self.outcomes.succeed(last);
        drop(state);
        self.told.notify_all();
    }

    /// There is no file to write to: everything undecided fails and nothing more is taken.
    pub(crate) fn fail(&self, error: impl Into<String>) {
        let mut state = self.state();
        state.available = false;
        state.pending.clear();
        state.stats.last_error = Some(error.into());
        self.outcomes.fail(state.next_seq - 1);
        drop(state);
        self.told.notify_all();
    }

    /// The writer has ended, whatever the reason.
    pub(crate) fn end(&self) {
        self.state().stage = Stage::Closed;
        self.spare_taken.notify_one();
    }

    /// A file was begun: records are taken again.
    pub(crate) fn begin(&self, file: FileNumber) {
        let mut state = self.state();
        state.files.insert(file, false);
        state.stats.fsyncs += 1;
        state.available = true;
        state.roll_wanted = false;
        drop(state);
        self.told.notify_all();
    }

    /// Returns when the first file was begun, or could not be.
    pub(crate) fn wait_for_first_file(&self) {
        let mut state = self.state();
        while !state.available && state.stats.last_error.is_none() {
            state = sleep(&self.told, state);
        }
    }

    /// Takes a spare, with a number for the file it becomes and the number of the next record. Waits while one
    /// is being prepared; an error when preparing fails.
    pub(crate) fn take_spare(&self) -> io::Result<(String, FileNumber, Seq)> {
        let mut state = self.state();
        loop {
            if let Some(spare) = state.spares.pop() {
                let (number, next_seq) = (state.next_file, state.next_seq);
                state.next_file += 1;
                drop(state);
                self.spare_taken.notify_one();
                return Ok((spare, number, next_seq));
            }
            if let Some(error) = &state.spare_error {
                return Err(io::Error::other(error.clone()));
            }
            state = sleep(&self.work, state);
        }
    }

    /// The preparer has one more.
    pub(crate) fn spare_prepared(&self, spare: String) {
        let mut state = self.state();
        state.spare_error = None;
        state.spares.push(spare);
        drop(state);
        self.work.notify_one();
    }

    pub(crate) fn spare_failed(&self, error: String) {
        let mut state = self.state();
        state.stats.last_error = Some(error.clone());
        state.spare_error = Some(error);
        drop(state);
        self.work.notify_one();
    }

    /// Sleeps until a spare is wanted and names it; `None` when no more are.
    pub(crate) fn wait_for_spare_wanted(&self) -> Option<String> {
        let mut state = self.state();
        while state.stage != Stage::Closed && !state.spares.is_empty() {
            state = sleep(&self.spare_taken, state);
        }
        (state.stage != Stage::Closed).then(|| state.name_spare())
    }

    /// Lets `pause` pass before the preparer tries again, or less when nothing is left to do.
    pub(crate) fn pause_preparer(&self, pause: Duration) {
        let idle = |state: &mut State| state.stage != Stage::Closed && state.spares.is_empty();
        drop(self.spare_taken.wait_timeout_while(self.state(), pause, idle));
    }

    /// Lets `pause` pass before the writer tries again; false when the journal is closing.
    pub(crate) fn pause_writer(&self, pause: Duration) -> bool {
        let (state, _) = self
            .work
            .wait_timeout_while(self.state(), pause, |state| state.stage == Stage::Open)
            .unwrap_or_else(PoisonError::into_inner);
        state.stage == Stage::Open
    }

    /// The file was ended by an orderly roll: its blocks are good and its size is right.
    pub(crate) fn mark_reusable(&self, file: FileNumber) {
        if let Some(reusable) = self.state().files.get_mut(&file) {
            *reusable = true;
        }
    }

    pub(crate) fn drop_file(&self, file: FileNumber) -> Result<(), JournalError> {
        let (spare, fence) = {
            let mut state = self.state();
            if state.files.last_key_value().is_some_and(|(newest, _)| *newest == file) {
                return Err(JournalError::InUse { file });
            }
            let Some(reusable) = state.files.remove(&file) else { return Ok(()) };
            state.dropping.insert(file);
            let is_wanted = file >= state.fence && state.spares.len() < self.limits.spare_files_max;
            ((reusable && is_wanted).then(|| state.name_spare()), state.fence)
        };
        let name = log_name(file);
        let dropped = match &spare {
            // The old name must be gone for good before the file is used under a new one.
            Some(spare) => self.disk.rename(&name, spare).and_then(|()| self.disk.sync_names()),
            None => self.disk.remove(&name).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        let unneeded = self.dropped(file, fence, dropped.is_ok(), spare);
        dropped.map_err(JournalError::io(format!("drop journal file {file}")))?;
        unneeded.map_or(Ok(()), |spare| self.remove_spare(&spare))
    }

    /// Notes what became of a file that was to be dropped. Returns the spare it became, where that is not to be
    /// used, the fence having been moved meanwhile.
    fn dropped(
        &self,
        file: FileNumber,
        fence: FileNumber,
        done: bool,
        spare: Option<String>,
    ) -> Option<String> {
        let mut state = self.state();
        state.dropping.remove(&file);
        if !done {
            state.files.insert(file, false);
            return None;
        }
        if state.fence > fence {
            return spare;
        }
        state.spares.extend(spare);
        drop(state);
        self.work.notify_one();
        None
    }

    /// Deletes all spares and has no file there is now used again; the current one is rolled, even without
    /// records. Returns the number below which no file is used again.
    pub(crate) fn purge(&self) -> Result<FileNumber, JournalError> {
        let (fence, mut spares) = {
            let mut state = self.state();
            state.fence = state.next_file;
            (state.fence, mem::take(&mut state.spares))
        };
        self.spare_taken.notify_one();
        self.work.notify_one();
        while let Some(spare) = spares.pop() {
            if let Err(error) = self.remove_spare(&spare) {
                // They are tried again with the next purge.
                self.state().spares.extend(spares.into_iter().chain([spare]));
                return Err(error);
            }
        }
        Ok(fence)
    }

    fn remove_spare(&self, spare: &str) -> Result<(), JournalError> {
        self.disk.remove(spare).map_err(JournalError::io(format!("remove {spare}")))
    }

    /// The oldest file that is there, if only on the disk.
    pub(crate) fn oldest_file(&self) -> Option<FileNumber> {
        let state = self.state();
        state.dropping.first().into_iter().chain(state.files.keys().next()).min().copied()
    }
}

fn sleep<'a>(on: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    on.wait(state).unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn accepts(&self) -> bool {
        self.available && self.stage == Stage::Open
    }

    fn name_spare(&mut self) -> String {
        self.next_spare += 1;
        spare_name(self.next_spare - 1)
    }
}
