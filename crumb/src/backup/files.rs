//! One file: copied, or shared by a second name, with the checksum of all its bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::manifest::Entry;

/// Bytes read at once.
const PIECE_BYTES: usize = 1 << 20;

/// Reads a file whole. `at` tells of every piece.
fn read(path: &Path, mut at: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let (mut bytes, mut crc, mut piece) = (0, 0, vec![0; PIECE_BYTES]);
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => return Ok((bytes, crc)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        crc = crc32c::crc32c_append(crc, &piece[..read]);
        bytes += read as u64;
        at(&piece[..read])?;
    }
}

/// What is to be said of the file at `root` and `path`.
pub(super) fn entry(root: &Path, path: &str, read_bytes: &dyn Fn(u64)) -> io::Result<Entry> {
    let (bytes, crc32c) = read(&root.join(path), |piece| {
        read_bytes(piece.len() as u64);
        Ok(())
    })?;
    Ok(Entry { path: path.to_owned(), bytes, crc32c })
}

/// Copies a file to `root` and `path`, durably but for its name. Only its owner can read the copy.
pub(super) fn copy(from: &Path, root: &Path, path: &str, copied: &dyn Fn(u64)) -> io::Result<Entry> {
    let mut to = None;
    let (bytes, crc32c) = read(from, |piece| {
        open(&mut to, &root.join(path))?.write_all(piece)?;
        copied(piece.len() as u64);
        Ok(())
    })?;
    open(&mut to, &root.join(path))?.sync_all()?;
    Ok(Entry { path: path.to_owned(), bytes, crc32c })
}

/// Opened once what is copied could be read.
fn open<'f>(file: &'f mut Option<File>, path: &Path) -> io::Result<&'f mut File> {
    if file.is_none() {
        *file = Some(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
    }
    file.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
}

/// Gives a file that never changes a second name at `root` and `path`; where the disk is another one, or cannot do
/// that, copies it. True: it is shared.
pub(super) fn share(from: &Path, root: &Path, path: &str, copied: &dyn Fn(u64)) -> io::Result<(Entry, bool)> {
    match fs::hard_link(from, root.join(path)) {
        Ok(()) => Ok((entry(root, path, copied)?, true)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => Err(error),
        Err(_) => Ok((copy(from, root, path, copied)?, false)),
    }
}
