//! Counting what is in recents and in segments.

use std::cell::LazyCell;
use std::sync::Arc;

use domain::grouping::{Column, ColumnBuilder, Value};
use domain::ids::ClickId;
use domain::report::Attribute;
use domain::segment::Segment;

use crate::cube::{Block, Opened, Run};
use crate::error::ArchiveError;
use crate::folder::Folder;
use crate::recents;
use crate::segment::{CHUNK_ROWS, hosts_of};

use super::question::{Counting, Place, Weight, When};

impl Counting<'_> {
    /// Counts the clicks of recents, which are in order.
    pub fn add_recents(&mut self, blocks: &[Arc<recents::Block>]) -> Result<(), ArchiveError> {
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

    /// Counts the clicks of a segment, by its cube where that can tell.
    pub fn add_segment(&mut self, folder: &Folder, segment: &Segment) -> Result<(), ArchiveError> {
        let Some(opened) = folder.cubes.find(segment) else {
            return self.scan(folder, segment, segment.first_click, segment.last_click);
        };
        for number in 0..opened.blocks().len() {
            for run in self.add_block(folder, segment, &opened, number)? {
                self.scan(folder, segment, run.first(), run.last())?;
            }
        }
        Ok(())
    }

    /// Counts what the cube knows of a block. Returns the clicks that are still to be read.
    fn add_block(
        &mut self,
        folder: &Folder,
        segment: &Segment,
        opened: &Opened,
        number: usize,
    ) -> Result<Vec<Run>, ArchiveError> {
        let (question, block) = (self.question, &opened.blocks()[number]);
        let place = question.place(block.run.first(), block.run.last());
        let whole = matches!(place, Place::Within(_));
        if place == Place::Outside {
            return Ok(Vec::new());
        }
        let Some((table, attributes)) = best_table(block, &question.attributes, whole) else {
            return Ok(vec![block.run]);
        };
        let count = block.tables[table].view().width() - 1;
        let needed = attributes.into_iter().chain([count]).chain((!whole).then_some(0));
        let Some(columns) = folder.cubes.columns(opened, segment, (number, table), needed) else {
            return Ok(vec![block.run]);
        };
        let columns: Vec<&Column> = columns.iter().map(Arc::as_ref).collect();
        let (columns, others) = columns.split_at(question.attributes.len());
        if let Place::Within(period) = place {
            self.add(When::In(period), columns, Weight::By(others[0]))?;
            return Ok(Vec::new());
        }
        let places: Vec<Place> = block.hours.iter().map(|it| question.place(it.first(), it.last())).collect();
        let period_of = |hour: &Value| match hour {
            Value::Id(hour) => match places.get(*hour as usize) {
                Some(Place::Within(period)) => Some(*period),
                _ => None,
            },
            Value::Text(_) => None,
        };
        let periods: Vec<Option<usize>> = others[1].values.iter().map(period_of).collect();
        self.add(When::By(others[1], &periods), columns, Weight::By(others[0]))?;
        let cut = block.hours.iter().zip(&places).filter(|(_, place)| **place == Place::Cut);
        Ok(cut.map(|(hour, _)| *hour).collect())
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

/// The smallest table that has all the attributes, or of those that tell hours apart where not the whole
/// block is wanted; and where in it they stand.
fn best_table(block: &Block, attributes: &[Attribute], whole: bool) -> Option<(usize, Vec<usize>)> {
    let tables = block.tables.iter().enumerate().filter(|(_, it)| whole || it.view().is_hourly);
    let fitting = tables.filter_map(|(at, it)| Some((it.rows, at, it.view().columns(attributes)?)));
    fitting.min_by_key(|(rows, ..)| *rows).map(|(_, at, columns)| (at, columns))
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

    fn push(&mut self, block: &recents::Block, row: usize) {
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
