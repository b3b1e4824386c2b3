//! Opening a journal and reading it back: which bytes of which file count, what is a torn tail and what is damage.
//! The rules are in `docs/formats-journal.md`.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, RealDisk};
use crate::file::{log_name, number_in};
use crate::frame::{self, ALIGN, Bad, HEAD_BYTES, Records};
use crate::header::{HEADER_BYTES, Header, Previous, Salt};
use crate::journal::Journal;
use crate::shared::{Limits, Shared, Start};
use crate::sink::Sink;
use crate::window::Window;
use crate::writer::Writer;
use crate::{FileNumber, JournalError, Options, Seq};

/// Room for a header and some records.
const FILE_BYTES_MIN: u64 = 4 << 10;
/// A frame's length has 32 bits.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A journal that is locked and whose files are known, but which takes no records yet.
pub struct Opened {
    disk: Arc<dyn Disk>,
    lock: Option<File>,
    limits: Limits,
    /// Oldest first.
    headers: Vec<Header>,
    spares: Vec<String>,
    next_spare: u64,
    resume: Option<Resume>,
}

/// Where the writer goes on, as the replay found it.
#[derive(Clone)]
struct Resume {
    next_seq: Seq,
    previous: Previous,
    empty: Vec<FileNumber>,
}

/// What a replay has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The wanted files that have records, oldest first.
    pub files: Vec<ReplayedFile>,
    /// The unfinished batch that was cut off.
    pub torn: Option<Torn>,
    /// Files that had records, were not dropped, as older ones are still wanted, and are not there.
    pub missing: Vec<FileNumber>,
    /// The number of the next record.
    pub next_seq: Seq,
}

/// One file's part of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayedFile {
    /// Its number.
    pub file: FileNumber,
    /// Its first record.
    pub first_seq: Seq,
    /// Its last record.
    pub last_seq: Seq,
    /// How many records it has.
    pub records: u64,
}

/// A batch that was begun and never finished, at the journal's end. Nobody was told that it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// The file, always the newest.
    pub file: FileNumber,
    /// Where it was cut.
    pub offset: u64,
    /// How much was cut off, filling included.
    pub bytes: u64,
}

impl Opened {
    /// Opens the folder, keeps other processes out, and reads every file's header.
    pub fn open(options: Options) -> Result<Opened, JournalError> {
        let limits = limits(&options);
        let dir = options.dir;
        let disk = RealDisk::open(&dir).map_err(JournalError::io(format!("open {}", dir.display())))?;
        let lock = lock(dir)?;
        Opened::open_on(Arc::new(disk), Some(lock), limits)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        lock: Option<File>,
        limits: Limits,
    ) -> Result<Opened, JournalError> {
        let unreadable = || JournalError::io("read the journal folder");
        // A rename that was only seen, not durable, must not come undone under what happens next.
        disk.sync_names().map_err(unreadable())?;
        let names = disk.names().map_err(unreadable())?;
        let headers = read_headers(&*disk, &names)?;
        let spares: Vec<_> = names.into_iter().filter(|name| number_in(name, ".spare").is_some()).collect();
        let next_spare =
            spares.iter().filter_map(|name| number_in(name, ".spare")).max().map_or(1, |last| last + 1);
        let (spares, unfit): (Vec<_>, Vec<_>) =
            spares.into_iter().partition(|name| is_filled(&*disk, name, limits.file_bytes));
        for name in unfit {
            disk.remove(&name).map_err(JournalError::io(format!("remove {name}")))?;
        }
        Ok(Opened { disk, lock, limits, headers, spares, next_spare, resume: None })
    }

    /// Gives every intact record of the wanted files to `on_record`, in order, and cuts off a torn tail.
    ///
    /// Say no to files whose records are safe elsewhere, and drop them once the journal is started; the damage
    /// and the end of files nobody wants are not looked for. Afterwards nothing that was given can be lost by a crash.
    pub fn replay(
        &mut self,
        wanted: impl FnMut(FileNumber) -> bool,
        on_record: impl FnMut(FileNumber, Seq, &[u8]),
    ) -> Result<Replayed, JournalError> {
        let (replayed, resume) = self.walk(wanted, on_record)?;
        self.resume = Some(resume);
        Ok(replayed)
    }

    fn walk(
        &self,
        mut wanted: impl FnMut(FileNumber) -> bool,
        mut on_record: impl FnMut(FileNumber, Seq, &[u8]),
    ) -> Result<(Replayed, Resume), JournalError> {
        let mut replayed = Replayed { files: Vec::new(), torn: None, missing: Vec::new(), next_seq: 1 };
        let mut resume = Resume { next_seq: 1, previous: Previous::default(), empty: Vec::new() };
        let ends = witnessed_ends(&self.headers);
        for (index, header) in self.headers.iter().enumerate() {
            let file = header.file;
            let (is_wanted, is_newest) = (wanted(file), index + 1 == self.headers.len());
            if header.first_seq < resume.next_seq {
                return Err(JournalError::Corrupt { file, offset: 0 });
            }
            resume.next_seq = header.first_seq;
            let is_older_wanted = replayed.files.last().is_some_and(|it| it.file < header.previous.file);
            if is_older_wanted && !self.headers.iter().any(|it| it.file == header.previous.file) {
                replayed.missing.push(header.previous.file);
                // Files without records between them say the same.
                replayed.missing.dedup();
            }
            // The newest is read even so: it knows the next number.
            if !is_wanted && !is_newest {
                continue;
            }
            let found = self.read_file(header, ends.get(&file).copied(), |seq, record| {
                if is_wanted {
                    on_record(file, seq, record);
                }
            })?;
            let records = found.next_seq - header.first_seq;
            resume.next_seq = found.next_seq;
            resume.previous = header.previous;
            if records == 0 {
                resume.empty.push(file);
            } else {
                resume.previous = Previous { file, end: found.end, salt: header.salt().0 };
                if is_wanted {
                    let (first_seq, last_seq) = (header.first_seq, found.next_seq - 1);
                    replayed.files.push(ReplayedFile { file, first_seq, last_seq, records });
                }
            }
            if is_newest && found.is_torn {
                replayed.torn = Some(self.cut(file, found.end)?);
            }
        }
        replayed.next_seq = resume.next_seq;
        Ok((replayed, resume))
    }

    /// Starts the threads. New records always go to a new file. When none can be begun the journal starts
    /// unavailable and goes on trying.
    pub fn start(mut self, sink: Box<dyn Sink>) -> Result<Journal, JournalError> {
        let resume = match self.resume.take() {
            Some(resume) => resume,
            None => self.walk(|_| false, |_, _, _| {})?.1,
        };
        let start = Start {
            next_seq: resume.next_seq,
            files: self.headers.iter().map(|header| header.file).collect(),
            spares: self.spares,
            next_spare: self.next_spare,
        };
        let shared = Arc::new(Shared::new(self.disk, self.limits, start));
        let writer = Writer::new(Arc::clone(&shared), sink, resume.previous, resume.empty);
        Journal::start(shared, writer, self.lock)
    }

    fn read_file(
        &self,
        header: &Header,
        witnessed_end: Option<u64>,
        on_record: impl FnMut(Seq, &[u8]),
    ) -> Result<Found, JournalError> {
        let name = log_name(header.file);
        let unreadable = || JournalError::io(format!("read {name}"));
        let file = self.disk.open(&name).map_err(unreadable())?;
        let found = read_frames(&*file, header, witnessed_end, on_record)?;
        let sync = || {
            // After a failed sync the system calls everything written, though it was not: only what is written
            // again is synced again. The batch of a failed sync is the last.
            if witnessed_end.is_none_or(|witnessed_end| witnessed_end < found.end) {
                let (start, len) = (found.last_frame.start as u64, found.last_frame.len() as u64);
                file.write_at(&file.read_at(start, len)?, start)?;
            }
            // What is only in the system's cache counts from now on, so it must survive a crash first.
            file.sync()
        };
        sync().map_err(JournalError::io(format!("make {name} durable")))?;
        Ok(found)
    }

    fn cut(&self, file: FileNumber, offset: u64) -> Result<Torn, JournalError> {
        let name = log_name(file);
        let cut = || {
            let log = self.disk.open(&name)?;
            let bytes = log.size()?.saturating_sub(offset);
            log.truncate(offset)?;
            log.sync()?;
            Ok(Torn { file, offset, bytes })
        };
        cut().map_err(JournalError::io(format!("cut the torn tail of {name}")))
    }
}

/// What a file holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) next_seq: Seq,
    /// Where its last intact frame lies.
    last_frame: Range<usize>,
    /// Where that ends.
    pub(crate) end: u64,
    is_torn: bool,
}

/// Reads frames up to the first that is not intact, and judges whether the file may end there.
pub(crate) fn read_frames(
    file: &dyn DiskFile,
    header: &Header,
    witnessed_end: Option<u64>,
    mut on_record: impl FnMut(Seq, &[u8]),
) -> Result<Found, JournalError> {
    let salt = header.salt();
    let unreadable = || JournalError::io(format!("read {}", log_name(header.file)));
    let mut window = Window::new(file).map_err(unreadable())?;
    let (mut last_frame, mut offset, mut next_seq) = (HEADER_BYTES, HEADER_BYTES, header.first_seq);
    let bad = loop {
        let len = frame::len(window.at(offset, HEAD_BYTES).map_err(unreadable())?, salt, offset);
        match frame::read(window.at(offset, len).map_err(unreadable())?, salt, offset) {
            Ok(frame) if frame.first_seq == next_seq => {
                Records::new(next_seq, frame.records).for_each(|(seq, record)| on_record(seq, record));
                (last_frame, offset, next_seq) = (offset, frame.end, frame.next_seq);
            }
            Ok(_) => return Err(JournalError::Corrupt { file: header.file, offset: offset as u64 }),
            Err(bad) => break bad,
        }
    };
    let end = offset as u64;
    let may_end = match witnessed_end {
        // What follows was never acknowledged: its batch failed.
        Some(witnessed_end) => end >= witnessed_end,
        None => !is_any_begun(&mut window, salt, offset + ALIGN).map_err(unreadable())?,
    };
    if may_end {
        Ok(Found { next_seq, last_frame: last_frame..offset, end, is_torn: bad == Bad::Torn })
    } else {
        Err(JournalError::Corrupt { file: header.file, offset: end })
    }
}

/// Whether a frame was begun anywhere at or after `offset`, which is a multiple of [`ALIGN`].
fn is_any_begun(window: &mut Window<'_>, salt: Salt, offset: usize) -> io::Result<bool> {
    for at in (offset..window.size()).step_by(ALIGN) {
        if frame::is_begun(window.at(at, HEAD_BYTES)?, salt, at) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Up to where each file was durable when a later one was begun.
pub(crate) fn witnessed_ends(headers: &[Header]) -> BTreeMap<FileNumber, u64> {
    headers.iter().map(|header| (header.previous.file, header.previous.end)).collect()
}

pub(crate) fn limits(options: &Options) -> Limits {
    let file_bytes = options.file_bytes.clamp(FILE_BYTES_MIN, FILE_BYTES_MAX);
    let room = usize::try_from(file_bytes).unwrap_or(usize::MAX) - HEADER_BYTES;
    let frame_bytes_max = options.pending_bytes_max.saturating_add(HEAD_BYTES).min(room) / ALIGN * ALIGN;
    Limits { file_bytes, frame_bytes_max, spare_files_max: options.spare_files_max }
}

pub(crate) fn read_headers(disk: &dyn Disk, names: &[String]) -> Result<Vec<Header>, JournalError> {
    let mut headers = Vec::new();
    for name in names {
        let Some(file) = number_in(name, ".log") else { continue };
        let bytes = disk.open(name).and_then(|log| log.read_at(0, HEADER_BYTES as u64));
        headers.push(Header::decode(&bytes.map_err(JournalError::io(format!("read {name}")))?, file)?);
    }
    headers.sort_by_key(|header| header.file);
    for header in &headers {
        let earlier = headers.iter().find(|earlier| earlier.file == header.previous.file);
        if let Some(earlier) = earlier.filter(|earlier| !header.previous.is_of(earlier)) {
            return Err(JournalError::Foreign { earlier: earlier.file, file: header.file });
        }
    }
    Ok(headers)
}

/// A file the preparer did not finish, or one of another size, is no use.
fn is_filled(disk: &dyn Disk, name: &str, file_bytes: u64) -> bool {
    disk.open(name).and_then(|spare| spare.size()).is_ok_and(|size| size == file_bytes)
}

/// The lock is the operating system's, so it ends with the process; the file itself stays.
fn lock(dir: PathBuf) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let failed = || JournalError::io(format!("lock {}", path.display()));
    let lock = File::create(&path).map_err(failed())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { dir }),
        Err(TryLockError::Error(error)) => Err(failed()(error)),
    }
}
