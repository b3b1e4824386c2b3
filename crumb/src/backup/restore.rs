//! Making a data folder of a backup.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use ledger::Location;

use super::manifest::{Entry, Manifest};
use super::partial::Partial;
use super::{CATALOGUE, Damaged, JOURNAL, Progress, SEGMENTS, files, refuse_inside};
use crate::config::Config;
use crate::folder::Folder;

/// Makes the data folder, which is not there or empty, of the backup in `from`. Every byte is checked before it is
/// copied and after it. On return the folder is whole and durable; after an error there is none.
pub(crate) fn restore(config: &Config, from: &Path, progress: &mut Progress) -> anyhow::Result<Manifest> {
    let manifest = Manifest::read(from)?;
    refuse_inside(&config.data.dir, from)?;
    let is_in_database = config.database.url.0.is_some();
    ensure!(
        !manifest.has_ledger || !is_in_database,
        "the backup has a ledger of its own, and database.url says that it is in a database"
    );
    ensure!(
        manifest.has_ledger || is_in_database,
        "the backup has no ledger: restore the database from its dump, and give database.url"
    );
    check("checking the backup", from, &manifest, progress)?;
    let partial = Partial::begin(&config.data.dir)?;
    partial.folder(SEGMENTS)?;
    partial.folder(JOURNAL)?;
    progress.begin("copying", manifest.bytes());
    for entry in &manifest.files {
        let (source, path) = (from.join(&entry.path), &entry.path);
        let copied = files::copy(&source, partial.path(), path, &|bytes| progress.advance(bytes));
        let cannot = || format!("{} cannot be copied to {}", source.display(), partial.path().display());
        let copied = copied.with_context(cannot)?;
        compare(&source, &copied, entry)?;
    }
    check("checking the copy", partial.path(), &manifest, progress)?;
    if is_in_database {
        restore_catalogue(config, &partial)?;
    }
    partial.finish()?;
    Ok(manifest)
}

fn check(
    what: &'static str,
    folder: &Path,
    manifest: &Manifest,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    progress.begin(what, manifest.bytes());
    for entry in &manifest.files {
        let path = folder.join(&entry.path);
        if !path.try_exists().with_context(|| format!("{} cannot be read", path.display()))? {
            return Err(Damaged(format!("{} is missing", path.display())).into());
        }
        let found = files::entry(folder, &entry.path, &|bytes| progress.advance(bytes));
        compare(&path, &found.with_context(|| format!("{} cannot be read", path.display()))?, entry)?;
    }
    Ok(())
}

fn compare(path: &Path, found: &Entry, expected: &Entry) -> anyhow::Result<()> {
    let shown = path.display();
    if found.bytes != expected.bytes {
        let (found, expected) = (found.bytes, expected.bytes);
        return Err(
            Damaged(format!("{shown} is damaged: {found} bytes where {expected} were written")).into()
        );
    }
    if found.crc32c != expected.crc32c {
        return Err(Damaged(format!("{shown} is damaged: its checksum does not match")).into());
    }
    Ok(())
}

/// Has the catalogue in the database, which is that of another moment, name the segments of this folder.
fn restore_catalogue(config: &Config, partial: &Partial) -> anyhow::Result<()> {
    let path = partial.path().join(CATALOGUE);
    let segments = Location::file(&path).open()?.list_segments()?;
    for ending in ["", "-wal", "-shm"] {
        let path = partial.path().join(format!("{CATALOGUE}{ending}"));
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    let folder = Folder::unchecked(partial.path());
    let (ledger, node) = (config.ledger(&folder).open()?, config.settings()?.node);
    // Not under a server that runs.
    ledger.hold_node(node)?;
    let before = app::own_segments(&*ledger, node, &folder.segments())?;
    ledger.replace_segments(&before.iter().collect::<Vec<_>>(), None)?;
    for segment in &segments {
        ledger.record_segment(segment)?;
    }
    Ok(())
}
