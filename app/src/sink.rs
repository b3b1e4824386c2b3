//! What happens to clicks the moment they are durable: they become readable, then whoever waits is
//! woken, and a completed file goes to the sealer.

use std::sync::{Arc, mpsc};

use archive::Archive;
use journal::{Batch, FileNumber};

use crate::lane::Lanes;

pub(crate) struct Sink {
    pub(crate) archive: Arc<Archive>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) completed: mpsc::Sender<FileNumber>,
    /// Durable clicks are not readable. Sealed without them their file would be dropped with them, and files
    /// are sealed in order: none is until the next start.
    pub(crate) is_incomplete: bool,
}

impl journal::Sink for Sink {
    fn committed(&mut self, batch: &Batch<'_>) {
        if let Err(error) = self.archive.push_recents(batch.file, batch.records()) {
            // They are durable and will be read at the next start; until then they are not listed.
            self.is_incomplete = true;
            tracing::error!(
                file = batch.file,
                error = &error as &dyn std::error::Error,
                "durable clicks could not be made readable"
            );
        }
    }

    fn rolled(&mut self, file: FileNumber) {
        if self.is_incomplete {
            return;
        }
        // Without a sealer the program is stopping; the file is sealed after the next start.
        let _ = self.completed.send(file);
    }

    fn progressed(&mut self) {
        self.lanes.wake();
    }
}
