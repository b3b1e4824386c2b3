//! What a backup consists of, written when all of it is there. Described in docs/formats.md.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Damaged;
use super::partial::UNFINISHED;

/// The manifest's file.
pub(super) const NAME: &str = "manifest.json";
/// The format that is written, and the only one there is to read.
const FORMAT: u64 = 1;

/// What a backup consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u64,
    /// The release that took it.
    pub(crate) crumb: String,
    /// When it was begun.
    pub(crate) made: String,
    /// The server's node number.
    pub(crate) node: u16,
    /// Whether the ledger is in it; otherwise it is in a database, and only its catalogue is here.
    pub(crate) has_ledger: bool,
    /// How many segments are in it.
    pub(crate) segments: u64,
    /// All other files of the backup.
    pub(crate) files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Where it lies, from the backup's folder on.
    pub(crate) path: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// The checksum of all its bytes.
    pub(crate) crc32c: u32,
}

impl Manifest {
    pub(super) fn new(made: String, node: u16, has_ledger: bool, segments: u64, files: Vec<Entry>) -> Self {
        let crumb = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, crumb, made, node, has_ledger, segments, files }
    }

    /// The bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The file of that path.
    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.path == path)
    }

    /// Writes it, durably but for its name.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(NAME);
        let written = || -> anyhow::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(self.encode()?.as_bytes())?;
            Ok(file.sync_all()?)
        };
        written().with_context(|| format!("{} cannot be written", path.display()))
    }

    fn encode(&self) -> anyhow::Result<String> {
        let backup = serde_json::to_value(self)?;
        let checksum = checksum(&backup)?;
        Ok(serde_json::to_string_pretty(&json!({ "checksum": checksum, "backup": backup }))?)
    }

    /// Reads that of a finished backup.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(NAME);
        let shown = folder.display();
        let is_partial = folder.extension().is_some_and(|it| it == "partial");
        if is_partial || folder.join(UNFINISHED).exists() {
            return Err(Damaged(format!("{shown} is an unfinished backup")).into());
        }
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                anyhow::bail!("{shown} is no backup: it has no {NAME}")
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        Self::decode(&text, &path)
    }

    fn decode(text: &str, path: &Path) -> anyhow::Result<Self> {
        let damaged = || Damaged(format!("{} is damaged", path.display()));
        let mut all: Value = serde_json::from_str(text).map_err(|_| damaged())?;
        let backup = all["backup"].take();
        if all["checksum"].as_u64() != Some(checksum(&backup)?.into()) {
            return Err(damaged().into());
        }
        let format = backup["format"].as_u64().ok_or_else(damaged)?;
        anyhow::ensure!(
            format <= FORMAT,
            "{} has format {format}, and this release reads only up to {FORMAT}; use a newer release",
            path.display()
        );
        let manifest: Self = serde_json::from_value(backup).map_err(|_| damaged())?;
        // Nobody gets to say with a backup where files are written.
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        let is_inside = |it: &Entry| !it.path.is_empty() && Path::new(&it.path).components().all(is_plain);
        if manifest.files.iter().all(is_inside) { Ok(manifest) } else { Err(damaged().into()) }
    }
}

fn checksum(backup: &Value) -> anyhow::Result<u32> {
    Ok(crc32c::crc32c(&serde_json::to_vec(backup)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str) -> Manifest {
        let entry = Entry { path: path.to_owned(), bytes: 7, crc32c: u32::MAX };
        Manifest::new("2026-11-23T10:00:00Z".to_owned(), 1, true, 0, vec![entry])
    }

    fn decode(text: &str) -> anyhow::Result<Manifest> {
        Manifest::decode(text, Path::new("there"))
    }

    #[test]
    fn a_manifest_reads_back_and_no_flipped_bit_changes_what_it_says() {
        let manifest = manifest("journal/1.log");
        let text = manifest.encode().expect("encoded");
        assert_eq!(decode(&text).expect("sound").files, manifest.files);
        let said = format!("{manifest:?}");
        let mut noticed = 0;
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            match String::from_utf8(bytes).map(|text| decode(&text)) {
                Ok(Ok(read)) => assert_eq!(format!("{read:?}"), said, "only white space has changed"),
                _ => noticed += 1,
            }
        }
        assert!(noticed > text.len() * 4, "{noticed}");
    }

    #[test]
    fn a_later_format_and_files_elsewhere_are_refused() {
        let mut later = manifest("ledger.sqlite");
        later.format = 2;
        let error = decode(&later.encode().expect("encoded")).expect_err("later");
        assert!(error.to_string().contains("newer release") && !super::super::is_damage(&error), "{error}");
        for path in ["../ledger.sqlite", "/etc/passwd", "journal/../../x", ""] {
            let error = decode(&manifest(path).encode().expect("encoded")).expect_err(path);
            assert!(super::super::is_damage(&error), "{path}: {error}");
        }
    }
}
