//! What rows are written as, and how they are copied from an answer as they come.

use std::io::{BufRead as _, BufReader, Read, Write as _};

use anyhow::Context as _;
use csv::ByteRecord;
use indicatif::ProgressBar;
use serde_json::Value;

use super::target::{Kept, Target};

/// Bytes of an answer read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// What one answer brought.
pub(super) struct Part<'a> {
    key: &'static [&'static str],
    progress: &'a ProgressBar,
    /// How many rows came whole.
    pub rows: u64,
    /// The key of the last of them.
    pub last: Option<String>,
    /// Why more were to come and did not.
    pub broke: Option<String>,
}

impl<'a> Part<'a> {
    /// Nothing yet.
    pub fn new(key: &'static [&'static str], progress: &'a ProgressBar) -> Self {
        Self { key, progress, rows: 0, last: None, broke: None }
    }

    fn add(&mut self) {
        self.rows += 1;
        self.progress.inc(1);
    }

    /// The key of a row of JSON.
    fn key_of(&self, row: &Value) -> anyhow::Result<String> {
        let value = |name: &&str| match &row[*name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let parts: Option<Vec<_>> = self.key.iter().map(value).collect();
        Ok(parts.context("the server's answer has a row without its key")?.join("-"))
    }
}

/// A form of rows.
pub(super) trait Form {
    /// Writes the rows of an answer as far as they come whole. An error is one of writing.
    fn copy(&mut self, answer: &mut dyn Read, part: &mut Part<'_>) -> anyhow::Result<()>;

    /// Keeps how far it has come, where it can go on from there.
    fn keep(&mut self, place: &Kept) -> anyhow::Result<()>;

    /// All rows are written.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// Comma-separated, with one header for all answers.
pub(super) struct Csv {
    target: Target,
    has_header: bool,
}

impl Csv {
    /// What goes to that target, where the header may be already.
    pub fn new(target: Target, has_header: bool) -> Self {
        Self { target, has_header }
    }
}

impl Form for Csv {
    fn copy(&mut self, answer: &mut dyn Read, part: &mut Part<'_>) -> anyhow::Result<()> {
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(BUFFER_BYTES).from_reader(answer);
        let header = match reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(error) => {
                part.broke = Some(error.to_string());
                return Ok(());
            }
        };
        let place = |name: &&str| header.iter().position(|it| it == name.as_bytes());
        let places: Option<Vec<_>> = part.key.iter().map(place).collect();
        let places = places.context("the server's answer lacks a column")?;
        let mut writer = csv::Writer::from_writer(&mut self.target);
        if !self.has_header {
            writer.write_byte_record(&header)?;
            self.has_header = true;
        }
        let (mut record, mut last) = (ByteRecord::new(), ByteRecord::new());
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => writer.write_byte_record(&record)?,
                Ok(false) => break,
                Err(error) => {
                    part.broke = Some(error.to_string());
                    break;
                }
            }
            part.add();
            std::mem::swap(&mut record, &mut last);
        }
        writer.flush()?;
        if part.rows > 0 {
            let cells = places.iter().map(|place| String::from_utf8_lossy(&last[*place]).into_owned());
            part.last = Some(cells.collect::<Vec<_>>().join("-"));
        }
        Ok(())
    }

    fn keep(&mut self, place: &Kept) -> anyhow::Result<()> {
        self.target.keep(place)
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        self.target.finish()
    }
}

/// A JSON object a line.
pub(super) struct Lines {
    target: Target,
}

impl Lines {
    /// What goes to that target.
    pub fn new(target: Target) -> Self {
        Self { target }
    }
}

impl Form for Lines {
    fn copy(&mut self, answer: &mut dyn Read, part: &mut Part<'_>) -> anyhow::Result<()> {
        let mut last = Vec::new();
        each_line(answer, part, &mut |line| {
            line.clone_into(&mut last);
            self.target.write_all(line).context("it cannot be written")
        })?;
        if part.rows > 0 {
            part.last = Some(part.key_of(&serde_json::from_slice(&last)?)?);
        }
        Ok(())
    }

    fn keep(&mut self, place: &Kept) -> anyhow::Result<()> {
        self.target.keep(place)
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        self.target.finish()
    }
}

/// Hands over the rows of an answer as JSON, as far as they come whole; the key of the last is the part's.
pub(super) fn each_row(
    answer: &mut dyn Read,
    part: &mut Part<'_>,
    row: &mut dyn FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut last = Value::Null;
    each_line(answer, part, &mut |line| {
        last = serde_json::from_slice(line).context("the server's answer is no JSON")?;
        row(&last)
    })?;
    if part.rows > 0 {
        part.last = Some(part.key_of(&last)?);
    }
    Ok(())
}

/// Hands over the lines of an answer that come whole, each with its end.
fn each_line(
    answer: &mut dyn Read,
    part: &mut Part<'_>,
    whole: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut answer = BufReader::with_capacity(BUFFER_BYTES, answer);
    let mut line = Vec::new();
    loop {
        line.clear();
        match answer.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) if line.ends_with(b"\n") => {
                whole(&line)?;
                part.add();
            }
            Ok(_) => {
                part.broke = Some("in the middle of a row".to_owned());
                return Ok(());
            }
            Err(error) => {
                part.broke = Some(error.to_string());
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, and then the end or an error.
    struct Answer<'a>(&'a [u8], bool);

    impl Read for Answer<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(to)? {
                0 if self.1 => Err(std::io::Error::other("it broke off")),
                read => Ok(read),
            }
        }
    }

    fn rows(text: &str, breaks: bool) -> (Vec<Value>, Option<String>, bool) {
        let progress = ProgressBar::hidden();
        let mut part = Part::new(&["conversion_id", "account"], &progress);
        let mut rows = Vec::new();
        each_row(&mut Answer(text.as_bytes(), breaks), &mut part, &mut |row| {
            rows.push(row.clone());
            Ok(())
        })
        .expect("read");
        assert_eq!((part.rows, progress.position()), (rows.len() as u64, rows.len() as u64));
        (rows, part.last, part.broke.is_some())
    }

    #[test]
    fn only_rows_that_came_whole_count_and_the_last_of_them_says_where_to_go_on() {
        let one = "{\"conversion_id\":1,\"account\":\"cash\"}\n";
        let two = "{\"conversion_id\":2,\"account\":\"cash\"}\n";
        let key = |text: &str| Some(text.to_owned());
        let (found, last, broke) = rows(&format!("{one}{two}"), false);
        assert_eq!((found.len(), last, broke), (2, key("2-cash"), false));
        let (found, last, broke) = rows(&format!("{one}{}", &two[..20]), true);
        assert_eq!((found.len(), last, broke), (1, key("1-cash"), true));
        // An end in the middle of a row is a break too.
        let (found, last, broke) = rows(&format!("{one}{}", &two[..20]), false);
        assert_eq!((found.len(), last, broke), (1, key("1-cash"), true));
        let (found, last, broke) = rows("", true);
        assert_eq!((found.len(), last, broke), (0, None, true));
    }
}
