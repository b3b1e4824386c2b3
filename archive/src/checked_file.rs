//! A file with a checksum per block in a second file beside it, so that no damaged byte is ever
//! believed. The `parquet` crate checks page checksums but does not write them, and they would not
//! cover its headers and footer; this covers every byte. Layout: docs/formats-segments.md.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::ArchiveError;

const MAGIC: &[u8; 8] = b"CRUMBCRC";
const VERSION: u32 = 1;
/// Bytes under one checksum. A look-up reads some 20 small pages, and with each the whole blocks it
/// touches: 64 KiB blocks made it half as slow again, and these cost a thousandth of the file.
const BLOCK_BYTES: u32 = 4 * 1024;
/// Magic, version, block size, length of the file.
const HEADER_BYTES: usize = 24;
const CRC_BYTES: usize = 4;
/// Bytes written before they are synced. All of a segment at once would hold the clicks' own syncs up for
/// tens of milliseconds.
const SYNC_BYTES: u64 = 512 * 1024;

/// A file being written, with its checksums.
pub(crate) struct CheckedWriter {
    file: File,
    written: u64,
    crcs: Vec<u32>,
}

impl CheckedWriter {
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, written: 0, crcs: Vec::new() })
    }

    /// Makes the file durable. Returns its length and the content of its checksum file.
    pub fn finish(self) -> io::Result<(u64, Vec<u8>)> {
        self.file.sync_all()?;
        let mut sums = Vec::with_capacity(HEADER_BYTES + (self.crcs.len() + 1) * CRC_BYTES);
        sums.extend_from_slice(MAGIC);
        sums.extend_from_slice(&VERSION.to_le_bytes());
        sums.extend_from_slice(&BLOCK_BYTES.to_le_bytes());
        sums.extend_from_slice(&self.written.to_le_bytes());
        sums.extend(self.crcs.iter().flat_map(|crc| crc.to_le_bytes()));
        let own = crc32c::crc32c(&sums);
        sums.extend_from_slice(&own.to_le_bytes());
        Ok((self.written, sums))
    }
}

impl Write for CheckedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let in_block = self.written % u64::from(BLOCK_BYTES);
        let room = usize::try_from(u64::from(BLOCK_BYTES) - in_block).expect("at most a block");
        let written = self.file.write(&bytes[..bytes.len().min(room)])?;
        let before = if in_block == 0 { 0 } else { self.crcs.pop().expect("the block has begun") };
        self.crcs.push(crc32c::crc32c_append(before, &bytes[..written]));
        self.written += written as u64;
        if self.written.is_multiple_of(SYNC_BYTES) {
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file read through its checksums.
pub(crate) struct CheckedFile {
    path: PathBuf,
    file: File,
    len: u64,
    block_bytes: u64,
    crcs: Vec<u32>,
}

impl CheckedFile {
    /// Opens the file at `path`, with the checksums at `sums_path`.
    pub fn open(path: &Path, sums_path: &Path) -> Result<Self, ArchiveError> {
        let sums = fs::read(sums_path).map_err(|error| not_read(sums_path, 0, error))?;
        let (len, block_bytes, crcs) =
            parse_sums(&sums).ok_or_else(|| ArchiveError::corrupt(sums_path, 0, "not a checksum file"))?;
        let file = File::open(path).map_err(|error| not_read(path, 0, error))?;
        let on_disk = file.metadata()?.len();
        if on_disk != len {
            let reason = format!("{on_disk} bytes where {len} were written");
            return Err(ArchiveError::corrupt(path, on_disk.min(len), reason));
        }
        Ok(Self { path: path.to_owned(), file, len, block_bytes, crcs })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every block.
    pub fn verify(&self) -> Result<(), ArchiveError> {
        let mut start = 0;
        while start < self.len {
            let len = self.block_bytes.min(self.len - start);
            self.read(start, len)?;
            start += len;
        }
        Ok(())
    }

    /// `len` bytes from `start`, out of blocks that match their checksums.
    fn read(&self, start: u64, len: u64) -> Result<Bytes, ArchiveError> {
        let end = start.checked_add(len).filter(|&end| end <= self.len);
        let end = end.ok_or_else(|| ArchiveError::corrupt(&self.path, start, "points behind its own end"))?;
        let first = start / self.block_bytes;
        let from = first * self.block_bytes;
        let until = end.next_multiple_of(self.block_bytes).min(self.len);
        let mut blocks = vec![0; size(until - from)];
        self.file.read_exact_at(&mut blocks, from).map_err(|error| not_read(&self.path, from, error))?;
        for (index, block) in (first..).zip(blocks.chunks(size(self.block_bytes))) {
            if crc32c::crc32c(block) != self.crcs[size(index)] {
                return Err(ArchiveError::corrupt(
                    &self.path,
                    index * self.block_bytes,
                    "checksum does not match",
                ));
            }
        }
        Ok(Bytes::from(blocks).slice(size(start - from)..size(end - from)))
    }
}

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for CheckedFile {
    type T = bytes::buf::Reader<Bytes>;

    /// Reads to the end: asked for nothing but the last eight bytes, as pages are found by index.
    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.read(start, self.len.saturating_sub(start))?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.read(start, length as u64)?)
    }
}

/// A file of ours that is shorter than it was, or gone, is damage; anything else may pass.
pub(crate) fn not_read(path: &Path, offset: u64, error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::NotFound => ArchiveError::corrupt(path, offset, "the file is missing"),
        io::ErrorKind::UnexpectedEof => ArchiveError::corrupt(path, offset, "the file ends too early"),
        _ => error.into(),
    }
}

/// The length of the checked file, the block size and the checksums, if `sums` is sound.
fn parse_sums(sums: &[u8]) -> Option<(u64, u64, Vec<u32>)> {
    let (sums, own) = sums.split_last_chunk()?;
    let (header, crcs) = sums.split_first_chunk::<HEADER_BYTES>()?;
    let (magic, header) = header.split_first_chunk()?;
    let (version, header) = header.split_first_chunk()?;
    let (block_bytes, len) = header.split_first_chunk()?;
    let block_bytes = u64::from(u32::from_le_bytes(*block_bytes));
    let len = u64::from_le_bytes(len.try_into().ok()?);
    let crcs: Vec<u32> = crcs.as_chunks().0.iter().map(|crc| u32::from_le_bytes(*crc)).collect();

    let sound = crc32c::crc32c(sums) == u32::from_le_bytes(*own)
        && magic == MAGIC
        && u32::from_le_bytes(*version) == VERSION
        && block_bytes > 0
        && crcs.len() as u64 == len.div_ceil(block_bytes);
    sound.then_some((len, block_bytes, crcs))
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("files fit the address space of a 64-bit machine")
}
