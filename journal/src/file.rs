//! One file of the log while it is written, and the names files have. Reading is `replay`'s.

use std::io;

use crate::disk::{Disk, DiskFile};
use crate::frame::FrameBuilder;
use crate::header::{HEADER_BYTES, Header, Previous, Salt};
use crate::{FileNumber, Seq};

/// Twenty digits hold every number and make names sort as numbers do.
pub(crate) fn log_name(file: FileNumber) -> String {
    format!("{file:020}.log")
}

/// A file that is full of zeros or of stale bytes, waiting to be used.
pub(crate) fn spare_name(number: u64) -> String {
    format!("{number:020}.spare")
}

/// The number in a name with this ending; `None` when the name is not ours.
pub(crate) fn number_in(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The file new batches go to.
pub(crate) struct LogFile {
    pub(crate) number: FileNumber,
    file: Box<dyn DiskFile>,
    salt: Salt,
    size: u64,
    /// Where the last durable frame ends.
    end: u64,
    pub(crate) has_records: bool,
    /// A write or an fsync failed: what the file holds behind `end` is unknown, and stays so.
    pub(crate) has_failed: bool,
}

impl LogFile {
    /// Makes a spare the file the header describes; durable on return, name and all.
    pub(crate) fn begin(disk: &dyn Disk, spare: &str, header: &Header) -> io::Result<LogFile> {
        let name = log_name(header.file);
        Self::try_begin(disk, spare, &name, header).inspect_err(|_| {
            // Whatever is left is harmless: a spare, or a file without records. Both are cleared at the next start.
            _ = disk.remove(spare);
            _ = disk.remove(&name);
        })
    }

    fn try_begin(disk: &dyn Disk, spare: &str, name: &str, header: &Header) -> io::Result<LogFile> {
        let file = disk.open(spare)?;
        let size = file.size()?;
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        disk.rename(spare, name)?;
        disk.sync_names()?;
        Ok(LogFile {
            number: header.file,
            file,
            salt: header.salt(),
            size,
            end: HEADER_BYTES as u64,
            has_records: false,
            has_failed: false,
        })
    }

    pub(crate) fn fits(&self, batch: &FrameBuilder) -> bool {
        self.end + batch.frame_bytes() as u64 <= self.size
    }

    /// Makes the batch durable. After an error the file must not be written again.
    pub(crate) fn append(&mut self, batch: &mut FrameBuilder, first_seq: Seq) -> io::Result<()> {
        let frame = batch.seal(self.salt, self.end, first_seq);
        self.has_failed = true;
        self.file.write_at(frame, self.end)?;
        self.file.sync()?;
        self.has_failed = false;
        self.end += frame.len() as u64;
        self.has_records = true;
        Ok(())
    }

    pub(crate) fn previous(&self) -> Previous {
        Previous { file: self.number, end: self.end, salt: self.salt.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_a_number() {
        assert_eq!(number_in(&log_name(42), ".log"), Some(42));
        assert_eq!(number_in(&spare_name(7), ".spare"), Some(7));
        for name in ["42.log", "lock", "+0000000000000000042.log", "99999999999999999999.log", ".log"] {
            assert_eq!(number_in(name, ".log"), None, "{name}");
        }
    }
}
