//! The data folder: what lies where.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::backup::refuse_copies;

/// A data folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The data folder at `path`, created where it is missing; an error when it cannot be written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        refuse_copies(path)?;
        let folder = Self(path.to_owned());
        for path in [path.to_owned(), folder.segments()] {
            create(&path).with_context(|| format!("the data folder {} cannot be created", path.display()))?;
        }
        tempfile::tempfile_in(path)
            .with_context(|| format!("the data folder {} cannot be written", path.display()))?;
        Ok(folder)
    }

    /// The data folder at `path`, which must be there.
    pub fn existing(path: &Path) -> anyhow::Result<Self> {
        refuse_copies(path)?;
        let folder = Self(path.to_owned());
        anyhow::ensure!(
            folder.ledger().is_file(),
            "{} is no data folder of Crumb's: it has no ledger",
            path.display()
        );
        Ok(folder)
    }

    /// The data folder at `path`, which must be there, of a server whose ledger is elsewhere.
    pub fn existing_of_server(path: &Path) -> anyhow::Result<Self> {
        refuse_copies(path)?;
        let folder = Self(path.to_owned());
        anyhow::ensure!(
            folder.segments().is_dir(),
            "{} is no data folder of Crumb's: it has no segments",
            path.display()
        );
        Ok(folder)
    }

    /// The folder at `path`, whatever it is.
    pub(crate) fn unchecked(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The ledger's file.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }

    /// The journal's folder.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// The folder of segments.
    pub fn segments(&self) -> PathBuf {
        self.0.join("segments")
    }
}

/// Creates a folder that is not there, durably: what is synced in it is lost with it.
fn create(path: &Path) -> std::io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
