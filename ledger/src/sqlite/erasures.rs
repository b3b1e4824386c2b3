//! Erasures in SQLite. Deleted content is overwritten with zeros (`secure_delete`), and what the
//! write-ahead log holds goes with a checkpoint.

use std::collections::HashSet;
use std::sync::PoisonError;

use domain::ids::ClickId;
use jiff::Timestamp;
use rusqlite::params;

use super::row::Row;
use super::{SqliteLedger, backend};
use crate::LedgerError;
use crate::erasures::ErasureBook;

impl ErasureBook for SqliteLedger {
    fn request_erasures(&self, clicks: &[ClickId], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "-- request_erasures\n\
            INSERT INTO erasures (click_id, requested) VALUES (?1, ?2) \
            ON CONFLICT (click_id) DO UPDATE SET requested = excluded.requested, done = NULL";
        self.write(|tx| {
            for click in clicks {
                tx.execute(sql, params![click.to_bytes(), now.as_microsecond()]).map_err(backend)?;
            }
            Ok(())
        })
    }

    fn list_erasures(&self) -> Result<Vec<ClickId>, LedgerError> {
        let reader = self.reader()?;
        let sql = "-- list_erasures\nSELECT click_id FROM erasures WHERE done IS NULL ORDER BY click_id";
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        let mut rows = statement.query(()).map_err(backend)?;
        let mut clicks = Vec::new();
        while let Some(row) = rows.next().map_err(backend)? {
            clicks.push(Row::new("erasures", row).click_id("click_id")?);
        }
        Ok(clicks)
    }

    fn erase_visitors(&self, clicks: &[ClickId]) -> Result<(), LedgerError> {
        let attempts = self.attempts_of(clicks)?;
        self.write(|tx| {
            let conversions = "-- erase_visitors\n\
                UPDATE conversions SET sub_id_1 = '', sub_id_2 = '', sub_id_3 = '', sub_id_4 = '', sub_id_5 = '', \
                adv1 = '', adv2 = '', adv3 = '', adv4 = '', adv5 = '' WHERE click_id = ?1";
            for click in clicks {
                tx.execute(conversions, [click.to_bytes()]).map_err(backend)?;
            }
            let raw = "-- erase_visitors\nUPDATE attempts SET raw = '' WHERE attempt_id = ?1";
            for attempt in &attempts {
                tx.execute(raw, [attempt]).map_err(backend)?;
            }
            Ok(())
        })?;
        self.empty_log()
    }

    fn finish_erasures(&self, clicks: &[ClickId], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "-- finish_erasures\nUPDATE erasures SET done = ?2 WHERE click_id = ?1";
        self.write(|tx| {
            for click in clicks {
                tx.execute(sql, params![click.to_bytes(), now.as_microsecond()]).map_err(backend)?;
            }
            Ok(())
        })
    }
}

impl SqliteLedger {
    /// The attempts that name one of the clicks, or belong to one of their conversions. They are not
    /// indexed by click, so this reads all of them, while others write.
    fn attempts_of(&self, clicks: &[ClickId]) -> Result<Vec<i64>, LedgerError> {
        let reader = self.reader()?;
        let mut conversions = HashSet::new();
        let sql = "-- erase_visitors\nSELECT conversion_id FROM conversions WHERE click_id = ?1";
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        for click in clicks {
            let ids = statement.query_map([click.to_bytes()], |row| row.get::<_, i64>(0)).map_err(backend)?;
            for id in ids {
                conversions.insert(id.map_err(backend)?);
            }
        }
        let clicks: HashSet<ClickId> = clicks.iter().copied().collect();
        let sql = "-- erase_visitors\n\
            SELECT attempt_id, click_id, conversion_id FROM attempts WHERE raw <> ''";
        let mut statement = reader.prepare_cached(sql).map_err(backend)?;
        let mut rows = statement.query(()).map_err(backend)?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next().map_err(backend)? {
            let row = Row::new("attempts", row);
            let (click, conversion): (String, Option<i64>) =
                (row.get("click_id")?, row.get("conversion_id")?);
            let names_one = || click.trim().parse().is_ok_and(|click| clicks.contains(&click));
            if conversion.is_some_and(|id| conversions.contains(&id)) || names_one() {
                attempts.push(row.get("attempt_id")?);
            }
        }
        Ok(attempts)
    }

    /// Moves all of the write-ahead log into the database, and empties its file.
    fn empty_log(&self) -> Result<(), LedgerError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let busy: i64 =
            writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0)).map_err(backend)?;
        let still_read = || LedgerError::Unavailable("its write-ahead log is still being read".to_owned());
        (busy == 0).then_some(()).ok_or_else(still_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_is_in_no_file_of_the_ledger() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).expect("opens");
        let id = ClickId::from_bytes([7; 16]);
        // A short one, and one that fills pages of its own.
        for raw in ["somebody's own words".to_owned(), "somebody's own words, ".repeat(1000)] {
            ledger
                .write(|tx| {
                    let sql = "INSERT INTO attempts (offer_id, received_at, key_id, click_id, unique_id, \
                        outcome, reason, raw) VALUES (1, 1, 1, ?1, '', 'refused', '', ?2)";
                    tx.execute(sql, params![id.to_string(), raw]).map_err(backend)
                })
                .expect("written");
        }
        let traces = || {
            let files = std::fs::read_dir(folder.path()).expect("there");
            files
                .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("readable"))
                .filter(|bytes| bytes.windows(20).any(|window| window == b"somebody's own words"))
                .count()
        };
        assert!(traces() > 0);
        ledger.erase_visitors(&[id]).expect("erased");
        assert_eq!(traces(), 0);
    }
}
