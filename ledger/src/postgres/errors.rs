//! Sorting the server's errors into the ledger's. Of an error only its code and main sentence are kept:
//! the details may quote a visitor's values.

use std::error::Error as _;
use std::io;

use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::LedgerError;

/// What the server refused to do.
#[derive(Debug, Error)]
#[error("{message} ({})", code.code())]
struct ServerError {
    code: SqlState,
    message: String,
}

/// Sorts an error of a statement, or of the way to the server.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(super) fn sort(error: tokio_postgres::Error) -> LedgerError {
    let Some(refused) = error.as_db_error() else {
        let broke = error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>);
        let text = text(&error);
        return if broke { LedgerError::Unavailable(text) } else { LedgerError::Backend(text.into()) };
    };
    let (code, message) = (refused.code(), refused.message().to_owned());
    // By class: 08 no connection, 28 not let in, 53 out of a resource, 57 an operator's doing.
    let is_of = |class: &&str| code.code().starts_with(*class);
    let passing = [SqlState::LOCK_NOT_AVAILABLE, SqlState::READ_ONLY_SQL_TRANSACTION];
    if *code == SqlState::DISK_FULL {
        LedgerError::Full
    } else if ["08", "28", "53", "57"].iter().any(is_of) || passing.contains(code) {
        LedgerError::Unavailable(message)
    } else {
        LedgerError::Backend(Box::new(ServerError { code: code.clone(), message }))
    }
}

/// Whoever is not let in, for whatever reason, has no ledger.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(super) fn not_connected(error: tokio_postgres::Error) -> LedgerError {
    let refused = error.as_db_error().map(|it| it.message().to_owned());
    LedgerError::Unavailable(refused.unwrap_or_else(|| text(&error)))
}

fn text(error: &tokio_postgres::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn code(error: &LedgerError) -> Option<&SqlState> {
    let LedgerError::Backend(error) = error else { return None };
    error.downcast_ref::<ServerError>().map(|it| &it.code)
}

/// Whether the transaction only came at the wrong moment: run again it sees what the other has left.
pub(super) fn is_lost_race(error: &LedgerError) -> bool {
    let races =
        [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::UNIQUE_VIOLATION];
    code(error).is_some_and(|code| races.contains(code))
}

/// Whether the table, or its columns, are not those that a ledger has.
pub(super) fn is_other_schema(error: &LedgerError) -> bool {
    let others = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
    code(error).is_some_and(|code| others.contains(code))
}

/// A race that was lost as often as it may be run: busy, where it is the others' doing.
pub(super) fn lost_for_good(error: LedgerError) -> LedgerError {
    if is_lost_race(&error) && code(&error) != Some(&SqlState::UNIQUE_VIOLATION) {
        return LedgerError::Unavailable("other transactions kept getting in the way".to_owned());
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_error(code: SqlState) -> LedgerError {
        LedgerError::Backend(Box::new(ServerError { code, message: "so it is".to_owned() }))
    }

    #[test]
    fn only_a_race_is_run_again_and_at_last_it_is_told() {
        for (code, race) in [
            (SqlState::T_R_SERIALIZATION_FAILURE, true),
            (SqlState::T_R_DEADLOCK_DETECTED, true),
            (SqlState::UNIQUE_VIOLATION, true),
            (SqlState::CHECK_VIOLATION, false),
            (SqlState::UNDEFINED_TABLE, false),
        ] {
            assert_eq!(is_lost_race(&server_error(code.clone())), race, "{code:?}");
        }
        assert!(!is_lost_race(&LedgerError::Full));
        let busy = lost_for_good(server_error(SqlState::T_R_DEADLOCK_DETECTED));
        assert!(matches!(busy, LedgerError::Unavailable(_)));
        let wrong = lost_for_good(server_error(SqlState::UNIQUE_VIOLATION));
        assert!(matches!(wrong, LedgerError::Backend(_)));
    }
}
