//! Reading all of a segment, to be sure of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::slice;

use domain::ids::{AffiliateId, ClickId, OfferId};
use domain::segment::{ReachedRows, Segment};
use parquet::data_type::Int64Type;

use crate::error::ArchiveError;
use crate::reached::Reached;
use crate::record::Record;

use super::CHUNK_ROWS;
use super::columns::CLICK_DATE;
use super::read::SegmentReader;

/// Checks every byte against the checksums, every click against the order, and the sums against
/// the catalogue.
pub(crate) fn verify(path: &Path, sums_path: &Path, segment: &Segment) -> Result<(), ArchiveError> {
    let reader = SegmentReader::open(path, sums_path, segment)?;
    reader.file().verify()?;
    let damage = |reason: &str| ArchiveError::corrupt(path, 0, reason);

    let mut counts = Counts::default();
    let mut last = None;
    for start in (0..reader.rows()).step_by(CHUNK_ROWS) {
        let rows = start..reader.rows().min(start + CHUNK_ROWS);
        let rows = slice::from_ref(&rows);
        let (dates, _) = reader.read_column::<Int64Type>(CLICK_DATE, rows)?;
        for (click, date) in reader.clicks(rows)?.iter().zip(dates) {
            if last >= Some(click.id) {
                return Err(damage("clicks out of order"));
            }
            if click.id.unix_ms() != date {
                return Err(damage("a date that is not its click's"));
            }
            last = Some(click.id);
            counts.add(&Record::from(click));
        }
    }
    if counts.agree_with(segment) { Ok(()) } else { Err(damage("other clicks than the catalogue says")) }
}

/// What a segment's clicks add up to.
#[derive(Default)]
pub(crate) struct Counts {
    pub first_click: Option<ClickId>,
    pub last_click: Option<ClickId>,
    by_offer: BTreeMap<u32, u64>,
    by_affiliate: BTreeMap<u32, u64>,
    reached: Reached,
}

impl Counts {
    /// Counts one more click, with an id above those before it.
    pub fn add(&mut self, record: &Record<'_>) {
        self.first_click.get_or_insert(record.id());
        self.last_click = Some(record.id());
        *self.by_offer.entry(record.first.offer_id).or_default() += 1;
        *self.by_affiliate.entry(record.first.affiliate_id).or_default() += 1;
        self.reached.add_record(record);
    }

    pub fn by_offer(&self) -> Vec<(OfferId, u64)> {
        self.by_offer.iter().map(|(&id, &rows)| (OfferId(id), rows)).collect()
    }

    pub fn by_affiliate(&self) -> Vec<(AffiliateId, u64)> {
        self.by_affiliate.iter().map(|(&id, &rows)| (AffiliateId(id), rows)).collect()
    }

    pub fn reached(&self) -> ReachedRows {
        self.reached.to_rows()
    }

    fn agree_with(&self, segment: &Segment) -> bool {
        self.first_click == Some(segment.first_click)
            && self.last_click == Some(segment.last_click)
            && self.by_offer() == segment.rows_by_offer
            && self.by_affiliate() == segment.rows_by_affiliate
            && segment.reached.as_ref().is_none_or(|reached| *reached == self.reached())
    }
}
