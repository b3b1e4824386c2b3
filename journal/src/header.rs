//! The first bytes of a file: which file it is, where its numbers start, and what must stand before it.

use std::hash::{BuildHasher, RandomState};

use crate::{FileNumber, JournalError, Seq};

/// Every version keeps magic, version and checksum at these places, so that any release can name the version.
pub(crate) const HEADER_BYTES: usize = 64;
/// The version written, and the only one there is to read.
pub(crate) const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"CRUMBJRN";

/// The durable end of the journal when a file was begun: the witness that finds a lost tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Previous {
    /// The last file with a durable record, 0 when there was none.
    pub(crate) file: FileNumber,
    /// Where its last durable frame ends.
    pub(crate) end: u64,
    /// What its checksums begin with, so that no file of another journal is taken for it; 0 when nobody said.
    pub(crate) salt: u32,
}

impl Previous {
    /// Whether this may be said of that file.
    pub(crate) fn is_of(self, file: &Header) -> bool {
        self.file == file.file && (self.salt == 0 || self.salt == file.salt().0)
    }
}

/// What a file says of itself. Durable before the file gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) file: FileNumber,
    pub(crate) salt: u64,
    pub(crate) first_seq: Seq,
    pub(crate) previous: Previous,
}

impl Header {
    pub(crate) fn new(file: FileNumber, first_seq: Seq, previous: Previous) -> Header {
        // Decides nothing; it only makes this use of the file different from every other.
        let salt = RandomState::new().hash_one(file);
        Header { file, salt, first_seq, previous }
    }

    pub(crate) fn salt(&self) -> Salt {
        Salt::new(self.salt, self.file)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [self.file, self.salt, self.first_seq, self.previous.file, self.previous.end];
        for (at, field) in (16..).step_by(8).zip(fields) {
            bytes[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&self.previous.salt.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the file that is named `file`.
    pub(crate) fn decode(bytes: &[u8], file: FileNumber) -> Result<Header, JournalError> {
        let damaged = JournalError::Corrupt { file, offset: 0 };
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(damaged) };
        let short = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 4)) << 32;
        if bytes[..8] != MAGIC || short(60) != crc32c::crc32c(&bytes[..60]) {
            return Err(damaged);
        }
        if short(8) != VERSION {
            return Err(JournalError::UnknownVersion { file, version: short(8) });
        }
        let previous = Previous { file: long(40), end: long(48), salt: short(56) };
        let header = Header { file: long(16), salt: long(24), first_seq: long(32), previous };
        if header.file == file && header.first_seq > 0 { Ok(header) } else { Err(damaged) }
    }
}

/// Ties a file's checksums to this one use of it. Stale frames of a recycled file, and frames a stranger put
/// into a record, never verify.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Salt(pub(crate) u32);

impl Salt {
    pub(crate) fn new(salt: u64, file: FileNumber) -> Salt {
        Salt(crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &file.to_le_bytes()))
    }

    /// The checksum so far for what stands at `offset`.
    pub(crate) fn seed_at(self, offset: u64) -> u32 {
        crc32c::crc32c_append(self.0, &offset.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_noticed() {
        let header = Header::new(3, 17, Previous { file: 2, end: 4096, salt: 5 });
        let mut bytes = header.encode();
        assert_eq!(Header::decode(&bytes, 3).unwrap(), header);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Header::decode(&bytes, 3), Err(JournalError::Corrupt { file: 3, offset: 0 })));
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_header_under_another_name_is_damage() {
        let bytes = Header::new(3, 17, Previous::default()).encode();
        assert!(matches!(Header::decode(&bytes, 4), Err(JournalError::Corrupt { file: 4, offset: 0 })));
        assert!(Header::decode(&bytes[..63], 3).is_err());
    }
}
