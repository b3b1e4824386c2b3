//! Statements and balances.

use domain::entry::Entry;
use domain::ids::StatementId;
use domain::money::Currency;
use domain::statement::{Balance, Party, Statement};
use jiff::Timestamp;

use crate::adjustments::Author;
use crate::{LedgerError, Page};

/// Why no statement was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotClosed {
    /// It would end in the future.
    InFuture,
    /// One that ends there or later is closed already.
    Closed(StatementId),
    /// No line is open by then.
    Empty,
}

/// A line of a statement, with what it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementLine {
    /// The line.
    pub entry: Entry,
    /// The conversion's date.
    pub conversion_date: Timestamp,
    /// The conversion's `unique_id`, or empty.
    pub unique_id: String,
    /// Why it came after the recording, in words; empty for the recording itself.
    pub note: String,
}

/// Which statements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatementFilter {
    /// Of this party.
    pub party: Option<Party>,
    /// Of all parties with this account.
    pub account: Option<domain::entry::Account>,
    /// Ending after this.
    pub from: Option<Timestamp>,
    /// Ending at or before this.
    pub until: Option<Timestamp>,
}

/// Statements and balances.
pub trait StatementBook {
    /// Closes a statement: every line of the party in that currency that is on none yet and counts for
    /// before `until`, but for conversions that are pending. It is never changed after.
    fn close_statement(
        &self,
        party: Party,
        currency: Currency,
        until: Timestamp,
        author: &Author,
        now: Timestamp,
    ) -> Result<Result<Statement, NotClosed>, LedgerError>;

    /// The statement of that number.
    fn find_statement(&self, id: StatementId) -> Result<Option<Statement>, LedgerError>;

    /// Statements, the latest first.
    fn list_statements(
        &self,
        filter: &StatementFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Statement>, LedgerError>;

    /// Hands over every line of a statement, by the date it counts for. Memory does not grow with them.
    fn each_statement_line(
        &self,
        id: StatementId,
        line: &mut dyn FnMut(StatementLine),
    ) -> Result<(), LedgerError>;

    /// The balances of one party, or of all with that account, at a moment: the sums of their lines that
    /// count for before it, by currency. Parties without a line have none.
    fn balances(
        &self,
        party: Option<Party>,
        account: Option<domain::entry::Account>,
        at: Timestamp,
    ) -> Result<Vec<Balance>, LedgerError>;
}
