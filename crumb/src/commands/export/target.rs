//! Where an export goes: standard output, or a file that has its name only once it is whole. Until then it is
//! FILE.partial, and how far it has come stands in FILE.partial.state.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, ErrorKind, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far an export has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The key of the last row; empty before the first.
    pub after: String,
    /// How many rows there are.
    pub rows: u64,
    /// The time zone that its dates are in.
    pub zone: String,
}

impl Kept {
    /// In words, for whoever looks for what is damaged.
    pub fn told(&self) -> String {
        if self.after.is_empty() {
            "at the first row".to_owned()
        } else {
            format!("after the row {}", self.after)
        }
    }
}

/// What stands in a state file: rows up to that place are that many bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    question: Value,
    bytes: u64,
    #[serde(flatten)]
    place: Kept,
}

/// Where rows are written.
pub(super) struct Target {
    out: BufWriter<Box<dyn Write + Send>>,
    partial: Option<Partial>,
}

struct Partial {
    handle: File,
    file: PathBuf,
    question: Value,
}

/// What a file is called while it is not whole.
pub(super) fn partial(file: &Path) -> PathBuf {
    with_end(file, ".partial")
}

fn state(file: &Path) -> PathBuf {
    with_end(file, ".partial.state")
}

fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

impl Target {
    /// Standard output.
    pub fn stdout() -> Self {
        Self { out: BufWriter::new(Box::new(std::io::stdout())), partial: None }
    }

    /// A file that is not there yet, and how far it has come where `resumes` says to go on with it. What was
    /// written after that is cut off.
    pub fn file(file: &Path, question: Value, resumes: bool) -> anyhow::Result<(Self, Option<Kept>)> {
        ensure!(!file.try_exists()?, "{} is there already, and is left alone", file.display());
        let path = partial(file);
        let mut handle = open(&path, resumes)?;
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another export is writing {}", path.display()),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        let kept = if resumes { read_state(file, &question)? } else { None };
        let bytes = kept.as_ref().map_or(0, |state| state.bytes);
        let has = handle.metadata()?.len();
        ensure!(
            bytes <= has,
            "{} has {has} bytes, and had {bytes}: remove it to begin again",
            path.display()
        );
        handle.set_len(bytes)?;
        handle.seek(SeekFrom::End(0))?;
        let out: Box<dyn Write + Send> = Box::new(handle.try_clone()?);
        let partial = Partial { handle, file: file.to_owned(), question };
        Ok((Self { out: BufWriter::new(out), partial: Some(partial) }, kept.map(|state| state.place)))
    }

    /// Has a file go on from here when it is interrupted.
    pub fn keep(&mut self, place: &Kept) -> anyhow::Result<()> {
        self.out.flush()?;
        let Some(partial) = &self.partial else { return Ok(()) };
        // First the rows, then how far they are.
        partial.handle.sync_data()?;
        let bytes = partial.handle.metadata()?.len();
        let state = State { question: partial.question.clone(), bytes, place: place.clone() };
        partial
            .write_state(&state)
            .with_context(|| format!("{} cannot be written", partial.state().display()))
    }

    /// All is written: a file gets its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.out.flush()?;
        let Some(partial) = &self.partial else { return Ok(()) };
        partial.handle.sync_all()?;
        let file = &partial.file;
        ensure!(!file.try_exists()?, "{} has come to be there meanwhile, and is left alone", file.display());
        std::fs::rename(self::partial(file), file)?;
        match std::fs::remove_file(partial.state()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        sync_folder(file).with_context(|| format!("the folder of {} cannot be synced", file.display()))
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Partial {
    fn state(&self) -> PathBuf {
        state(&self.file)
    }

    /// Replaces the state as a whole.
    fn write_state(&self, state: &State) -> anyhow::Result<()> {
        let path = self.state();
        let next = with_end(&path, ".next");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.sync_data()?;
        Ok(std::fs::rename(next, path)?)
    }
}

fn open(path: &Path, resumes: bool) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if resumes {
        options.create(true)
    } else {
        options.create_new(true)
    };
    match options.open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{} is there, of an export that was interrupted: --resume goes on with it; or remove it",
            path.display()
        ),
        Err(error) => Err(error).with_context(|| format!("{} cannot be written", path.display())),
    }
}

/// How far the export has come that is to go on. None where it has not come anywhere.
fn read_state(file: &Path, question: &Value) -> anyhow::Result<Option<State>> {
    let path = state(file);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let state: State = serde_json::from_slice(&text)
        .with_context(|| format!("{} is damaged: remove it to begin again", path.display()))?;
    ensure!(
        state.question == *question,
        "{} was begun as {}: ask for the same to go on, or remove it",
        partial(file).display(),
        state.question
    );
    Ok(Some(state))
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(after: &str, rows: u64) -> Kept {
        Kept { after: after.to_owned(), rows, zone: "UTC".to_owned() }
    }

    fn refused(file: &Path, question: &Value, resumes: bool) -> String {
        match Target::file(file, question.clone(), resumes) {
            Ok(_) => panic!("accepted"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn what_was_kept_is_gone_on_with_and_what_came_after_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, question) = (folder.path().join("x.csv"), json!({ "from": "2026-01-01" }));
        let (mut target, kept) = Target::file(&file, question.clone(), false).expect("begun");
        assert!(kept.is_none());
        target.write_all(b"one\n").expect("written");
        target.keep(&place("1", 1)).expect("kept");
        target.write_all(b"tw").expect("written");
        assert!(refused(&file, &question, true).contains("another export is writing"));
        drop(target);
        assert_eq!(std::fs::read(partial(&file)).expect("there"), b"one\ntw");
        assert!(refused(&file, &question, false).contains("--resume"));
        assert!(refused(&file, &json!({ "from": "2026-01-02" }), true).contains("was begun as"));
        let (mut target, kept) = Target::file(&file, question.clone(), true).expect("gone on with");
        let kept = kept.expect("kept");
        assert_eq!((&*kept.after, kept.rows, &*kept.zone), ("1", 1, "UTC"));
        target.write_all(b"two\n").expect("written");
        assert!(!file.exists());
        target.finish().expect("finished");
        assert_eq!(std::fs::read(&file).expect("there"), b"one\ntwo\n");
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1, "nothing else is left");
        for resumes in [false, true] {
            assert!(refused(&file, &question, resumes).contains("is there already"));
        }
    }

    #[test]
    fn what_was_never_kept_begins_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.parquet");
        std::fs::write(partial(&file), b"half a row gr").expect("written");
        let (target, kept) = Target::file(&file, json!({}), true).expect("begun");
        assert!(kept.is_none());
        target.finish().expect("finished");
        assert_eq!(std::fs::read(&file).expect("there"), b"");
    }

    #[test]
    fn a_file_that_comes_to_be_there_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.csv");
        let (target, _) = Target::file(&file, json!({}), false).expect("begun");
        std::fs::write(&file, b"somebody's").expect("written");
        assert!(target.finish().is_err());
        assert_eq!(std::fs::read(&file).expect("there"), b"somebody's");
    }
}
