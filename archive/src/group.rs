//! Counting clicks by groups, over recents and segments as one. Each source is counted for itself, on
//! several threads where there are many, and what they found is added up. What is asked, and how rows
//! are counted: `question`; how sources are read: `sources`.

mod question;
mod sources;
#[cfg(test)]
pub(crate) mod tests;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use domain::archive_query::ClickFilter;
use domain::grouping::Groups;
use domain::report::{ClickGroup, ClickGrouping};
use domain::segment::Segment;

use crate::error::ArchiveError;
use crate::folder::Folder;
use crate::list::Source;
use crate::recents::Block;
use crate::table::Archive;

use question::{Counting, Question, Tally, answer};

/// Threads for one question: more would leave none for the others.
const THREADS_MAX: usize = 4;
/// Blocks of recents counted in one go: some 16,000 clicks, so that a thread is worth while.
const BLOCKS_EACH: usize = 64;

/// What is counted in one go.
enum Task {
    Segment(Arc<Segment>),
    Recents(Vec<Arc<Block>>),
}

impl Archive {
    /// How many clicks there are of each group, in no promised order. Exact: always what looking at each
    /// click would find. The grouping's attributes must be such that clicks have.
    pub fn group(&self, grouping: &ClickGrouping) -> Result<Vec<ClickGroup>, ArchiveError> {
        let question = Question::new(grouping);
        let Some((from, before)) = question.range() else { return Ok(Vec::new()) };
        let filter = ClickFilter { from, before, offer_id: None, affiliate_id: None };
        let tasks = tasks(self.sources(&filter), &question);
        let groups = count(&self.folder, &question, &tasks)?;
        Ok(answer(groups.finish()?))
    }
}

/// The sources that may hold wanted clicks.
fn tasks(sources: Vec<Source>, question: &Question<'_>) -> Vec<Task> {
    let (mut tasks, mut blocks) = (Vec::new(), Vec::new());
    for source in sources {
        match source {
            Source::Segment(segment) if question.may_match(&segment) => tasks.push(Task::Segment(segment)),
            Source::Segment(_) => {}
            Source::Recents(block) => blocks.push(block),
        }
    }
    tasks.extend(blocks.chunks(BLOCKS_EACH).map(|blocks| Task::Recents(blocks.to_vec())));
    tasks
}

fn count(folder: &Folder, question: &Question<'_>, tasks: &[Task]) -> Result<Groups<Tally>, ArchiveError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut counting = Counting::new(question);
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let counted = match task {
                _ if failed.load(Ordering::Relaxed) => break,
                Task::Segment(segment) => counting.add_segment(folder, segment),
                Task::Recents(blocks) => counting.add_recents(blocks),
            };
            counted.inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok::<_, ArchiveError>(counting.groups)
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(tasks.len());
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others: Vec<_> =
            others.into_iter().map(|it| it.join().expect("counting does not panic")).collect();
        let mut groups = own?;
        for other in others {
            groups.merge(other?)?;
        }
        Ok(groups)
    })
}
