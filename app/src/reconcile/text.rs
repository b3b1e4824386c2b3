//! An advertiser's file as text: in which encoding it is, and its text block by block.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// A file whose encoding is known.
pub(crate) struct Text {
    file: File,
    encoding: &'static Encoding,
}

impl Text {
    /// Looks through a file: what begins with a byte order mark says what it is; else what is valid as UTF-8
    /// is that, and anything else Windows-1252, in which every byte is a letter.
    pub(crate) fn open(mut file: File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let mut start = [0; 3];
        let length = read_full(&file, &mut start)?;
        let encoding = match Encoding::for_bom(&start[..length]) {
            Some((encoding, _)) => encoding,
            None if is_utf8(&file)? => UTF_8,
            None => WINDOWS_1252,
        };
        Ok(Self { file, encoding })
    }

    /// What whoever sent it should know about its encoding.
    pub(crate) fn remark(&self) -> Option<String> {
        if self.encoding == WINDOWS_1252 {
            return Some("the file is not UTF-8; it was read as Windows-1252".to_owned());
        }
        (self.encoding == UTF_16LE || self.encoding == UTF_16BE)
            .then(|| format!("the file is {}", self.encoding.name()))
    }

    /// Its text, from the beginning.
    pub(crate) fn blocks(&self) -> io::Result<Blocks<'_>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let decoder = self.encoding.new_decoder_with_bom_removal();
        Ok(Blocks { file, decoder, raw: vec![0; READ_BYTES] })
    }
}

fn read_full(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn is_utf8(mut file: &File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; READ_BYTES];
    let mut kept = 0;
    loop {
        let read = read_full(file, &mut buffer[kept..])?;
        let length = kept + read;
        match std::str::from_utf8(&buffer[..length]) {
            Ok(_) if read == 0 => return Ok(true),
            Ok(_) => kept = 0,
            // A character that goes on in the next block.
            Err(error) if error.error_len().is_none() && read > 0 => {
                buffer.copy_within(error.valid_up_to()..length, 0);
                kept = length - error.valid_up_to();
            }
            Err(_) => return Ok(false),
        }
    }
}

/// The text of a file, block by block. What cannot be decoded is U+FFFD.
pub(crate) struct Blocks<'f> {
    file: &'f File,
    decoder: Decoder,
    raw: Vec<u8>,
}

impl Blocks<'_> {
    /// Adds the next block to a text. Returns whether that was the last one.
    pub(crate) fn next(&mut self, text: &mut String) -> io::Result<bool> {
        let length = read_full(self.file, &mut self.raw)?;
        let is_last = length < self.raw.len();
        let mut raw = &self.raw[..length];
        loop {
            text.reserve(self.decoder.max_utf8_buffer_length(raw.len()).unwrap_or(raw.len()));
            let (result, read, _) = self.decoder.decode_to_string(raw, text, is_last);
            raw = &raw[read..];
            if result == encoding_rs::CoderResult::InputEmpty {
                return Ok(is_last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8]) -> (String, Option<String>) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        let text = Text::open(file).expect("readable");
        let mut read = String::new();
        let mut blocks = text.blocks().expect("readable");
        while !blocks.next(&mut read).expect("readable") {}
        (read, text.remark())
    }

    #[test]
    fn every_encoding_is_found_and_said() {
        let utf16 = |text: &str, of: fn(u16) -> [u8; 2]| -> Vec<u8> {
            format!("\u{feff}{text}").encode_utf16().flat_map(of).collect()
        };
        assert_eq!(read(b"id;B\xc3\xbcro"), ("id;Büro".to_owned(), None));
        assert_eq!(read(b"\xef\xbb\xbfid"), ("id".to_owned(), None));
        assert_eq!(read(b""), (String::new(), None));
        let (text, remark) = read(b"id;B\xfcro \x80");
        assert_eq!((&*text, remark.expect("said").contains("Windows-1252")), ("id;Büro €", true));
        for of in [u16::to_le_bytes, u16::to_be_bytes] {
            let (text, remark) = read(&utf16("id;Büro", of));
            assert_eq!((&*text, remark.expect("said").contains("UTF-16")), ("id;Büro", true));
        }
        assert_eq!(read(b"half of one: \xc3").0, "half of one: Ã");
    }

    #[test]
    fn a_character_between_two_blocks_is_whole() {
        for before in [READ_BYTES - 1, READ_BYTES - 2, READ_BYTES] {
            let text = format!("{}€{}", "a".repeat(before), "b".repeat(READ_BYTES));
            assert_eq!(read(text.as_bytes()), (text, None));
        }
    }
}
