//! Reading what clicks are grouped by, attribute by attribute and in chunks, so that the memory is
//! bounded. What a format has no column for is what a blank click has.

use std::ops::Range;

use domain::click::{Click, Disposition};
use domain::grouping::{Column, ColumnBuilder, Value};
use domain::ids::ClickId;
use domain::report::{Attribute, host_of};
use parquet::data_type::{ByteArrayType, Int32Type};

use crate::error::ArchiveError;

use super::CHUNK_ROWS;
use super::columns::{
    ADVERTISER_ID, AFFILIATE_ID, BROWSER, CAMPAIGN_ID, COUNTRY, CREATIVE_ID, DEVICE, DISPOSITION, OFFER_ID,
    OS, REFERRER, SUB_ID_1,
};
use super::read::{ColumnValues, SegmentReader, str_of};

/// An attribute of rows that are read one after the other.
struct Reading<'s> {
    attribute: Attribute,
    values: Values<'s>,
}

enum Values<'s> {
    Ids(ColumnValues<'s, Int32Type>),
    Texts(ColumnValues<'s, ByteArrayType>),
    /// No column: every row has this one.
    Blank(Value),
}

impl SegmentReader {
    /// Hands `take` attributes of `rows`, in order and a chunk at a time: a column for each of them.
    pub fn scan(
        &self,
        attributes: &[Attribute],
        rows: Range<usize>,
        mut take: impl FnMut(&[Column]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        if rows.is_empty() {
            return Ok(());
        }
        let readings: Result<Vec<_>, _> = attributes.iter().map(|it| self.reading(*it, &rows)).collect();
        let mut readings = readings?;
        for start in rows.clone().step_by(CHUNK_ROWS) {
            let len = CHUNK_ROWS.min(rows.end - start);
            let chunk: Result<Vec<_>, _> = readings.iter_mut().map(|it| it.next(self, len)).collect();
            take(&chunk?)?;
        }
        Ok(())
    }

    fn reading(&self, attribute: Attribute, rows: &Range<usize>) -> Result<Reading<'_>, ArchiveError> {
        let (column, is_id) = match attribute {
            Attribute::Offer => (OFFER_ID, true),
            Attribute::Affiliate => (AFFILIATE_ID, true),
            Attribute::Advertiser => (ADVERTISER_ID, true),
            Attribute::Campaign => (CAMPAIGN_ID, true),
            Attribute::Creative => (CREATIVE_ID, true),
            Attribute::SubId(at) => (SUB_ID_1 + usize::from(at.min(4)), false),
            Attribute::Country => (COUNTRY, false),
            Attribute::Device => (DEVICE, false),
            Attribute::Os => (OS, false),
            Attribute::Browser => (BROWSER, false),
            Attribute::ReferrerHost => (REFERRER, false),
            Attribute::Disposition => (DISPOSITION, false),
            Attribute::Event | Attribute::Status | Attribute::PriceRule => (usize::MAX, false),
        };
        let values = if is_id {
            self.values(column, rows)?.map(Values::Ids)
        } else {
            self.values(column, rows)?.map(Values::Texts)
        };
        let blank = || attribute.of_click(&Click::blank(ClickId::MIN)).unwrap_or_else(|| Value::text(""));
        Ok(Reading { attribute, values: values.unwrap_or_else(|| Values::Blank(blank())) })
    }
}

impl Reading<'_> {
    /// The next rows.
    fn next(&mut self, segment: &SegmentReader, rows: usize) -> Result<Column, ArchiveError> {
        let mut column = ColumnBuilder::default();
        match &mut self.values {
            Values::Blank(value) => return Ok(Column::of_one(value.clone(), rows)),
            Values::Ids(values) => {
                for id in values.next(rows)? {
                    column.push_id(id.unwrap_or_default().cast_unsigned());
                }
            }
            Values::Texts(values) => {
                for text in values.next(rows)? {
                    let text = text.as_ref().map_or(Some(""), str_of);
                    column.push_text(text.ok_or_else(|| segment.damage("a text that is none"))?);
                }
            }
        }
        let column = column.build();
        match self.attribute {
            Attribute::Disposition if !column.values.iter().all(is_disposition) => {
                Err(segment.damage("a bad disposition"))
            }
            Attribute::ReferrerHost => Ok(hosts_of(&column)),
            _ => Ok(column),
        }
    }
}

fn is_disposition(value: &Value) -> bool {
    matches!(value, Value::Text(name) if name.parse::<Disposition>().is_ok())
}

/// A column of the hosts of referrers.
pub(crate) fn hosts_of(referrers: &Column) -> Column {
    referrers.map(|it| match it {
        Value::Text(referrer) => Value::text(&host_of(referrer)),
        Value::Id(_) => it.clone(),
    })
}
