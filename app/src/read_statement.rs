//! Reading a statement: one page of its lines, or all of them as they come.

use std::sync::Arc;

use domain::access::{Caller, View};
use domain::ids::StatementId;
use domain::statement::{Party, Statement};
use ledger::{Ledger, StatementLine};
use tokio::sync::mpsc;

use crate::failure::blocking;
use crate::list_statements::StatementRow;
use crate::{App, Failure};

/// Lines handed over at a time: some tens of kilobytes.
const LINES_AT_ONCE: usize = 256;
/// How many such portions wait for a reader: the next one is read while one is on its way.
const PORTIONS_WAITING: usize = 2;

/// Lines on their way; an empty portion is the end of them.
type Portion = Result<Vec<StatementLine>, Failure>;

/// The lines of a statement, as they come.
pub struct StatementLines {
    portions: mpsc::Receiver<Portion>,
}

impl StatementLines {
    /// The next lines; none after the last. After a failure there are no more, and some are missing.
    pub async fn next(&mut self) -> Option<Result<Vec<StatementLine>, Failure>> {
        match self.portions.recv().await {
            Some(Ok(portion)) if portion.is_empty() => None,
            // Whoever reads has gone without a word of the end.
            None => Some(Err(Failure::Broken("the lines broke off".into()))),
            portion => portion,
        }
    }
}

impl App {
    /// A statement with one page of its lines. None where there is none, or none that the caller may see.
    pub async fn find_statement(
        &self,
        caller: &Caller,
        id: StatementId,
        offset: u64,
        limit: u32,
    ) -> Result<Option<(StatementRow, Vec<StatementLine>)>, Failure> {
        let view = caller.may_read()?;
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let found = blocking(move || {
            let Some(statement) = find(&*ledger, view, id)? else { return Ok(None) };
            let (mut lines, mut seen) = (Vec::new(), 0);
            ledger.each_statement_line(id, &mut |line| {
                if (offset..offset.saturating_add(limit.into())).contains(&seen) {
                    lines.push(line);
                }
                seen += 1;
            })?;
            Ok(Some((statement, lines)))
        });
        Ok(found.await?.map(|(statement, lines)| (self.named(statement), lines)))
    }

    /// A statement and all its lines, as fast as they are taken. Only a few are in memory at once. None
    /// where there is none, or none that the caller may see.
    pub async fn read_statement(
        &self,
        caller: &Caller,
        id: StatementId,
    ) -> Result<Option<(StatementRow, StatementLines)>, Failure> {
        let view = caller.may_read()?;
        let turn = self.download().await?;
        let ledger = Arc::clone(&self.ledger);
        let Some(statement) = blocking(move || find(&*ledger, view, id)).await? else { return Ok(None) };
        let (portions, lines) = mpsc::channel(PORTIONS_WAITING);
        let ledger = Arc::clone(&self.ledger);
        // It ends with the last line, or as soon as nobody takes them any more.
        drop(tokio::task::spawn_blocking(move || {
            let _turn = turn;
            send_lines(&*ledger, id, &portions);
        }));
        Ok(Some((self.named(statement), StatementLines { portions: lines })))
    }
}

/// The statement, unless it is another's than the reader's.
fn find(ledger: &dyn Ledger, view: View, id: StatementId) -> Result<Option<Statement>, Failure> {
    let own = |it: &Statement| view.affiliate_id.is_none_or(|id| it.party == Party::Affiliate(id));
    Ok(ledger.find_statement(id)?.filter(own))
}

fn send_lines(ledger: &dyn Ledger, id: StatementId, portions: &mpsc::Sender<Portion>) {
    let mut portion = Vec::with_capacity(LINES_AT_ONCE);
    let read = ledger.each_statement_line(id, &mut |line| {
        // The rest is for nobody.
        if portions.is_closed() {
            return;
        }
        portion.push(line);
        if portion.len() == LINES_AT_ONCE {
            let full = std::mem::replace(&mut portion, Vec::with_capacity(LINES_AT_ONCE));
            let _ = portions.blocking_send(Ok(full));
        }
    });
    let rest = match read {
        Ok(()) if portion.is_empty() => vec![Ok(portion)],
        Ok(()) => vec![Ok(portion), Ok(Vec::new())],
        Err(error) => vec![Err(error.into())],
    };
    for portion in rest {
        let _ = portions.blocking_send(portion);
    }
}

#[cfg(test)]
mod tests {
    use domain::access::{Grant, Scope};
    use domain::ids::KeyId;

    use super::*;
    use crate::sample;

    #[tokio::test(start_paused = true)]
    async fn a_statement_is_sent_only_when_a_turn_is_free_and_the_turn_comes_back() {
        let opened = sample::open();
        let app = &opened.app;
        let caller = Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(Scope::Read) };
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(app.download().await.expect("a free turn"));
        }
        let refused = app.read_statement(&caller, StatementId(1)).await;
        assert!(matches!(refused, Err(Failure::Overloaded)));
        turns.pop();
        for _ in 0..8 {
            assert!(matches!(app.read_statement(&caller, StatementId(1)).await, Ok(None)));
        }
    }

    #[tokio::test]
    async fn lines_that_break_off_are_a_failure_and_not_the_end() {
        let (sender, portions) = mpsc::channel(1);
        drop(sender);
        let mut lines = StatementLines { portions };
        assert!(matches!(lines.next().await, Some(Err(Failure::Broken(_)))));
        let (sender, portions) = mpsc::channel(1);
        sender.send(Ok(Vec::new())).await.expect("room");
        let mut lines = StatementLines { portions };
        assert!(lines.next().await.is_none());
    }
}
