//! How many clicks reached an offer: from the catalogue where it can tell, else by reading the
//! columns that say so.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

use domain::archive_query::ClickFilter;
use domain::click::Disposition;
use domain::ids::{CampaignId, ClickId, OfferId};
use domain::segment::{ReachedRows, Segment};

use crate::error::ArchiveError;
use crate::list::Source;
use crate::recents::Block;
use crate::record::Record;
use crate::table::Archive;

/// How many clicks reached an offer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// By the offer reached: the one the link asked for, or the one it was redirected to.
    pub by_offer: HashMap<OfferId, u64>,
    /// By the campaign of those that reached the offer their link asked for.
    pub by_campaign: HashMap<CampaignId, u64>,
}

impl Archive {
    /// How many clicks from `from` on and before `before` (exclusive) reached an offer.
    pub fn reached(&self, from: ClickId, before: ClickId) -> Result<Reached, ArchiveError> {
        let filter = ClickFilter { from, before, offer_id: None, affiliate_id: None };
        let mut reached = Reached::default();
        for source in self.sources(&filter) {
            match source {
                Source::Recents(block) => reached.add_block(&block, &filter),
                Source::Segment(segment) => match catalogued(&segment, &filter) {
                    Some(rows) => reached.add_rows(rows),
                    None => self.folder.reader(&segment)?.add_reached(&filter, &mut reached)?,
                },
            }
        }
        Ok(reached)
    }
}

/// What the catalogue knows of a segment that lies wholly in the range.
fn catalogued<'s>(segment: &'s Segment, filter: &ClickFilter) -> Option<&'s ReachedRows> {
    let whole = filter.from <= segment.first_click && segment.last_click < filter.before;
    segment.reached.as_ref().filter(|_| whole)
}

impl Reached {
    pub(crate) fn add_record(&mut self, record: &Record<'_>) {
        let (first, second) = (&record.first, &record.second);
        self.add(record.disposition(), first.offer_id, first.campaign_id, second.redirect_offer_id);
    }

    /// Counts a click: see `Click::reached_offer_id`.
    pub(crate) fn add(
        &mut self,
        disposition: Disposition,
        offer_id: u32,
        campaign_id: Option<u32>,
        redirect_offer_id: Option<u32>,
    ) {
        let there = disposition.reached_the_offer();
        let offer_id = if there { Some(offer_id) } else { redirect_offer_id };
        count(&mut self.by_offer, offer_id.map(OfferId), 1);
        count(&mut self.by_campaign, campaign_id.filter(|_| there).map(CampaignId), 1);
    }

    fn add_block(&mut self, block: &Block, filter: &ClickFilter) {
        let within: Range<usize> = block.within(filter);
        within.for_each(|index| self.add_record(&block.record(index)));
    }

    pub(crate) fn add_rows(&mut self, rows: &ReachedRows) {
        rows.by_offer.iter().for_each(|&(id, rows)| count(&mut self.by_offer, Some(id), rows));
        rows.by_campaign.iter().for_each(|&(id, rows)| count(&mut self.by_campaign, Some(id), rows));
    }

    pub(crate) fn to_rows(&self) -> ReachedRows {
        ReachedRows { by_offer: sorted(&self.by_offer), by_campaign: sorted(&self.by_campaign) }
    }
}

fn count<Id: Eq + Hash>(counts: &mut HashMap<Id, u64>, id: Option<Id>, more: u64) {
    if let Some(id) = id {
        *counts.entry(id).or_default() += more;
    }
}

fn sorted<Id: Ord + Copy>(counts: &HashMap<Id, u64>) -> Vec<(Id, u64)> {
    let mut counts: Vec<_> = counts.iter().map(|(&id, &rows)| (id, rows)).collect();
    counts.sort_unstable();
    counts
}
