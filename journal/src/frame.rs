//! A frame: one batch of records as it lies in a file. Building it in place, reading it, and telling where one
//! was begun. Which frames a file must hold is decided in `replay`.

use crate::Seq;
use crate::header::Salt;

/// magic, body length, record count, body checksum, first number, zero, head checksum.
pub(crate) const HEAD_BYTES: usize = 32;
/// Frames start at multiples of this, which leaves few places to search for them.
pub(crate) const ALIGN: usize = 16;
/// The length before each record.
pub(crate) const PREFIX_BYTES: usize = 4;
/// Not zero, so that filling never looks like a frame.
const MAGIC: u32 = u32::from_le_bytes(*b"CJf1");

/// A frame under construction: room for the head, then the records.
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    /// The end of the last complete record: what lies beyond was left by an encoder that panicked.
    whole: usize,
    count: u32,
}

/// Why a record does not go into the frame.
#[derive(Debug, PartialEq)]
pub(crate) enum NoRoom {
    /// Not now.
    Full,
    /// Not even into an empty frame.
    TooLong { bytes: usize },
}

impl FrameBuilder {
    pub(crate) fn new() -> FrameBuilder {
        FrameBuilder { bytes: vec![0; HEAD_BYTES], whole: HEAD_BYTES, count: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.whole = HEAD_BYTES;
        self.count = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The bytes of the records and their prefixes.
    pub(crate) fn records(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES..self.whole]
    }

    /// The length the finished frame will have.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.whole.next_multiple_of(ALIGN)
    }

    /// Adds the record that `encode` writes, as long as the frame stays within `frame_bytes_max`.
    pub(crate) fn push(
        &mut self,
        frame_bytes_max: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), NoRoom> {
        if self.whole + PREFIX_BYTES > frame_bytes_max {
            return Err(NoRoom::Full);
        }
        self.bytes.truncate(self.whole);
        self.bytes.extend_from_slice(&[0; PREFIX_BYTES]);
        let start = self.bytes.len();
        encode(&mut self.bytes);
        let bytes = self.bytes.len().saturating_sub(start);
        if HEAD_BYTES + PREFIX_BYTES + bytes > frame_bytes_max {
            return Err(NoRoom::TooLong { bytes });
        }
        if self.bytes.len() > frame_bytes_max {
            return Err(NoRoom::Full);
        }
        let prefix = u32::try_from(bytes).map_err(|_| NoRoom::TooLong { bytes })?;
        self.bytes[start - PREFIX_BYTES..start].copy_from_slice(&prefix.to_le_bytes());
        self.whole = self.bytes.len();
        self.count += 1;
        Ok(())
    }

    /// Fills in head and padding for this place; the result is ready to be written there.
    pub(crate) fn seal(&mut self, salt: Salt, offset: u64, first_seq: Seq) -> &[u8] {
        let body_bytes = u32::try_from(self.whole - HEAD_BYTES).expect("push keeps a frame below 4 GiB");
        self.bytes.truncate(self.whole);
        self.bytes.resize(self.frame_bytes(), 0);
        let seed = salt.seed_at(offset);
        let (head, body) = self.bytes.split_at_mut(HEAD_BYTES);
        head[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        head[4..8].copy_from_slice(&body_bytes.to_le_bytes());
        head[8..12].copy_from_slice(&self.count.to_le_bytes());
        head[12..16].copy_from_slice(&crc32c::crc32c_append(seed, body).to_le_bytes());
        head[16..24].copy_from_slice(&first_seq.to_le_bytes());
        head[24..28].fill(0);
        let head_crc = crc32c::crc32c_append(seed, &head[..28]);
        head[28..32].copy_from_slice(&head_crc.to_le_bytes());
        &self.bytes
    }
}

/// An intact frame.
pub(crate) struct Frame<'a> {
    pub(crate) first_seq: Seq,
    /// The number after its last record's.
    pub(crate) next_seq: Seq,
    pub(crate) records: &'a [u8],
    /// Where the next frame starts.
    pub(crate) end: usize,
}

/// What stands where no intact frame does.
#[derive(Debug, PartialEq)]
pub(crate) enum Bad {
    /// Nothing that was written for this place.
    Absent,
    /// A frame's head, but not its whole body.
    Torn,
}

struct Head {
    body_bytes: usize,
    count: u32,
    body_crc: u32,
    first_seq: Seq,
}

/// How many bytes the frame takes whose head stands at `offset` of its file, as `bytes` begin there; a head's
/// where none does.
pub(crate) fn len(bytes: &[u8], salt: Salt, offset: usize) -> usize {
    let body_bytes = read_head(bytes, salt, offset).map_or(0, |head| head.body_bytes);
    HEAD_BYTES + body_bytes.next_multiple_of(ALIGN)
}

/// The frame at `offset` of its file, where `bytes` begin.
pub(crate) fn read(bytes: &[u8], salt: Salt, offset: usize) -> Result<Frame<'_>, Bad> {
    let head = read_head(bytes, salt, offset).ok_or(Bad::Absent)?;
    let body = &bytes[HEAD_BYTES..];
    let padded = body.get(..head.body_bytes.next_multiple_of(ALIGN)).ok_or(Bad::Torn)?;
    let records = &body[..head.body_bytes];
    let crc = crc32c::crc32c_append(salt.seed_at(offset as u64), padded);
    let next_seq = head.first_seq.checked_add(u64::from(head.count)).ok_or(Bad::Torn)?;
    if crc != head.body_crc || !holds(records, head.count) {
        return Err(Bad::Torn);
    }
    Ok(Frame { first_seq: head.first_seq, next_seq, records, end: offset + HEAD_BYTES + padded.len() })
}

/// Whether a frame was begun at `offset` of its file, where `bytes` begin. Its body need not be whole: a frame is
/// begun only when the one before it is durable.
pub(crate) fn is_begun(bytes: &[u8], salt: Salt, offset: usize) -> bool {
    read_head(bytes, salt, offset).is_some()
}

fn read_head(bytes: &[u8], salt: Salt, offset: usize) -> Option<Head> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    let field = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if field(0) != MAGIC || field(28) != crc32c::crc32c_append(salt.seed_at(offset as u64), &head[..28]) {
        return None;
    }
    Some(Head {
        body_bytes: field(4) as usize,
        count: field(8),
        body_crc: field(12),
        first_seq: u64::from(field(16)) | u64::from(field(20)) << 32,
    })
}

fn holds(records: &[u8], count: u32) -> bool {
    let mut walk = Records::new(0, records);
    let counted = walk.by_ref().count() as u64;
    walk.rest.is_empty() && counted == u64::from(count)
}

/// Walks the records of a frame.
pub(crate) struct Records<'a> {
    seq: Seq,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(first_seq: Seq, records: &'a [u8]) -> Records<'a> {
        Records { seq: first_seq, rest: records }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Seq, &'a [u8]);

    fn next(&mut self) -> Option<(Seq, &'a [u8])> {
        let (prefix, rest) = self.rest.split_first_chunk::<PREFIX_BYTES>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*prefix) as usize)?;
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        self.rest = rest;
        Some((seq, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(records: &[&[u8]]) -> FrameBuilder {
        let mut builder = FrameBuilder::new();
        for record in records {
            builder.push(4096, |bytes| bytes.extend_from_slice(record)).unwrap();
        }
        builder
    }

    #[test]
    fn a_frame_reads_back_only_in_its_own_place_and_file() {
        let (salt, other) = (Salt::new(7, 1), Salt::new(7, 2));
        let mut file = vec![0; 64];
        file.extend_from_slice(built(&[b"one", b"", b"three"]).seal(salt, 64, 5));
        let frame = read(&file[64..], salt, 64).ok().unwrap();
        let records: Vec<_> = Records::new(frame.first_seq, frame.records).collect();
        assert_eq!(records, [(5, &b"one"[..]), (6, b""), (7, b"three")]);
        assert_eq!((frame.next_seq, frame.end), (8, file.len()));

        assert_eq!(read(&file[64..], other, 64).err(), Some(Bad::Absent));
        assert_eq!(read(&file[64..], salt, 48).err(), Some(Bad::Absent));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let salt = Salt::new(7, 1);
        let mut file = built(&[b"some record", b"and another"]).seal(salt, 0, 1).to_vec();
        for bit in 0..file.len() * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&file, salt, 0).is_err(), "bit {bit}");
            file[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(read(&file, salt, 0).is_ok());
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_the_frame_as_it_was() {
        let mut builder = built(&[b"first"]);
        assert_eq!(builder.push(64, |bytes| bytes.extend([0; 28])), Err(NoRoom::Full));
        assert_eq!(builder.push(64, |bytes| bytes.extend([0; 29])), Err(NoRoom::TooLong { bytes: 29 }));
        builder.push(64, |bytes| bytes.extend_from_slice(b"second")).unwrap();
        let records: Vec<_> = Records::new(1, builder.records()).collect();
        assert_eq!(records, [(1, &b"first"[..]), (2, b"second")]);
    }

    #[test]
    fn a_panicking_encoder_leaves_nothing_behind() {
        let mut builder = built(&[b"first"]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            builder.push(4096, |bytes| {
                bytes.extend_from_slice(b"half a rec");
                panic!("on purpose");
            })
        }));
        assert!(panicked.is_err());
        let salt = Salt::new(7, 1);
        let frame = builder.seal(salt, 0, 1).to_vec();
        assert_eq!(read(&frame, salt, 0).ok().unwrap().next_seq, 2);
    }
}
