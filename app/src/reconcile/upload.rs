//! A file on its way in: kept on disk while it comes, in no folder that anybody sees.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use domain::access::Caller;
use tokio::sync::OwnedSemaphorePermit;

use crate::failure::blocking;
use crate::list_clicks::turn_of;
use crate::{App, Failure};

/// The largest file, in bytes: a million rows of 250.
pub const UPLOAD_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes written at a time.
const WRITE_BYTES: usize = 1024 * 1024;

/// A file of which a part has come. It is gone with this, whatever happens.
pub struct Upload {
    file: Arc<File>,
    waiting: Vec<u8>,
    turn: OwnedSemaphorePermit,
}

impl App {
    /// Begins to take a file. Only a few come at a time.
    pub async fn begin_upload(&self, caller: &Caller) -> Result<Upload, Failure> {
        caller.may_read_all()?;
        let turn = turn_of(&self.reconciliations).await?;
        let folder = self.scratch.clone();
        let file = blocking(move || tempfile::tempfile_in(folder).map_err(unavailable)).await?;
        Ok(Upload { file: Arc::new(file), waiting: Vec::new(), turn })
    }
}

impl Upload {
    /// Takes what comes next.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < WRITE_BYTES { Ok(()) } else { self.write().await }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let (file, waiting) = (Arc::clone(&self.file), std::mem::take(&mut self.waiting));
        blocking(move || (&*file).write_all(&waiting).map_err(unavailable)).await
    }

    /// The whole file, and the turn that it holds.
    pub(crate) async fn finish(mut self) -> Result<(File, OwnedSemaphorePermit), Failure> {
        self.write().await?;
        let file = self.file.try_clone().map_err(unavailable)?;
        Ok((file, self.turn))
    }
}

/// A disk that is full, or fails, may be well again later.
pub(crate) fn unavailable(error: std::io::Error) -> Failure {
    Failure::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use domain::access::{Grant, Scope};
    use domain::ids::KeyId;

    use super::*;
    use crate::sample;

    #[tokio::test(start_paused = true)]
    async fn a_file_is_taken_only_when_a_turn_is_free_and_the_turn_comes_back() {
        let opened = sample::open();
        let app = &opened.app;
        let caller = Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(Scope::Read) };
        let _first = app.begin_upload(&caller).await.expect("a free turn");
        let second = app.begin_upload(&caller).await.expect("a free turn");
        assert!(matches!(app.begin_upload(&caller).await, Err(Failure::Overloaded)));
        drop(second);
        app.begin_upload(&caller).await.expect("a turn was given back");
    }

    #[tokio::test]
    async fn what_came_in_pieces_is_whole() {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let opened = sample::open();
        let caller = Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(Scope::Read) };
        let mut upload = opened.app.begin_upload(&caller).await.expect("a free turn");
        for piece in [&[1][..], &vec![2; 2 * WRITE_BYTES], &[3]] {
            upload.push(piece).await.expect("room");
        }
        let (mut file, _turn) = upload.finish().await.expect("written");
        let mut whole = Vec::new();
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.read_to_end(&mut whole).expect("readable");
        assert_eq!(whole, [&[1][..], &vec![2; 2 * WRITE_BYTES], &[3]].concat());
    }
}
