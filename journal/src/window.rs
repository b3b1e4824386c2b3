//! A file of the log read piece by piece, so that reading it takes the memory of its largest frame.

use std::io;

use crate::disk::DiskFile;

/// Bytes read at once: few calls, little memory. In tests so few that their small files have many pieces.
const PIECE_BYTES: usize = if cfg!(test) { 48 } else { 1 << 20 };

/// The part of a file that is looked at.
pub(crate) struct Window<'f> {
    file: &'f dyn DiskFile,
    size: usize,
    start: usize,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    pub(crate) fn new(file: &'f dyn DiskFile) -> io::Result<Window<'f>> {
        let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
        Ok(Window { file, size, start: 0, bytes: Vec::new() })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The bytes from `offset` on, at least `len` of them as long as the file has as many.
    pub(crate) fn at(&mut self, offset: usize, len: usize) -> io::Result<&[u8]> {
        let (end, whole) = (self.start + self.bytes.len(), offset.saturating_add(len).min(self.size));
        if offset < self.start || end < whole {
            self.bytes = self.file.read_at(offset as u64, len.max(PIECE_BYTES) as u64)?;
            self.start = offset;
        }
        Ok(&self.bytes[(offset - self.start).min(self.bytes.len())..])
    }
}
