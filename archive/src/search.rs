//! Lists of clicks by whatever they can be grouped by: what is under a report's figure. Unlike `list`,
//! every click of the range is looked at.

use std::collections::HashSet;
use std::ops::Range;

use domain::archive_query::{ClickFilter, ClickPage, ClickSearch};
use domain::click::Click;
use domain::grouping::{Column, Value};
use domain::ids::{AffiliateId, OfferId};
use domain::report::Attribute;

use crate::error::ArchiveError;
use crate::list::{Source, page_of, rows, runs_len};
use crate::recents::Block;
use crate::segment::SegmentReader;
use crate::table::Archive;

/// A search, ready to be asked of many sources.
struct Wanted<'s> {
    /// What the catalogue and the recents' index can tell.
    plain: ClickFilter,
    attributes: Vec<Attribute>,
    values: Vec<HashSet<&'s Value>>,
}

impl Archive {
    /// How many clicks match, and of those, oldest first, up to `limit` after the first `offset`.
    /// The caller bounds `limit`: that many clicks are in memory at once.
    pub fn search(&self, search: &ClickSearch, offset: u64, limit: usize) -> Result<ClickPage, ArchiveError> {
        let wanted = Wanted::new(search);
        let mut page = ClickPage::default();
        for source in self.sources(&wanted.plain) {
            let skip = |page: &ClickPage| rows(offset.saturating_sub(page.total));
            let left = limit - page.clicks.len();
            match source {
                Source::Recents(block) => {
                    let found = wanted.in_block(&block);
                    page.clicks.extend(found.iter().skip(skip(&page)).take(left).cloned());
                    page.total += found.len() as u64;
                }
                Source::Segment(segment) if wanted.may_be_in(&segment) => {
                    let reader = self.folder.reader(&segment)?;
                    let found = wanted.in_segment(&reader)?;
                    if skip(&page) < runs_len(&found) && left > 0 {
                        page.clicks.extend(reader.clicks(&page_of(&found, skip(&page), left))?);
                    }
                    page.total += runs_len(&found) as u64;
                }
                Source::Segment(_) => {}
            }
        }
        Ok(page)
    }
}

impl<'s> Wanted<'s> {
    fn new(search: &'s ClickSearch) -> Self {
        let only = |attribute| {
            let of_it = search.filters.iter().find(|it| it.attribute == attribute);
            of_it.and_then(|it| if let [Value::Id(id)] = it.values[..] { Some(id) } else { None })
        };
        let plain = ClickFilter {
            offer_id: only(Attribute::Offer).map(OfferId),
            affiliate_id: only(Attribute::Affiliate).map(AffiliateId),
            ..ClickFilter::between(search.from, search.until)
        };
        let attributes = search.filters.iter().map(|it| it.attribute).collect();
        let values = search.filters.iter().map(|it| it.values.iter().collect()).collect();
        Self { plain, attributes, values }
    }

    /// Whether the catalogue leaves it possible.
    fn may_be_in(&self, segment: &domain::segment::Segment) -> bool {
        self.plain.offer_id.is_none_or(|id| segment.rows_of_offer(id) > 0)
            && self.plain.affiliate_id.is_none_or(|id| segment.rows_of_affiliate(id) > 0)
    }

    fn in_block(&self, block: &Block) -> Vec<Click> {
        let mut clicks = block.read(&self.plain, 0, usize::MAX);
        clicks.retain(|click| {
            let admits = |(attribute, values): (&Attribute, &HashSet<&Value>)| {
                attribute.of_click(click).is_some_and(|value| values.contains(&value))
            };
            self.attributes.iter().zip(&self.values).all(admits)
        });
        clicks
    }

    fn in_segment(&self, reader: &SegmentReader) -> Result<Vec<Range<usize>>, ArchiveError> {
        let all = reader.between(self.plain.from, self.plain.before)?;
        if self.attributes.is_empty() {
            return Ok(std::iter::once(all).filter(|it| !it.is_empty()).collect());
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut start = all.start;
        reader.scan(&self.attributes, all, |columns| {
            for row in self.rows_of(columns) {
                match found.last_mut() {
                    Some(run) if run.end == start + row => run.end += 1,
                    _ => found.push(start + row..start + row + 1),
                }
            }
            start += columns.first().map_or(0, |it| it.codes.len());
            Ok(())
        })?;
        Ok(found)
    }

    /// The rows of a table that match.
    fn rows_of(&self, columns: &[Column]) -> impl Iterator<Item = usize> {
        let mut matches = vec![true; columns.first().map_or(0, |it| it.codes.len())];
        for (column, values) in columns.iter().zip(&self.values) {
            let is_wanted: Vec<bool> = column.values.iter().map(|it| values.contains(it)).collect();
            column.codes.each(0..matches.len(), |row, code| matches[row] &= is_wanted[code]);
        }
        matches.into_iter().enumerate().filter(|(_, matches)| *matches).map(|(row, _)| row)
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use proptest::prelude::*;

    use super::*;
    use crate::group::tests::{Shelf, any_files, any_grouping};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_search_finds_what_looking_at_each_click_finds(
            files in any_files(),
            questions in prop::collection::vec((any_grouping(), 0..50_usize, 0..50_usize), 12),
        ) {
            let shelf = Shelf::new(&files);
            for (grouping, offset, limit) in questions {
                let (Some(first), Some(last)) = (grouping.periods.first(), grouping.periods.last()) else { continue };
                let search = ClickSearch { from: first.from, until: last.until, filters: grouping.filters };
                let admits = |click: &&Click| {
                    let value = |it: Attribute| it.of_click(click).expect("clicks have it");
                    search.from <= click.date()
                        && click.date() < search.until
                        && search.filters.iter().all(|it| it.admits(&value(it.attribute)))
                };
                let expected: Vec<Click> = shelf.clicks.iter().filter(admits).cloned().collect();
                let found = shelf.archive.search(&search, offset as u64, limit).expect("readable");
                prop_assert_eq!(found.total, expected.len() as u64);
                let page: Vec<Click> = expected.into_iter().skip(offset).take(limit).collect();
                prop_assert_eq!(found.clicks, page);
            }
        }
    }

    #[test]
    fn a_page_goes_on_where_the_one_before_ended_across_segments_and_recents() {
        use crate::group::tests::Kind;
        let shelf = Shelf::new(&[(300, Kind::Segment), (300, Kind::Format1), (600, Kind::Recents)]);
        let (first, last) = (shelf.clicks[0].date(), shelf.clicks[1199].date() + 1.second());
        let search = ClickSearch { from: first, until: last, filters: Vec::new() };
        let pages =
            (0..12).flat_map(|page| shelf.archive.search(&search, page * 100, 100).expect("readable").clicks);
        assert_eq!(pages.collect::<Vec<_>>(), shelf.clicks);
    }
}
