//! The folder of segment files: their names, that they are there, how one comes to be there whole,
//! and the sweeping of what was left half done.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::segment::Segment;

use crate::cube::{self, Cubes};
use crate::error::ArchiveError;
use crate::segment::cache::ReaderCache;
use crate::segment::{self, SegmentReader};
use crate::table::Options;

pub(crate) struct Folder {
    dir: PathBuf,
    cache: ReaderCache,
    pub cubes: Cubes,
}

impl Folder {
    pub fn new(options: Options) -> Self {
        let cubes = Cubes::new(options.dir.clone(), options.cube_cache_bytes);
        Self { dir: options.dir, cache: ReaderCache::new(options.metadata_cache_max), cubes }
    }

    fn path(&self, segment: &Segment) -> PathBuf {
        path_in(&self.dir, segment)
    }

    /// All its files, as far as they are there.
    fn paths(&self, segment: &Segment) -> [PathBuf; 3] {
        [self.path(segment), self.sums_path(segment), self.cubes.path(segment)]
    }

    fn sums_path(&self, segment: &Segment) -> PathBuf {
        self.dir.join(format!("{}.crc", segment.name()))
    }

    /// Checks that the segment's two files are there, and the first as long as catalogued.
    pub fn check_present(&self, segment: &Segment) -> Result<(), ArchiveError> {
        file_len(&self.sums_path(segment))?;
        let path = self.path(segment);
        let (len, catalogued) = (file_len(&path)?, segment.file_bytes);
        if len == catalogued {
            return Ok(());
        }
        let reason = format!("{len} bytes where the catalogue says {catalogued}");
        Err(ArchiveError::corrupt(&path, len.min(catalogued), reason))
    }

    /// The segment's reader, opened now or before.
    pub fn reader(&self, segment: &Segment) -> Result<Arc<SegmentReader>, ArchiveError> {
        self.cache.get(segment, || self.open(segment))
    }

    /// Reads everything, past the cache.
    pub fn verify(&self, segment: &Segment) -> Result<(), ArchiveError> {
        self.check_present(segment)?;
        segment::verify(&self.path(segment), &self.sums_path(segment), segment)
    }

    /// Checks the segment's cube, if it has one, against all its clicks.
    pub fn verify_cube(&self, segment: &Segment) -> Result<(), ArchiveError> {
        cube::verify(&self.cubes.path(segment), segment, &self.open(segment)?)
    }

    /// The segment's reader, past the cache.
    pub fn open(&self, segment: &Segment) -> Result<SegmentReader, ArchiveError> {
        SegmentReader::open(&self.path(segment), &self.sums_path(segment), segment)
    }

    /// Has `write` write the segment's file to a path, durably, and give its length and the content of
    /// its checksum file. After a crash there are both files, whole, or no segment file. Returns the
    /// segment file's length.
    pub fn write(
        &self,
        segment: &Segment,
        write: impl FnOnce(&Path) -> Result<(u64, Vec<u8>), ArchiveError>,
    ) -> Result<u64, ArchiveError> {
        let (path, sums_path) = (self.path(segment), self.sums_path(segment));
        let (path_tmp, sums_path_tmp) = (with_tmp(&path), with_tmp(&sums_path));
        let written = || -> Result<u64, ArchiveError> {
            let (file_bytes, sums) = write(&path_tmp)?;
            let mut sums_file = File::create(&sums_path_tmp)?;
            sums_file.write_all(&sums)?;
            sums_file.sync_all()?;
            fs::rename(&sums_path_tmp, &sums_path)?;
            fs::rename(&path_tmp, &path)?;
            File::open(&self.dir)?.sync_all()?;
            Ok(file_bytes)
        };
        written().inspect_err(|_| {
            // Gives the room back to a full disk; what cannot be removed now is an orphan later.
            for left in [&path_tmp, &sums_path_tmp] {
                fs::remove_file(left).ok();
            }
        })
    }

    /// Removes the files of a segment that is not catalogued any more and that nobody reads.
    pub fn remove(&self, segment: &Segment) -> Result<(), ArchiveError> {
        self.cache.forget(segment);
        self.cubes.forget(segment);
        for path in self.paths(segment) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes our files that belong to none of `segments`. Returns their names.
    pub fn remove_orphans(&self, segments: &[Arc<Segment>]) -> Result<Vec<String>, ArchiveError> {
        let known: HashSet<PathBuf> = segments.iter().flat_map(|segment| self.paths(segment)).collect();
        let mut removed = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_ours(name) && !known.contains(&path) {
                fs::remove_file(&path)?;
                removed.push(name.to_owned());
            }
        }
        Ok(removed)
    }
}

fn path_in(dir: &Path, segment: &Segment) -> PathBuf {
    dir.join(format!("{}.parquet", segment.name()))
}

/// Whether a folder has the file of that segment.
pub fn has_file(dir: &Path, segment: &Segment) -> bool {
    path_in(dir, segment).exists()
}

fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    name.starts_with("clicks-") && [".parquet", ".crc", ".cube"].iter().any(|ending| name.ends_with(ending))
}

fn with_tmp(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

fn file_len(path: &Path) -> Result<u64, ArchiveError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(ArchiveError::corrupt(path, 0, "the file is missing"))
        }
        Err(error) => Err(error.into()),
    }
}
