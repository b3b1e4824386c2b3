//! A cube's file: columns, each with its checksum, and a directory behind them. Nothing is believed
//! without its checksum, and nothing that does not fit what the directory says.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use domain::grouping::{Codes, Column, Value};
use domain::segment::Segment;
use serde::{Deserialize, Serialize};

use crate::checked_file::{CheckedWriter, not_read};
use crate::error::ArchiveError;

use super::{Directory, Stored, VIEWS};

/// The file begins with these and the version.
const MAGIC: &[u8; 8] = b"CRUMBCUB";
/// Changes with the layout and with the views.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 12;
/// At the file's end: where the directory begins, and the checksum of it, of this offset and of the header.
const TRAILER_BYTES: usize = 12;

/// An open cube: what its file says about itself. The file is opened for each read.
pub(crate) struct Cube {
    path: PathBuf,
    pub directory: Directory,
}

/// A column as it is stored.
#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    #[serde(borrow)]
    values: Values<'a>,
    /// Bytes of a code: 1, 2 or 4.
    width: u8,
    /// The rows' codes, little endian.
    codes: &'a [u8],
}

#[derive(Serialize, Deserialize)]
enum Values<'a> {
    Ids(Vec<u32>),
    #[serde(borrow)]
    Texts(Vec<&'a str>),
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

fn directory_crc(directory: &[u8], offset: u64) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header()), directory);
    crc32c::crc32c_append(crc, &offset.to_le_bytes())
}

/// A cube being written.
pub(super) struct CubeWriter {
    file: CheckedWriter,
    offset: u64,
}

impl CubeWriter {
    pub fn create(path: &Path) -> Result<Self, ArchiveError> {
        let mut writer = Self { file: CheckedWriter::create(path)?, offset: 0 };
        writer.write(&header())?;
        Ok(writer)
    }

    /// Adds a column. Returns where it lies.
    pub fn add(&mut self, column: &Column) -> Result<Stored, ArchiveError> {
        let bytes = packed(column);
        let stored = Stored {
            offset: self.offset,
            bytes: u32::try_from(bytes.len()).expect("a table's rows and texts are bounded"),
            crc: crc32c::crc32c(&bytes),
        };
        self.write(&bytes)?;
        Ok(stored)
    }

    /// Writes the directory and makes the file durable.
    pub fn finish(mut self, directory: &Directory) -> Result<(), ArchiveError> {
        let offset = self.offset;
        let bytes = postcard::to_stdvec(directory).expect("a vector takes every byte");
        self.write(&bytes)?;
        self.write(&offset.to_le_bytes())?;
        self.write(&directory_crc(&bytes, offset).to_le_bytes())?;
        self.file.finish()?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.file.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

impl Cube {
    /// Opens the file at `path`; none where there is none. Another's file, one of another version and a
    /// damaged one are told alike.
    pub fn open(path: &Path, segment: &Segment) -> Result<Option<Self>, ArchiveError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let damage = |offset, reason: &str| ArchiveError::corrupt(path, offset, reason);
        let len = file.metadata()?.len();
        let (mut head, mut trailer) = ([0; HEADER_BYTES], [0; TRAILER_BYTES]);
        let end = len.checked_sub(TRAILER_BYTES as u64).filter(|end| *end >= HEADER_BYTES as u64);
        let end = end.ok_or_else(|| damage(0, "too short for a cube"))?;
        read(&file, path, &mut head, 0)?;
        read(&file, path, &mut trailer, end)?;
        let (offset, crc) = trailer.split_first_chunk().expect("it is longer");
        let offset = u64::from_le_bytes(*offset);
        if head != header() || offset > end {
            return Err(damage(0, "not a cube of this version"));
        }
        let mut bytes = vec![0; usize::try_from(end - offset).expect("files fit the address space")];
        read(&file, path, &mut bytes, offset)?;
        if *crc != directory_crc(&bytes, offset).to_le_bytes() {
            return Err(damage(offset, "checksum does not match"));
        }
        let directory: Directory =
            postcard::from_bytes(&bytes).map_err(|_| damage(offset, "not a cube's directory"))?;
        if !directory.is_of(segment) {
            return Err(damage(offset, "the cube of another segment"));
        }
        Ok(Some(Self { path: path.to_owned(), directory }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A column of so many rows.
    pub fn column(&self, stored: Stored, rows: u32) -> Result<Column, ArchiveError> {
        let damage = |reason: &str| ArchiveError::corrupt(&self.path, stored.offset, reason);
        let file = File::open(&self.path).map_err(|error| not_read(&self.path, 0, error))?;
        if file.metadata()?.len() < stored.offset.saturating_add(stored.bytes.into()) {
            return Err(damage("the file ends too early"));
        }
        let mut bytes = vec![0; stored.bytes as usize];
        read(&file, &self.path, &mut bytes, stored.offset)?;
        if crc32c::crc32c(&bytes) != stored.crc {
            return Err(damage("checksum does not match"));
        }
        unpacked(&bytes).filter(|it| it.codes.len() == rows as usize).ok_or_else(|| damage("not a column"))
    }
}

impl Directory {
    /// Whether it is that segment's, and all tables are as wide as their views.
    fn is_of(&self, segment: &Segment) -> bool {
        let mut tables = self.blocks.iter().flat_map(|it| &it.tables);
        self.segment == segment.name()
            && self.rows == segment.rows
            && self.blocks.first().is_some_and(|it| it.run.first() == segment.first_click)
            && self.blocks.last().is_some_and(|it| it.run.last() == segment.last_click)
            && tables.all(|it| {
                VIEWS.get(usize::from(it.view)).is_some_and(|view| view.width() == it.columns.len())
            })
    }
}

fn read(file: &File, path: &Path, bytes: &mut [u8], offset: u64) -> Result<(), ArchiveError> {
    file.read_exact_at(bytes, offset).map_err(|error| not_read(path, offset, error))
}

fn packed(column: &Column) -> Vec<u8> {
    let ids = column.values.iter().map(|it| if let Value::Id(id) = it { Some(*id) } else { None });
    let texts = column.values.iter().map(|it| if let Value::Text(text) = it { &**text } else { "" });
    let values = ids.collect::<Option<_>>().map_or_else(|| Values::Texts(texts.collect()), Values::Ids);
    let mut wide = Vec::new();
    let (width, codes) = match &column.codes {
        Codes::Narrow(codes) => (1, codes),
        Codes::Wide(codes) => {
            wide.extend(codes.iter().flat_map(|it| it.to_le_bytes()));
            (2, &wide)
        }
        Codes::Full(codes) => {
            wide.extend(codes.iter().flat_map(|it| it.to_le_bytes()));
            (4, &wide)
        }
    };
    postcard::to_stdvec(&Packed { values, width, codes }).expect("a vector takes every byte")
}

/// None where it is no column.
fn unpacked(bytes: &[u8]) -> Option<Column> {
    let (Packed { values, width, codes }, []) = postcard::take_from_bytes(bytes).ok()? else { return None };
    let values: Vec<Value> = match values {
        Values::Ids(ids) => ids.into_iter().map(Value::Id).collect(),
        Values::Texts(texts) => texts.into_iter().map(Value::text).collect(),
    };
    let codes = match width {
        1 => Codes::Narrow(codes.to_vec()),
        2 => Codes::Wide(codes.as_chunks().0.iter().map(|it| u16::from_le_bytes(*it)).collect()),
        4 => Codes::Full(codes.as_chunks().0.iter().map(|it| u32::from_le_bytes(*it)).collect()),
        _ => return None,
    };
    codes.are_below(values.len()).then_some(Column { values, codes })
}

#[cfg(test)]
mod tests {
    use domain::grouping::ColumnBuilder;

    use super::*;

    #[test]
    fn columns_of_few_and_many_values_round_trip() {
        for values in [1, 2, 256, 257, 65_536, 65_537] {
            let (mut ids, mut texts) = (ColumnBuilder::default(), ColumnBuilder::default());
            for row in 0..70_000_u32 {
                ids.push_id(u32::MAX - row % values);
                texts.push_text(&(row % values).to_string());
            }
            for column in [ids.build(), texts.build()] {
                assert_eq!(unpacked(&packed(&column)), Some(column));
            }
        }
    }

    #[test]
    fn what_is_no_column_is_refused() {
        let check = |width, values: usize, codes: &[u8]| {
            let values = Values::Ids(vec![7; values]);
            unpacked(&postcard::to_stdvec(&Packed { values, width, codes }).expect("written")).is_some()
        };
        assert!(check(1, 2, &[0, 1]) && check(2, 2, &[0, 0, 1, 0]));
        assert!(!check(1, 2, &[0, 2]) && !check(3, 2, &[0, 0, 0]) && !check(4, 1, &[0, 1, 0, 0]));
        assert!(unpacked(&[]).is_none());
    }
}
