//! Statements and balances in the ledger.

use domain::entry::Account;
use domain::ids::StatementId;
use domain::money::{Amount, Currency};
use domain::statement::{Balance, Party, Statement};
use jiff::Timestamp;

use super::adjustments::{page, read_entry};
use super::filter::Where;
use super::{Book, raise_version};
use crate::adjustments::Author;
use crate::database::{Database, Record, Session, all, one, single, values};
use crate::statements::{NotClosed, StatementBook, StatementFilter, StatementLine};
use crate::{LedgerError, Page};

impl<D: Database> StatementBook for Book<D> {
    fn close_statement(
        &self,
        party: Party,
        currency: Currency,
        until: Timestamp,
        author: &Author,
        now: Timestamp,
    ) -> Result<Result<Statement, NotClosed>, LedgerError> {
        if until > now {
            return Ok(Err(NotClosed::InFuture));
        }
        self.database.decide(|session| {
            // One closes after the other.
            raise_version(session, "statements")?;
            let last = last_statement(session, party, currency)?;
            if let Some(last) = last.as_ref().filter(|it| it.until >= until) {
                return Ok(Err(NotClosed::Closed(last.id)));
            }
            let statement = Statement {
                id: StatementId(0),
                party,
                currency,
                from: last.map(|it| it.until),
                until,
                closed_at: now,
                actor: author.name.clone(),
                lines: 0,
                total: Amount::ZERO,
            };
            close(session, statement)
        })
    }

    fn find_statement(&self, id: StatementId) -> Result<Option<Statement>, LedgerError> {
        let sql = "-- find_statement\nSELECT * FROM statements WHERE statement_id = ?1";
        self.database.read(|session| one(session, sql, values![id], read_statement))
    }

    fn list_statements(
        &self,
        filter: &StatementFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Page<Statement>, LedgerError> {
        let mut wanted = Where::default();
        let account = filter.party.map(Party::account).or(filter.account);
        wanted.and_some("account =", account.map(Account::name));
        wanted.and_some("party_id =", filter.party.map(Party::id));
        wanted.and_some("until >", filter.from);
        wanted.and_some("until <=", filter.until);
        let order = "until DESC, statement_id DESC";
        self.database
            .read(|session| page(session, "statements", wanted, order, offset, limit, read_statement))
    }

    fn each_statement_line(
        &self,
        id: StatementId,
        line: &mut dyn FnMut(StatementLine),
    ) -> Result<(), LedgerError> {
        let sql = "-- each_statement_line\n\
            SELECT entries.*, conversions.conversion_date, conversions.unique_id, \
            coalesce(adjustments.note, '') AS note \
            FROM entries JOIN conversions ON conversions.offer_id = entries.offer_id \
            AND conversions.conversion_id = entries.conversion_id \
            LEFT JOIN adjustments ON adjustments.offer_id = entries.offer_id \
            AND adjustments.conversion_id = entries.conversion_id AND adjustments.booking = entries.booking \
            WHERE entries.statement_id = ?1 \
            ORDER BY entries.effective, entries.conversion_id, entries.booking";
        self.database.read(|session| {
            session.each(sql, values![id], &mut |record| {
                let row = record.of("entries");
                line(StatementLine {
                    entry: read_entry(record)?,
                    conversion_date: row.get("conversion_date")?,
                    unique_id: row.get("unique_id")?,
                    note: row.get("note")?,
                });
                Ok(())
            })
        })
    }

    fn balances(
        &self,
        party: Option<Party>,
        account: Option<Account>,
        at: Timestamp,
    ) -> Result<Vec<Balance>, LedgerError> {
        let mut wanted = Where::default();
        let account = party.map(Party::account).or(account);
        wanted.and_some("account =", account.map(Account::name));
        wanted.and_some("party_id =", party.map(Party::id));
        wanted.push("party_id > 0".into());
        if let Some(party) = party {
            let place = wanted.value(party.id());
            wanted.push(format!("entries.conversion_id IN ({})", conversions_of(party, &place)));
        }
        wanted.and("effective <", at);
        let sql = format!(
            "-- balances\n\
             SELECT account, party_id, entries.currency, CAST(sum(entries.amount) AS BIGINT) AS balance, \
             CAST(sum(CASE WHEN status = 'pending' THEN entries.amount ELSE 0 END) AS BIGINT) AS pending, \
             CAST(sum(CASE WHEN statement_id IS NOT NULL THEN entries.amount ELSE 0 END) AS BIGINT) AS stated \
             FROM entries JOIN conversions ON conversions.offer_id = entries.offer_id \
             AND conversions.conversion_id = entries.conversion_id {} \
             GROUP BY account, party_id, entries.currency ORDER BY account, party_id, entries.currency",
            wanted.sql()
        );
        self.database.read(|session| all(session, &sql, wanted.values, read_balance))
    }
}

/// The conversions with lines of a party, whose number stands at that place: by way of them its lines are
/// found without an index of their own.
pub(super) fn conversions_of(party: Party, place: &str) -> String {
    match party {
        Party::Affiliate(_) => format!("SELECT conversion_id FROM conversions WHERE affiliate_id = {place}"),
        Party::Advertiser(_) => format!(
            "SELECT conversion_id FROM conversions WHERE offer_id IN \
             (SELECT offer_id FROM offers WHERE advertiser_id = {place})"
        ),
    }
}

fn last_statement(
    session: &mut dyn Session,
    party: Party,
    currency: Currency,
) -> Result<Option<Statement>, LedgerError> {
    let sql = "-- last_statement\n\
        SELECT * FROM statements WHERE account = ?1 AND party_id = ?2 AND currency = ?3 \
        ORDER BY until DESC LIMIT 1";
    one(session, sql, values![party.account().name(), party.id(), currency.as_str()], read_statement)
}

/// Puts every open line on the statement. One without lines is none.
fn close(
    session: &mut dyn Session,
    mut statement: Statement,
) -> Result<Result<Statement, NotClosed>, LedgerError> {
    let (account, party_id) = (statement.party.account().name(), statement.party.id());
    let currency = statement.currency.as_str();
    let sql = "-- close_statement\n\
        INSERT INTO statements (account, party_id, currency, starts, until, closed_at, actor, lines, total) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0) RETURNING statement_id";
    let values = values![
        account,
        party_id,
        currency,
        statement.from,
        statement.until,
        statement.closed_at,
        &statement.actor,
    ];
    statement.id = StatementId(single(session, sql, values)?);
    let sql = format!(
        "-- state_lines\n\
         UPDATE entries SET statement_id = ?1 WHERE account = ?2 AND party_id = ?3 AND currency = ?4 \
         AND effective < ?5 AND statement_id IS NULL AND conversion_id IN ({} AND status <> 'pending')",
        conversions_of(statement.party, "?3")
    );
    statement.lines =
        session.execute(&sql, values![statement.id, account, party_id, currency, statement.until])?;
    if statement.lines == 0 {
        return Ok(Err(NotClosed::Empty));
    }
    let sql = "-- total_lines\nSELECT CAST(sum(amount) AS BIGINT) FROM entries WHERE statement_id = ?1";
    let total: Amount = single(session, sql, values![statement.id])?;
    let sql = "-- total_statement\nUPDATE statements SET lines = ?2, total = ?3 WHERE statement_id = ?1";
    session.execute(sql, values![statement.id, statement.lines, total])?;
    statement.total = statement.party.reads(total);
    Ok(Ok(statement))
}

fn read_statement(record: &Record) -> Result<Statement, LedgerError> {
    let row = record.of("statements");
    let account: Account = row.parse("account", |text| text.parse().ok())?;
    let party = Party::of(account, row.get("party_id")?).ok_or_else(|| row.corrupt("account"))?;
    Ok(Statement {
        id: row.get("statement_id")?,
        party,
        currency: row.parse("currency", |text| text.parse().ok())?,
        from: row.get("starts")?,
        until: row.get("until")?,
        closed_at: row.get("closed_at")?,
        actor: row.get("actor")?,
        lines: row.get("lines")?,
        total: party.reads(row.get("total")?),
    })
}

fn read_balance(record: &Record) -> Result<Balance, LedgerError> {
    let row = record.of("entries");
    let account: Account = row.parse("account", |text| text.parse().ok())?;
    let party = Party::of(account, row.get("party_id")?).ok_or_else(|| row.corrupt("account"))?;
    Ok(Balance {
        party,
        currency: row.parse("currency", |text| text.parse().ok())?,
        balance: party.reads(row.get("balance")?),
        pending: party.reads(row.get("pending")?),
        stated: party.reads(row.get("stated")?),
    })
}
