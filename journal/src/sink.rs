//! What the owner is told, and what a batch looks like to it.

use crate::frame::Records;
use crate::{FileNumber, Seq};

/// The owner's ears. Everything is called on the writer's thread: what takes long here delays the next batch.
pub trait Sink: Send {
    /// The batch is durable and nobody who waits for it has been woken yet.
    fn committed(&mut self, batch: &Batch<'_>);
    /// Nothing more will be written to this file, and its successor has begun. All its records were given to
    /// `committed` or to the replay; [`Journal::drop_file`](crate::Journal::drop_file) may follow.
    fn rolled(&mut self, file: FileNumber);
    /// Everyone who waits should look at [`Journal::outcome`](crate::Journal::outcome) again: once per batch,
    /// after `committed`, and on failure.
    fn progressed(&mut self);
}

/// Records that became durable together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The file they are in.
    pub file: FileNumber,
    /// The number of the first; the others follow without a gap.
    pub first_seq: Seq,
    /// How many there are.
    pub count: u32,
    pub(crate) records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The number of the last record.
    pub fn last_seq(&self) -> Seq {
        self.first_seq + u64::from(self.count) - 1
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = (Seq, &'a [u8])> + use<'a> {
        Records::new(self.first_seq, self.records)
    }
}
