//! Taking a backup, with or without a server at work on the data. What makes it one moment's: the ledger is copied
//! first, then the journal, then the catalogue is read, and the copy of the ledger gets that catalogue. A click
//! that anything in the copied ledger tells of was durable before, so it is in the journal's copy, or its file was
//! sealed before it was dropped, and then the catalogue names its segment. Segments that hold later records than
//! the journal's copy are left out, for the journal must be ahead of all segments; it has their clicks.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use domain::segment::Segment;
use jiff::Timestamp;
use ledger::{Ledger, LedgerCopy};

use super::manifest::{Entry, Manifest};
use super::partial::Partial;
use super::{CATALOGUE, Damaged, JOURNAL, LEDGER, Progress, SEGMENTS, files, refuse_inside};
use crate::config::Config;
use crate::folder::Folder;

/// How often what has changed meanwhile is looked at again: each time only segments that are new are copied, so a
/// few times are plenty.
const LOOKS_MAX: usize = 20;

/// What is wanted.
pub(crate) struct Wanted<'w> {
    /// Where the backup goes.
    pub(crate) target: &'w Path,
    /// An earlier backup, whose segments are shared where they are the same.
    pub(crate) since: Option<&'w Path>,
    /// The ledger is in a database, and somebody has seen to it.
    pub(crate) without_ledger: bool,
}

/// What was taken.
pub(crate) struct Taken {
    pub(crate) manifest: Manifest,
    /// Bytes of files that lie on the disk only once, under names elsewhere too.
    pub(crate) shared_bytes: u64,
}

/// Takes a backup. On return it is whole and durable; after an error there is none of that name.
pub(crate) fn take(
    config: &Config,
    wanted: &Wanted<'_>,
    now: Timestamp,
    progress: &mut Progress,
) -> anyhow::Result<Taken> {
    let folder = config.existing_folder()?;
    refuse_inside(wanted.target, &config.data.dir)?;
    let is_in_database = config.database.url.0.is_some();
    ensure!(
        wanted.without_ledger || !is_in_database,
        "the ledger is in a database, which is copied with its own tools: run pg_dump first, and when it has ended \
         crumb backup --without-ledger on each server"
    );
    ensure!(!wanted.without_ledger || is_in_database, "the ledger is a file; it belongs to the backup");
    let since = wanted.since.map(|path| Ok::<_, anyhow::Error>((path, Manifest::read(path)?))).transpose()?;
    let partial = Partial::begin(wanted.target)?;

    let (location, name) = (config.ledger(&folder), if is_in_database { CATALOGUE } else { LEDGER });
    let copy_path = partial.file(name)?;
    let copy = if is_in_database {
        LedgerCopy::empty(&copy_path)
    } else {
        progress.begin("ledger", 0);
        location.copy_to(&copy_path, &mut |done, total| progress.reach(done, total))
    };
    let copying = || format!("the ledger cannot be copied to {}", copy_path.display());
    let copy = copy.with_context(copying)?;

    let ledger = location.open()?;
    let mut taking = Taking {
        config,
        folder,
        ledger: &*ledger,
        partial: &partial,
        since: since.as_ref().map(|(path, manifest)| (*path, manifest)),
        segments: BTreeMap::new(),
    };
    let (journal, segments) = taking.run(progress)?;
    copy.set_segments(&segments).and_then(|()| copy.finish()).with_context(copying)?;

    let mut entries = vec![files::entry(partial.path(), name, &|_| {}).with_context(copying)?];
    entries.extend(journal);
    let shared_bytes = taking.segments.values().map(|it| it.shared_bytes).sum();
    let count = taking.segments.len() as u64;
    entries.extend(taking.segments.into_values().flat_map(|it| it.entries));
    let manifest = Manifest::new(now.to_string(), config.node.number, !is_in_database, count, entries);
    manifest.write(partial.path())?;
    partial.finish()?;
    Ok(Taken { manifest, shared_bytes })
}

/// A segment's files in the backup.
#[derive(Default)]
struct Copied {
    entries: Vec<Entry>,
    shared_bytes: u64,
}

struct Taking<'t> {
    config: &'t Config,
    folder: Folder,
    ledger: &'t dyn Ledger,
    partial: &'t Partial,
    since: Option<(&'t Path, &'t Manifest)>,
    /// What is copied, by name.
    segments: BTreeMap<String, Copied>,
}

/// What goes together: the journal's files, and the catalogue.
type Together = (Vec<Entry>, Vec<Segment>);

/// Why what was found does not go together: it has changed meanwhile, or is not as it should be.
enum Again {
    /// A segment's file was not there.
    Missing(PathBuf),
    /// A segment has records that the journal's copy has not, and others that it has not any more.
    Ahead(String),
}

impl Taking<'_> {
    /// Copies journal and segments.
    fn run(&mut self, progress: &mut Progress) -> anyhow::Result<Together> {
        self.partial.folder(SEGMENTS)?;
        let mut again = None;
        for _ in 0..LOOKS_MAX {
            match self.look(progress)? {
                Ok(found) => return Ok(found),
                Err(reason) => again = Some(reason),
            }
        }
        Err(match again {
            Some(Again::Missing(path)) => Damaged(format!("{} is missing", path.display())).into(),
            Some(Again::Ahead(name)) => {
                Damaged(format!("the journal is behind the archive: segment {name} is ahead of it")).into()
            }
            None => anyhow::anyhow!("nothing was looked at"),
        })
    }

    fn look(&mut self, progress: &mut Progress) -> anyhow::Result<Result<Together, Again>> {
        let journal_folder = self.partial.folder(JOURNAL)?;
        let journal = journal::copy(&self.folder.journal(), &journal_folder)?;
        let (node, folder) = (self.config.settings()?.node, self.folder.segments());
        let mut segments = app::own_segments(self.ledger, node, &folder)?;
        let is_ahead = |it: &Segment| it.last_seq >= journal.next_seq;
        let is_held = |it: &Segment| !journal.files.is_empty() && it.first_seq >= journal.first_seq;
        if let Some(ahead) = segments.iter().find(|it| is_ahead(it) && !is_held(it)) {
            return Ok(Err(Again::Ahead(ahead.name())));
        }
        segments.retain(|it| !is_ahead(it));
        if let Err(missing) = self.copy_segments(&segments, progress)? {
            return Ok(Err(Again::Missing(missing)));
        }
        let entry = |name: &String| {
            files::entry(self.partial.path(), &format!("{JOURNAL}/{name}"), &|_| {})
                .with_context(|| format!("the copy of {name} cannot be read"))
        };
        Ok(Ok((journal.files.iter().map(entry).collect::<anyhow::Result<_>>()?, segments)))
    }

    /// Copies those that are not copied yet, and forgets those that were replaced since. The inner error is a file
    /// that is not there.
    fn copy_segments(
        &mut self,
        segments: &[Segment],
        progress: &mut Progress,
    ) -> anyhow::Result<Result<(), PathBuf>> {
        let named: HashMap<String, &Segment> = segments.iter().map(|it| (it.name(), it)).collect();
        let gone: Vec<_> = self.segments.extract_if(.., |name, _| !named.contains_key(name)).collect();
        gone.iter().try_for_each(|(_, copied)| self.remove(copied))?;
        let mut new: Vec<_> = named.iter().filter(|(name, _)| !self.segments.contains_key(*name)).collect();
        new.sort_by_key(|(_, segment)| segment.first_click);
        progress.begin("segments", new.iter().map(|(_, segment)| segment.file_bytes).sum());
        for (name, segment) in new {
            let mut copied = Copied::default();
            if let Err(missing) = self.copy_segment(segment, name, &mut copied, progress)? {
                self.remove(&copied)?;
                return Ok(Err(missing));
            }
            self.segments.insert(name.clone(), copied);
        }
        Ok(Ok(()))
    }

    fn remove(&self, copied: &Copied) -> anyhow::Result<()> {
        for entry in &copied.entries {
            let path = self.partial.path().join(&entry.path);
            fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        Ok(())
    }

    fn copy_segment(
        &self,
        segment: &Segment,
        name: &str,
        copied: &mut Copied,
        progress: &Progress,
    ) -> anyhow::Result<Result<(), PathBuf>> {
        // The checksums first: they tell whether an earlier backup has the very same segment.
        for (ending, is_needed) in [("crc", true), ("parquet", true), ("cube", false)] {
            let (file, path) = (format!("{name}.{ending}"), format!("{SEGMENTS}/{name}.{ending}"));
            let from = self.folder.segments().join(file);
            let tick = |bytes| progress.advance(bytes);
            let earlier = if ending == "parquet" { self.share_earlier(&path, copied) } else { None };
            let placed = match earlier {
                Some(entry) => Ok((entry, true)),
                None => files::share(&from, self.partial.path(), &path, &tick),
            };
            let (entry, is_shared) = match placed {
                Err(error) if error.kind() == ErrorKind::NotFound && is_needed => return Ok(Err(from)),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                placed => placed.with_context(|| {
                    format!("{} cannot be copied to {}", from.display(), self.partial.path().display())
                })?,
            };
            let bytes = entry.bytes;
            copied.shared_bytes += if is_shared { bytes } else { 0 };
            copied.entries.push(entry);
            if ending == "parquet" && bytes != segment.file_bytes {
                let catalogued = segment.file_bytes;
                bail!(Damaged(format!(
                    "{} is damaged: {bytes} bytes where the catalogue says {catalogued}",
                    from.display()
                )));
            }
        }
        Ok(Ok(()))
    }

    /// Shares a segment's file with the earlier backup where that has the same: its checksums, a file of their own
    /// that was copied just now, are the same there.
    fn share_earlier(&self, path: &str, copied: &Copied) -> Option<Entry> {
        let (folder, manifest) = self.since?;
        let entry = manifest.entry(path)?;
        let sums = copied.entries.first()?;
        let is_same = manifest.entry(&sums.path) == Some(sums);
        let shared = || fs::hard_link(folder.join(path), self.partial.path().join(path));
        (is_same && shared().is_ok()).then(|| entry.clone())
    }
}
