//! What a click of the day takes on disk once it is sealed.

use std::path::Path;

use anyhow::ensure;

use crate::day::Loaded;
use crate::generate::segment_bytes;
use crate::report::{Figure, Report, Target};
use crate::statistics::float;

/// At most, in bytes.
const BYTES_MAX: f64 = 85.0;

/// Measures the segments with their checksums.
pub fn measure(folder: &Path, loaded: &Loaded, report: &mut Report) -> anyhow::Result<()> {
    ensure!(loaded.sealed > 0, "no click is sealed; a day of more clicks fills a journal file");
    let each = float(segment_bytes(folder)?) / float(loaded.sealed as u64);
    let name = format!("a click in segments, {} sealed", loaded.sealed);
    report.add(Figure::new("storage", &name, "B", each).with_target(Target::AtMost(BYTES_MAX)));
    Ok(())
}
