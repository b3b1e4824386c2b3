//! The few things the journal asks of a folder and its files. Tests put a disk here that fails and crashes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A folder.
pub(crate) trait Disk: Send + Sync {
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file; whatever had the name is gone.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names and renames durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// An open file.
pub(crate) trait DiskFile: Send {
    fn size(&self) -> io::Result<u64>;
    /// The bytes from `offset` on, as many as there are up to `bytes_max`.
    fn read_at(&self, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Makes the content and the size durable.
    fn sync(&self) -> io::Result<()>;
}

/// The file system's folder.
pub(crate) struct RealDisk {
    dir: PathBuf,
    handle: File,
}

impl RealDisk {
    /// Opens the folder and creates it, durably, when it is not there.
    pub(crate) fn open(dir: &Path) -> io::Result<RealDisk> {
        if !dir.try_exists()? {
            fs::create_dir_all(dir)?;
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(RealDisk { dir: dir.to_owned(), handle: File::open(dir)? })
    }
}

impl Disk for RealDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            // A name that is no text is not one of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        Ok(Box::new(options.open(self.dir.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.dir.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        // Growing by doubling would copy what is read over and over.
        let left = file.metadata()?.len().saturating_sub(offset).min(bytes_max);
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
