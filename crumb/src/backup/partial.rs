//! A folder that is being made: under another name and with a mark in it until it is whole and durable.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::real;

/// The mark, locked by whoever is at work.
pub(super) const UNFINISHED: &str = "unfinished";

/// A folder being made. Dropped before it is finished, it is removed; killed, it stays and is begun anew next time.
pub(super) struct Partial {
    target: PathBuf,
    path: PathBuf,
    is_finished: bool,
    _mark: File,
}

impl Partial {
    /// Begins what is to become `target`, which is not there, or empty. Only its owner can look into it.
    pub(super) fn begin(target: &Path) -> anyhow::Result<Self> {
        let target = real(target)?;
        let shown = target.display();
        ensure!(is_free(&target).with_context(|| format!("{shown} cannot be read"))?, "{shown} is not empty");
        let mut path = target.clone().into_os_string();
        path.push(".partial");
        let path = PathBuf::from(path);
        let mark = mark(&path)?;
        let partial = Self { target, path, is_finished: false, _mark: mark };
        partial.clear().with_context(|| format!("{} cannot be cleared", partial.path.display()))?;
        Ok(partial)
    }

    /// Where it is made.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it, empty whatever was there.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        let made = || {
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            DirBuilder::new().mode(0o700).create(&path)
        };
        made().with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(path)
    }

    /// Makes an empty file in it that only its owner can read.
    pub(super) fn file(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(path)
    }

    /// Gives it its name, once every file's content is durable. On return all of it is.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let finished = || -> io::Result<()> {
            for entry in fs::read_dir(&self.path)? {
                let path = entry?.path();
                if path.is_dir() {
                    sync(&path)?;
                }
            }
            sync(&self.path)?;
            fs::remove_file(self.path.join(UNFINISHED))?;
            sync(&self.path)?;
            fs::rename(&self.path, &self.target)?;
            sync(self.target.parent().unwrap_or(Path::new("/")))
        };
        finished().with_context(|| format!("{} cannot be finished", self.target.display()))?;
        self.is_finished = true;
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() == UNFINISHED {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_finished {
            // Gives the room back to a full disk; what cannot be removed now bears the mark, which goes last.
            let removed = self.clear().and_then(|()| fs::remove_file(self.path.join(UNFINISHED)));
            _ = removed.and_then(|()| fs::remove_dir(&self.path));
        }
    }
}

fn is_free(target: &Path) -> io::Result<bool> {
    match fs::read_dir(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        entries => Ok(entries?.next().is_none()),
    }
}

/// Makes the folder and its mark, or takes them over from somebody who was killed.
fn mark(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let cannot = || format!("{shown} cannot be made");
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // A backup that lacked only its name has lost its mark already, and has its manifest.
            let is_ours = [UNFINISHED, "manifest.json"].iter().any(|it| path.join(it).exists())
                || is_free(path).with_context(cannot)?;
            ensure!(is_ours, "{shown} is in the way, and no backup or restore has left it");
        }
        made => made.with_context(cannot)?,
    }
    let path = path.join(UNFINISHED);
    let mark = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let mark = mark.with_context(cannot)?;
    match mark.try_lock() {
        Ok(()) => Ok(mark),
        Err(TryLockError::WouldBlock) => bail!("{shown} is being written by another process"),
        Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_half_done_is_begun_anew_and_what_is_someone_elses_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, path) = (folder.path().join("b"), folder.path().join("b.partial"));
        fs::create_dir(&path).expect("made");
        fs::write(path.join("mine"), "x").expect("written");
        assert!(Partial::begin(&target).is_err());
        assert_eq!(fs::read(path.join("mine")).expect("there"), b"x");

        fs::write(path.join(UNFINISHED), "").expect("written");
        let partial = Partial::begin(&target).expect("begun");
        assert!(!path.join("mine").exists());
        let again = Partial::begin(&target).err().expect("one at a time").to_string();
        assert!(again.contains("another process"), "{again}");
        partial.file("a").expect("made");
        partial.finish().expect("finished");
        assert!(target.join("a").exists() && !target.join(UNFINISHED).exists() && !path.exists());
        assert!(Partial::begin(&target).is_err(), "it is not empty");
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("b");
        let partial = Partial::begin(&target).expect("begun");
        partial.folder("f").expect("made");
        drop(partial);
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
    }
}
