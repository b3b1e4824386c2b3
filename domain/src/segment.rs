//! A segment as the catalogue knows it: a sealed, immutable file of clicks. `archive` writes and
//! reads the file, `ledger` keeps the row.

use crate::ids::{AffiliateId, CampaignId, ClickId, NodeNumber, OfferId};

/// One sealed file of clicks. Its name is its journal range, so sealing twice is sealing once, and
/// how often it was rewritten.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The node whose journal it was sealed from.
    pub node: NodeNumber,
    /// The journal file it was sealed from; of several, the last.
    pub journal_file: u64,
    /// The first journal record in it.
    pub first_seq: u64,
    /// The last journal record in it.
    pub last_seq: u64,
    /// How often its clicks were rewritten; 0 as sealed.
    pub generation: u32,
    /// Whether the visitors' data of all its clicks is blanked.
    pub visitors_blanked: bool,
    /// The version of the file format.
    pub format: u32,
    /// Clicks in it.
    pub rows: u64,
    /// Size of the file in bytes, without its checksum file.
    pub file_bytes: u64,
    /// The lowest click id in it.
    pub first_click: ClickId,
    /// The highest click id in it.
    pub last_click: ClickId,
    /// How many clicks of each offer, by id.
    pub rows_by_offer: Vec<(OfferId, u64)>,
    /// How many clicks of each affiliate, by id.
    pub rows_by_affiliate: Vec<(AffiliateId, u64)>,
    /// How many of its clicks reached an offer; none for a segment catalogued before this was counted.
    pub reached: Option<ReachedRows>,
}

/// How many of a segment's clicks reached an offer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReachedRows {
    /// By the offer reached (see `Click::reached_offer_id`), by id.
    pub by_offer: Vec<(OfferId, u64)>,
    /// By the campaign of those that reached the offer their link asked for, by id.
    pub by_campaign: Vec<(CampaignId, u64)>,
}

impl Segment {
    /// The file's name without its ending: node, journal range and, where it was rewritten, its
    /// generation.
    pub fn name(&self) -> String {
        let sealed = format!("clicks-{:04}-{:020}-{:020}", self.node.get(), self.first_seq, self.last_seq);
        if self.generation == 0 { sealed } else { format!("{sealed}-g{:06}", self.generation) }
    }

    /// Clicks on `offer_id` in it.
    pub fn rows_of_offer(&self, offer_id: OfferId) -> u64 {
        count(&self.rows_by_offer, offer_id)
    }

    /// Clicks of `affiliate_id` in it.
    pub fn rows_of_affiliate(&self, affiliate_id: AffiliateId) -> u64 {
        count(&self.rows_by_affiliate, affiliate_id)
    }
}

fn count<Id: Ord + Copy>(counts: &[(Id, u64)], id: Id) -> u64 {
    counts.binary_search_by_key(&id, |(id, _)| *id).map_or(0, |index| counts[index].1)
}
