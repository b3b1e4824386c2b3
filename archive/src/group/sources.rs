//! Counting what is in recents and in segments.

use std::cell::LazyCell;
use std::sync::Arc;

use domain::grouping::{Column, ColumnBuilder};
use domain::ids::ClickId;
use domain::report::Attribute;
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::folder::Folder;
use crate::recents::Block;
use crate::segment::{CHUNK_ROWS, hosts_of};

use super::question::{Counting, Weight, When};

impl Counting<'_> {
    /// Counts the clicks of recents, which are in order.
    pub fn add_recents(&mut self, blocks: &[Arc<Block>]) -> Result<(), ArchiveError> {
        let question = self.question;
        let mut rows = Rows::new(&question.attributes);
        let mut now = None;
        for block in blocks {
            for period in question.periods_of(block.first_click(), block.last_click()) {
                let (from, before) = question.periods[period];
                if rows.len >= CHUNK_ROWS || now != Some(period) {
                    self.add_rows(now, &mut rows)?;
                    now = Some(period);
                }
                block.between(from, before).for_each(|row| rows.push(block, row));
            }
        }
        self.add_rows(now, &mut rows)
    }

    fn add_rows(&mut self, period: Option<usize>, rows: &mut Rows) -> Result<(), ArchiveError> {
        let columns = rows.take();
        let columns: Vec<&Column> = columns.iter().collect();
        period.map_or(Ok(()), |period| self.add(When::In(period), &columns, Weight::One))
    }

    /// Counts the clicks of a segment.
    pub fn add_segment(&mut self, folder: &Folder, segment: &Segment) -> Result<(), ArchiveError> {
        self.scan(folder, segment, segment.first_click, segment.last_click)
    }

    /// Counts the clicks of a segment from `first` to `last` by reading each.
    fn scan(
        &mut self,
        folder: &Folder,
        segment: &Segment,
        first: ClickId,
        last: ClickId,
    ) -> Result<(), ArchiveError> {
        let question = self.question;
        let periods = question.periods_of(first, last);
        if periods.is_empty() {
            return Ok(());
        }
        let reader = folder.reader(segment)?;
        for period in periods {
            let (from, before) = question.periods[period];
            let before = if last < before { behind(last) } else { before };
            let rows = reader.between(from.max(first), before)?;
            reader.scan(&question.attributes, rows, |columns| {
                let columns: Vec<&Column> = columns.iter().collect();
                self.add(When::In(period), &columns, Weight::One)
            })?;
        }
        Ok(())
    }
}

/// The first id behind `id`.
fn behind(id: ClickId) -> ClickId {
    let number = u128::from_be_bytes(id.to_bytes());
    ClickId::from_bytes(number.saturating_add(1).to_be_bytes())
}

/// Recents on their way to be counted.
struct Rows {
    columns: Vec<(Attribute, ColumnBuilder)>,
    len: usize,
}

impl Rows {
    fn new(attributes: &[Attribute]) -> Self {
        Self { columns: attributes.iter().map(|it| (*it, ColumnBuilder::default())).collect(), len: 0 }
    }

    fn push(&mut self, block: &Block, row: usize) {
        let head = block.head(row);
        // Most questions need no more than that.
        let record = LazyCell::new(|| block.record(row));
        for (attribute, column) in &mut self.columns {
            match attribute {
                Attribute::Offer => column.push_id(head.offer_id),
                Attribute::Affiliate => column.push_id(head.affiliate_id),
                Attribute::Advertiser => column.push_id(head.advertiser_id),
                Attribute::Campaign => column.push_id(head.campaign_id.unwrap_or_default()),
                Attribute::Creative => column.push_id(head.creative_id),
                Attribute::SubId(at) => column.push_text(record.first.sub_ids[usize::from((*at).min(4))]),
                Attribute::Country => column.push_text(head.country().as_str()),
                Attribute::Device => column.push_text(record.device().name()),
                Attribute::Os => column.push_text(record.second.os),
                Attribute::Browser => column.push_text(record.second.browser),
                Attribute::ReferrerHost => column.push_text(record.first.referrer),
                Attribute::Disposition => column.push_text(head.disposition().name()),
                // Clicks have none of these.
                Attribute::Event | Attribute::Status | Attribute::PriceRule => column.push_text(""),
            }
        }
        self.len += 1;
    }

    /// The columns, and begins anew.
    fn take(&mut self) -> Vec<Column> {
        self.len = 0;
        let built = self.columns.iter_mut().map(|(attribute, column)| {
            let column = std::mem::take(column).build();
            if *attribute == Attribute::ReferrerHost { hosts_of(&column) } else { column }
        });
        built.collect()
    }
}
