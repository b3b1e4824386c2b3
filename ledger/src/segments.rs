//! The catalogue of segments: which sealed files there are.

use domain::segment::Segment;

use crate::LedgerError;

/// The catalogue.
pub trait SegmentCatalogue {
    /// Enters a segment. Idempotent by node and journal range: entered again it stays as it is.
    fn record_segment(&self, segment: &Segment) -> Result<(), LedgerError>;

    /// Takes `old` out of the catalogue and enters `new` in their place, at once. Done again, it
    /// changes nothing; when only some of `old` are there, it changes nothing and is an error.
    fn replace_segments(&self, old: &[&Segment], new: Option<&Segment>) -> Result<(), LedgerError>;

    /// All segments, by their first click.
    fn list_segments(&self) -> Result<Vec<Segment>, LedgerError>;
}
