//! Cubes: what the clicks of a segment add up to, in a file beside it, so that the common reports of a
//! month read megabytes. A cube is derived: it can be deleted at any time and is made again from its
//! segment; what it cannot answer is read from there. It is cut at days into blocks, and of each block has
//! a table for each of some views. Its file: `file`; making and checking it: `make`, `verify`; which there
//! are, and what of them is in memory: `shelf`. Layout: docs/formats-segments.md.

mod file;
mod make;
mod shelf;
#[cfg(test)]
mod tests;
mod verify;

use domain::grouping::Measure;
use domain::ids::ClickId;
use domain::report::Attribute;
use serde::{Deserialize, Serialize};

pub(crate) use file::Cube;
pub(crate) use make::make;
pub use shelf::CubeState;
pub(crate) use shelf::{Cubes, Opened};
pub(crate) use verify::verify;

use Attribute::{
    Advertiser, Affiliate, Browser, Campaign, Country, Creative, Device, Disposition, Offer, Os,
    ReferrerHost, SubId,
};

/// The attributes that a table has a row for each combination of.
pub(crate) struct View {
    /// Whether it tells the hours of the block apart.
    pub is_hourly: bool,
    pub attributes: &'static [Attribute],
    /// A table of more rows than so many quarters of the block's clicks saves nothing and is left out.
    quarters: u64,
}

/// All views. Their order is part of the file's format. The first has everything but is hardly shorter than
/// the clicks where a network is large; the others are what reports ask for most.
pub(crate) static VIEWS: [View; 12] = [
    View {
        quarters: 3,
        ..of(&[Offer, Advertiser, Affiliate, Campaign, Creative, Country, Device, Os, Browser, Disposition])
    },
    View { is_hourly: true, ..of(&[Offer, Advertiser, Affiliate, Campaign, Disposition]) },
    of(&[Offer, Advertiser, Affiliate, Campaign, Creative, Disposition]),
    of(&[Offer, Advertiser, Country, Device, Os, Browser, Disposition]),
    of(&[Offer, Advertiser, Country, Device, Disposition]),
    of(&[Affiliate, Country, Device, Disposition]),
    of(&[SubId(0), Offer, Advertiser, Affiliate, Disposition]),
    of(&[SubId(1), Offer, Advertiser, Affiliate, Disposition]),
    of(&[SubId(2), Offer, Advertiser, Affiliate, Disposition]),
    of(&[SubId(3), Offer, Advertiser, Affiliate, Disposition]),
    of(&[SubId(4), Offer, Advertiser, Affiliate, Disposition]),
    of(&[ReferrerHost, Offer, Advertiser, Affiliate, Disposition]),
];

const fn of(attributes: &'static [Attribute]) -> View {
    View { is_hourly: false, attributes, quarters: 2 }
}

impl View {
    /// Where each of the attributes stands among the columns of its tables; none where one is missing.
    pub fn columns(&self, attributes: &[Attribute]) -> Option<Vec<usize>> {
        let place = |attribute| self.attributes.iter().position(|it| it == attribute);
        attributes.iter().map(|it| place(it).map(|at| at + usize::from(self.is_hourly))).collect()
    }

    /// Columns of its tables: the hour, the attributes, and how many clicks a row stands for.
    pub fn width(&self) -> usize {
        usize::from(self.is_hourly) + self.attributes.len() + 1
    }
}

/// The lowest and the highest id of a run of clicks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    first: [u8; 16],
    last: [u8; 16],
}

impl Run {
    pub fn new(first: ClickId, last: ClickId) -> Self {
        Self { first: first.to_bytes(), last: last.to_bytes() }
    }

    pub fn first(self) -> ClickId {
        ClickId::from_bytes(self.first)
    }

    pub fn last(self) -> ClickId {
        ClickId::from_bytes(self.last)
    }
}

/// What a cube's file says about itself.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// The name of its segment.
    pub segment: String,
    /// How many clicks that has.
    pub rows: u64,
    /// The zone at whose days it is cut: an IANA name, or empty.
    pub zone: String,
    /// Its blocks, in the order of their clicks: together they are all of the segment's.
    pub blocks: Vec<Block>,
}

/// The clicks of a day.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Block {
    pub run: Run,
    /// The hours that have clicks.
    pub hours: Vec<Run>,
    /// The views that are worth while.
    pub tables: Vec<Table>,
}

/// A view of a block.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Its place among [`VIEWS`].
    pub view: u8,
    pub rows: u32,
    pub columns: Vec<Stored>,
}

impl Table {
    pub fn view(&self) -> &'static View {
        &VIEWS[usize::from(self.view)]
    }
}

/// Where a column lies in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    offset: u64,
    bytes: u32,
    crc: u32,
}

/// How many clicks there are.
#[derive(Clone, Copy, Default)]
struct Clicks(u64);

impl Measure for Clicks {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }
}
