//! Importing conversions from a file: each row is recorded, or changes what is recorded, by the rules that
//! hold for every other call. All rows are one batch, which can be taken back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use archive::Archive;
use domain::access::Caller;
use domain::adjustment::{Amend, Cause, Change, EffectiveDate, Unadjustable};
use domain::click::Click;
use domain::conversion::{Conversion, ConversionCall, Refusal, Terms};
use domain::conversion_request::{self, BadParameter, Circumstances};
use domain::details::{Details, Door, Origin};
use domain::ids::{BatchId, ClickId, ConversionId, EventId, KeyId, OfferId};
use domain::money::Amount;
use domain::network::{DEFAULT_EVENT, Network};
use domain::status::ConversionStatus;
use jiff::Timestamp;
use ledger::{
    Adjusted, Attempt, Author, BatchType, Ledger, NotAdjusted, Order, Recorded, Stated, Submission,
};

use crate::adjust_conversion::author;
use crate::delimited::{Record, Records, line_ends};
use crate::failure::blocking;
use crate::import_columns::{Header, Row, separator};
use crate::list_clicks::turn_of;
use crate::record_conversion::{attempt, event_of};
use crate::{App, Failure, RecordConversionError, fingerprints};

/// Rows of one file at most: some seconds of work. A longer one comes in pieces.
pub const ROWS_MAX: usize = 10_000;
/// Rows that are recorded in one transaction: few enough that other conversion calls wait only milliseconds.
const CHUNK: usize = 256;

const CARRIES_OTHER_AMOUNTS: &str = "carries other amounts; the original stands";
const AMOUNT_STAYS: &str = "the sale's amount stays as it was recorded";

/// A file of conversions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportConversions {
    /// The file: a header and rows, in UTF-8.
    pub text: Vec<u8>,
    /// Whether only to tell what would become of it.
    pub is_dry_run: bool,
    /// The batch it goes on with; none begins one.
    pub batch_id: Option<BatchId>,
    /// What the batch says of itself, and why conversions change.
    pub note: String,
    /// Whether columns nobody knows are left out instead of refused.
    pub ignore_unknown: bool,
    /// Whether postbacks tell of what it records and changes.
    pub fire_postbacks: bool,
    /// The line that follows the header, where this is a piece of a longer file.
    pub first_line: Option<u64>,
}

/// What became of a row. Each has exactly one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RowOutcome {
    /// It is a new conversion.
    Recorded,
    /// Its conversion was recorded before, and stands as the row says.
    Repeated,
    /// It has changed a conversion.
    Adjusted,
    /// The conversion it would change stands so already.
    Unchanged,
    /// The rules refuse it.
    Refused,
    /// It cannot be read.
    Unreadable,
}

impl RowOutcome {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Recorded, Self::Repeated, Self::Adjusted, Self::Unchanged, Self::Refused, Self::Unreadable];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Repeated => "repeated",
            Self::Adjusted => "adjusted",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Why a row became what it did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowReason {
    /// It cannot be read, in words.
    Unreadable(String),
    /// It is not recorded.
    Refused(Refusal),
    /// The conversion is not changed.
    NotAdjusted(ConversionId, NotAdjusted),
    /// Something worth knowing.
    Remark(&'static str),
}

/// A row, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedRow {
    /// The line it begins on.
    pub line: u64,
    /// What became of it.
    pub outcome: RowOutcome,
    /// Its conversion. One that is only foreseen has no number yet.
    pub conversion_id: Option<ConversionId>,
    /// Why, where there is something to say.
    pub reason: Option<RowReason>,
}

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The batch that takes all of it back; none after a dry run.
    pub batch_id: Option<BatchId>,
    /// Its rows, in their order.
    pub rows: Vec<ImportedRow>,
}

/// Why a file was not imported.
#[derive(Debug)]
pub enum ImportError {
    /// The header, or something about the file as a whole, cannot be used.
    BadParameter(BadParameter),
    /// There is no such batch.
    BatchNotFound,
    /// The batch takes no more rows, in words.
    BatchClosed(&'static str),
    /// It could not be done, or not to its end: what was done is in the batch, and another import of the
    /// same rows goes on with the rest.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for ImportError {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl App {
    /// Imports a file of conversions. A row is recorded once per click, offer and `unique_id`, however often
    /// it comes. On return everything is committed; after a dry run nothing is.
    pub async fn import_conversions(
        &self,
        caller: &Caller,
        import: ImportConversions,
    ) -> Result<Imported, ImportError> {
        caller.may_administer()?;
        let turn = turn_of(&self.imports).await?;
        let network = self.network.load_full();
        let importer = Importer {
            ledger: Arc::clone(&self.ledger),
            archive: Arc::clone(&self.archive),
            terms: Terms {
                network: Arc::clone(&network),
                zone: self.settings.zone.clone(),
                currency: self.settings.currency,
            },
            key_id: caller.key_id,
            author: author(caller),
            now: self.clock.now(),
            is_dry_run: import.is_dry_run,
            batch_id: import.batch_id,
            note: import.note.clone(),
            tells: import.fire_postbacks.then_some(network),
        };
        let imported = blocking(move || {
            let _turn = turn;
            importer.import(&import).map_or_else(
                |error| if let ImportError::Failure(failure) = error { Err(failure) } else { Ok(Err(error)) },
                |imported| Ok(Ok(imported)),
            )
        });
        let (imported, adjustments) = imported.await??;
        if imported.batch_id.is_some() {
            let count = |outcome| imported.rows.iter().filter(|it| it.outcome == outcome).count() as u64;
            self.metrics.conversions_recorded.inc_by(count(RowOutcome::Recorded));
            self.metrics.conversions_repeated.inc_by(count(RowOutcome::Repeated));
            self.metrics.conversions_refused.inc_by(count(RowOutcome::Refused));
            self.metrics.adjustments.inc_by(adjustments);
        }
        Ok(imported)
    }
}

/// An import on its way.
struct Importer {
    ledger: Arc<dyn Ledger>,
    archive: Arc<Archive>,
    terms: Terms,
    key_id: KeyId,
    author: Author,
    now: Timestamp,
    is_dry_run: bool,
    batch_id: Option<BatchId>,
    note: String,
    /// Whose postbacks tell of it; none: nobody is told.
    tells: Option<Arc<Network>>,
}

/// A row as it was read.
enum Read {
    Call(Box<Call>),
    Change { id: ConversionId, change: Change, amount: Option<Amount> },
    Unreadable(String),
}

/// A row that is to be recorded.
struct Call {
    submission: Submission,
    status: Option<ConversionStatus>,
    is_dated: bool,
}

/// What makes rows without a `unique_id` the same row.
type Key = (String, OfferId, Option<EventId>, Option<Timestamp>);

/// What became of a row so far.
#[derive(Clone)]
struct Done {
    outcome: RowOutcome,
    conversion: Option<Conversion>,
    conversion_id: Option<ConversionId>,
    reason: Option<RowReason>,
}

/// Changes of one conversion, one after the other, and the row that asks for them.
struct Wish {
    row: usize,
    id: ConversionId,
    changes: Vec<Change>,
    effective: EffectiveDate,
}

/// One of the changes of a wish.
#[derive(Clone, Copy, PartialEq)]
struct Step {
    change: Change,
    effective: EffectiveDate,
    is_last: bool,
}

impl Done {
    fn of(outcome: RowOutcome) -> Self {
        Self { outcome, conversion: None, conversion_id: None, reason: None }
    }

    fn repeats(conversion: Conversion) -> Self {
        Self { conversion: Some(conversion), ..Self::of(RowOutcome::Repeated) }
    }

    fn because(self, reason: RowReason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// What is new stays recorded, however it stands; anything else was only to be changed.
    fn not_adjusted(&mut self, id: ConversionId, why: NotAdjusted) {
        if self.outcome != RowOutcome::Recorded {
            self.outcome = RowOutcome::Refused;
        }
        self.reason = Some(RowReason::NotAdjusted(id, why));
    }
}

impl Importer {
    /// What became of the file, and how many adjustments that took.
    fn import(mut self, import: &ImportConversions) -> Result<(Imported, u64), ImportError> {
        let mut records = Records::of(&import.text, separator(&import.text));
        let bad =
            |name, problem: String| Err(ImportError::BadParameter(BadParameter::invalid(name, problem)));
        let Some(first) = records.next() else { return bad("header", "the file is empty".to_owned()) };
        let header = Header::read(&first, import.ignore_unknown).map_err(ImportError::BadParameter)?;
        let records: Vec<_> = records.take(ROWS_MAX + 1).collect();
        if records.len() > ROWS_MAX {
            return bad("body", format!("at most {ROWS_MAX} rows in one call"));
        }
        self.open_batch()?;
        let after_header = first.line + line_ends(first.raw) + 1;
        let line = |it: &Record<'_>| import.first_line.unwrap_or(after_header) + (it.line - after_header);
        let (mut rows, mut adjustments) = (Vec::with_capacity(records.len()), 0);
        // What is only foreseen is foreseen at once: each row as if after all those before it.
        let chunk = if self.is_dry_run { ROWS_MAX } else { CHUNK };
        for chunk in records.chunks(chunk) {
            let (done, adjusted) = self.import_chunk(&header, chunk)?;
            adjustments += adjusted;
            rows.extend(chunk.iter().zip(done).map(|(record, done)| ImportedRow {
                line: line(record),
                outcome: done.outcome,
                conversion_id: done.conversion_id,
                reason: done.reason,
            }));
        }
        let batch_id = self.batch_id.filter(|_| !self.is_dry_run);
        Ok((Imported { batch_id, rows }, adjustments))
    }

    /// Begins a batch, or makes sure that the one named takes more.
    fn open_batch(&mut self) -> Result<(), ImportError> {
        if let Some(id) = self.batch_id {
            let batch =
                self.ledger.find_batch(id).map_err(Failure::from)?.ok_or(ImportError::BatchNotFound)?;
            if batch.batch_type != BatchType::Import {
                return Err(ImportError::BatchClosed("the batch is no import"));
            }
            if batch.undone.is_some() {
                return Err(ImportError::BatchClosed("the batch was taken back"));
            }
            if self.note.is_empty() {
                self.note = batch.note;
            }
        } else if !self.is_dry_run {
            let batch = self.ledger.create_batch(BatchType::Import, &self.author, &self.note, self.now);
            self.batch_id = Some(batch.map_err(Failure::from)?);
        }
        Ok(())
    }

    fn import_chunk(&self, header: &Header, records: &[Record<'_>]) -> Result<(Vec<Done>, u64), Failure> {
        let reads = records.iter().map(|it| self.read(header, it)).collect::<Result<Vec<_>, _>>()?;
        let mut done = self.record(&reads)?;
        let recorded = done.iter().filter(|it| it.outcome == RowOutcome::Recorded);
        let settling: u64 =
            recorded.filter_map(|it| Some(u64::from(it.conversion.as_ref()?.adjustments))).sum();
        let adjustments = settling + self.adjust(&reads, &mut done)?;
        for it in &mut done {
            let number = it.conversion_id.or(it.conversion.as_ref().map(|conversion| conversion.id));
            it.conversion_id = self.known(number)?;
        }
        Ok((done, adjustments))
    }

    /// A number that somebody can ask for: those that a dry run gives are nobody's.
    fn known(&self, id: Option<ConversionId>) -> Result<Option<ConversionId>, Failure> {
        match id {
            Some(id) if self.is_dry_run => Ok(self.ledger.find_conversion(id)?.map(|it| it.id)),
            id => Ok(id),
        }
    }

    fn circumstances(&self) -> Circumstances<'_> {
        let origin = Origin { door: Door::Import, ..Origin::default() };
        Circumstances { key_id: self.key_id, now: self.now, zone: &self.terms.zone, origin }
    }

    fn read(&self, header: &Header, record: &Record<'_>) -> Result<Read, Failure> {
        let row = match header.row(record) {
            Ok(row) => row,
            Err(problem) => return Ok(Read::Unreadable(problem)),
        };
        if let Some(id) = row.conversion_id() {
            return Ok(read_change(&row, id).unwrap_or_else(|bad| Read::Unreadable(row.told(&bad))));
        }
        let row = match row.click_without_offer() {
            Some(click_id) => {
                let offer_id = self.find_click(click_id)?.map_or(OfferId(0), |it| offer_of(&it));
                row.with_offer(offer_id.to_string())
            }
            None => row,
        };
        match self.read_call(&row) {
            Ok(call) => {
                let click = self.find_click(&call.0.click_id)?;
                let (call, status) = call;
                let stated = status.map(|status| Stated {
                    status,
                    author: self.author.clone(),
                    note: self.note.clone(),
                });
                let submission = Submission { call, click, terms: self.terms.clone(), stated };
                Ok(Read::Call(Box::new(Call { submission, status, is_dated: row.is_dated() })))
            }
            Err(bad) => {
                let problem = row.told(&bad);
                let why = RecordConversionError::BadParameter(bad);
                self.keep(|| attempt(&row, row.raw(), self.circumstances(), &why))?;
                Ok(Read::Unreadable(problem))
            }
        }
    }

    fn read_call(&self, row: &Row<'_>) -> Result<(ConversionCall, Option<ConversionStatus>), BadParameter> {
        let status = row.status()?;
        let call = conversion_request::read(row, row.raw(), self.circumstances())?;
        let original_status = row.status_word().to_owned();
        let call = ConversionCall {
            event_id: event_of(&self.terms.network, &call),
            batch_id: self.batch_id,
            is_backfill: true,
            is_told: self.tells.is_some(),
            in_browser: false,
            fingerprints: fingerprints::of_call(row),
            details: Details { original_status, ..call.details },
            ..call
        };
        Ok((call, status))
    }

    fn find_click(&self, id: &str) -> Result<Option<Click>, Failure> {
        let Ok(id) = id.parse::<ClickId>() else { return Ok(None) };
        match self.archive.find_recent(id) {
            Some(click) => Ok(Some(click)),
            None => Ok(self.archive.find(id)?),
        }
    }

    /// Keeps the attempt of a row that the ledger does not judge.
    fn keep(&self, attempt: impl FnOnce() -> Attempt) -> Result<(), Failure> {
        if self.is_dry_run {
            return Ok(());
        }
        Ok(self.ledger.record_attempt(&Attempt { batch_id: self.batch_id, ..attempt() })?)
    }

    /// Records what is to be recorded, in the order of the rows.
    fn record(&self, reads: &[Read]) -> Result<Vec<Done>, Failure> {
        let mut done: Vec<Option<Done>> = vec![None; reads.len()];
        let (mut firsts, mut again) = (HashMap::new(), Vec::new());
        let (mut places, mut submissions) = (Vec::new(), Vec::new());
        for (place, read) in reads.iter().enumerate() {
            let Read::Call(it) = read else { continue };
            if let Some(key) = key(it) {
                if let Some(first) = firsts.get(&key) {
                    again.push((place, *first));
                    continue;
                }
                firsts.insert(key, place);
                if self.allows_duplicates(&it.submission.call)
                    && let Some(first) = self.recorded_by(it)?
                {
                    self.keep(|| repeat(&it.submission.call, first.id))?;
                    done[place] = Some(Done::repeats(first));
                    continue;
                }
            }
            places.push(place);
            submissions.push(it.submission.clone());
        }
        let recorded = if self.is_dry_run {
            self.ledger.preview_conversions(&submissions)?
        } else {
            self.ledger.record_conversions(&submissions)?
        };
        for (place, recorded) in places.into_iter().zip(recorded) {
            if let Read::Call(it) = &reads[place] {
                done[place] = Some(self.recorded(it, recorded?)?);
            }
        }
        for (place, first) in again {
            let Some(first) = done[first].clone() else { continue };
            if let (Read::Call(it), Some(conversion)) = (&reads[place], &first.conversion) {
                self.keep(|| repeat(&it.submission.call, conversion.id))?;
            }
            let repeats = first.conversion.clone().map(Done::repeats);
            done[place] = Some(repeats.unwrap_or(first));
        }
        let of_no_call = |read: &Read| match read {
            Read::Unreadable(problem) => {
                Done::of(RowOutcome::Unreadable).because(RowReason::Unreadable(problem.clone()))
            }
            Read::Call(_) | Read::Change { .. } => Done::of(RowOutcome::Unchanged),
        };
        Ok(reads.iter().zip(done).map(|(read, done)| done.unwrap_or_else(|| of_no_call(read))).collect())
    }

    fn recorded(&self, call: &Call, recorded: Recorded) -> Result<Done, Failure> {
        Ok(match recorded {
            Recorded::New(conversion) => {
                Done { conversion: Some(conversion), ..Done::of(RowOutcome::Recorded) }
            }
            Recorded::Same { first, conflict: false } => Done::repeats(first),
            Recorded::Same { first, conflict: true } => {
                Done::repeats(first).because(RowReason::Remark(CARRIES_OTHER_AMOUNTS))
            }
            Recorded::Refused(refusal @ Refusal::DuplicateConversion(first)) => {
                let same = if key(call).is_some() { self.recorded_by(call)? } else { None };
                let refused = || Done {
                    conversion_id: Some(first),
                    ..Done::of(RowOutcome::Refused).because(RowReason::Refused(refusal))
                };
                same.map_or_else(refused, Done::repeats)
            }
            Recorded::Refused(refusal) => Done::of(RowOutcome::Refused).because(RowReason::Refused(refusal)),
        })
    }

    /// Whether a click may convert again without a `unique_id`.
    fn allows_duplicates(&self, call: &ConversionCall) -> bool {
        let network = &self.terms.network;
        match call.event_id {
            Some(DEFAULT_EVENT) => network.offer(call.offer_id).is_some_and(|it| it.allow_duplicates),
            Some(event_id) => network.event(event_id).is_some_and(|it| it.allow_duplicates),
            None => false,
        }
    }

    /// The conversion that an earlier import of a row without a `unique_id` has recorded.
    fn recorded_by(&self, it: &Call) -> Result<Option<Conversion>, Failure> {
        let call = &it.submission.call;
        let is_same = |attempt: &Attempt| {
            attempt.door == Door::Import
                && attempt.outcome == "recorded"
                && attempt.offer_id == Some(call.offer_id)
                && attempt.event_id == call.event_id
                && attempt.unique_id.is_empty()
        };
        for attempt in self.ledger.list_attempts(&call.click_id)?.iter().filter(|it| is_same(it)) {
            let Some(id) = attempt.conversion_id else { continue };
            let found = self.ledger.find_conversion(id)?;
            if let Some(first) =
                found.filter(|first| !it.is_dated || first.conversion_date == call.conversion_date)
            {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Changes what is to be changed, in the order of the rows. Returns how many adjustments that took.
    fn adjust(&self, reads: &[Read], done: &mut [Done]) -> Result<u64, Failure> {
        let (mut wishes, mut named) = (Vec::new(), HashSet::new());
        let mut latest = HashMap::new();
        let mut adjustments = 0;
        for (row, read) in reads.iter().enumerate() {
            let id = match read {
                Read::Change { id, .. } => Some(*id),
                Read::Call(_) => done[row].conversion.as_ref().map(|it| it.id),
                Read::Unreadable(_) => None,
            };
            // Where a conversion comes again, its earlier changes come first.
            if id.is_some_and(|id| named.contains(&id)) {
                adjustments += self.carry_out(&std::mem::take(&mut wishes), reads, done, &mut latest)?;
                named.clear();
            }
            let wish = match (read, id) {
                (Read::Change { id, change, .. }, _) => {
                    Some(Wish { row, id: *id, changes: vec![*change], effective: EffectiveDate::Today })
                }
                (Read::Call(call), Some(id)) => {
                    call.status.and_then(|status| self.wish(row, status, latest.get(&id), &mut done[row]))
                }
                _ => None,
            };
            named.extend(wish.as_ref().map(|it| it.id));
            wishes.extend(wish);
        }
        Ok(adjustments + self.carry_out(&wishes, reads, done, &mut latest)?)
    }

    /// What is to be done for a conversion that was recorded before to stand as its row says; what is new
    /// stands so already, as far as there is a way. One that nobody has changed since an import recorded it may
    /// get there by two steps; what this batch has recorded stood so from its own date on.
    fn wish(
        &self,
        row: usize,
        status: ConversionStatus,
        latest: Option<&Conversion>,
        done: &mut Done,
    ) -> Option<Wish> {
        let conversion = latest.or(done.conversion.as_ref())?;
        let (id, from) = (conversion.id, conversion.standing.status);
        let is_untouched = conversion.door == Door::Import && conversion.adjustments == 0;
        let is_own = is_untouched && conversion.batch_id == self.batch_id;
        let Some(way) = from.way_to(status).filter(|way| is_untouched || way.len() <= 1) else {
            let why = Unadjustable::Status { from, to: status };
            done.not_adjusted(id, NotAdjusted::Unadjustable(why));
            return None;
        };
        if self.is_dry_run {
            if done.outcome == RowOutcome::Repeated && !way.is_empty() {
                done.outcome = RowOutcome::Adjusted;
            }
            return None;
        }
        let changes: Vec<_> =
            way.into_iter().map(|it| Change { status: Some(it), ..Change::default() }).collect();
        let effective = if is_own { EffectiveDate::ConversionDate } else { EffectiveDate::Today };
        (!changes.is_empty()).then_some(Wish { row, id, changes, effective })
    }

    /// Carries out changes of different conversions: the first of each, then the second of each. Those that
    /// are the same share a transaction. Postbacks tell of the last one of each.
    fn carry_out(
        &self,
        wishes: &[Wish],
        reads: &[Read],
        done: &mut [Done],
        latest: &mut HashMap<ConversionId, Conversion>,
    ) -> Result<u64, Failure> {
        let mut adjustments = 0;
        let mut left = HashSet::new();
        for step in 0..wishes.iter().map(|it| it.changes.len()).max().unwrap_or(0) {
            let mut alike: Vec<(Step, Vec<&Wish>)> = Vec::new();
            for wish in wishes.iter().filter(|it| !left.contains(&it.row)) {
                let Some(change) = wish.changes.get(step) else { continue };
                let is_last = step + 1 == wish.changes.len();
                let step = Step { change: *change, effective: wish.effective, is_last };
                match alike.iter_mut().find(|(other, _)| *other == step) {
                    Some((_, same)) => same.push(wish),
                    None => alike.push((step, vec![wish])),
                }
            }
            for (step, wishes) in alike {
                for (wish, adjusted) in wishes.iter().zip(self.adjust_alike(step, &wishes)?) {
                    let it = &mut done[wish.row];
                    match adjusted {
                        Ok(adjusted) => {
                            adjustments += u64::from(adjusted.adjustment.is_some());
                            it.is_adjusted(&adjusted, &reads[wish.row]);
                            latest.insert(wish.id, adjusted.conversion);
                        }
                        Err(why) => {
                            it.not_adjusted(wish.id, why);
                            left.insert(wish.row);
                        }
                    }
                }
            }
        }
        Ok(adjustments)
    }

    fn adjust_alike(
        &self,
        Step { change, effective, is_last }: Step,
        wishes: &[&Wish],
    ) -> Result<Vec<Result<Adjusted, NotAdjusted>>, Failure> {
        let order = Order {
            change,
            effective,
            refuse_if_stated: false,
            author: self.author.clone(),
            note: self.note.clone(),
            cause: Cause::Import,
            batch_id: self.batch_id,
            tells: self.tells.clone().filter(|_| is_last),
        };
        let ids: Vec<_> = wishes.iter().map(|it| it.id).collect();
        Ok(if self.is_dry_run {
            self.ledger.preview_adjustments(&ids, &order, self.now)?
        } else {
            self.ledger.adjust_conversions(&ids, &order, self.now)?
        })
    }
}

impl Done {
    fn is_adjusted(&mut self, adjusted: &Adjusted, read: &Read) {
        self.conversion_id = Some(adjusted.conversion.id);
        if adjusted.adjustment.is_some() && self.outcome != RowOutcome::Recorded {
            self.outcome = RowOutcome::Adjusted;
        }
        if let Read::Change { amount: Some(amount), .. } = read
            && adjusted.conversion.price.amount != Some(*amount)
        {
            self.reason = Some(RowReason::Remark(AMOUNT_STAYS));
        }
    }
}

fn read_change(row: &Row<'_>, id: &str) -> Result<Read, BadParameter> {
    let not_one = |_| BadParameter::invalid("conversion_id", "not a conversion id: use a whole number");
    let id = id.parse().map_err(not_one)?;
    let amend = |name| row.amount(name).map(|amount| amount.map(Amend::Set));
    let change = Change { status: row.status()?, payout: amend("payout")?, revenue: amend("revenue")? };
    Ok(Read::Change { id, change, amount: row.amount("amount")? })
}

/// The offer that a click means: where it arrived, or was to.
fn offer_of(click: &Click) -> OfferId {
    click.reached_offer_id().unwrap_or(click.offer_id)
}

/// What makes a row the same as another, where it has no `unique_id`.
fn key(it: &Call) -> Option<Key> {
    let call = &it.submission.call;
    let date = it.is_dated.then_some(call.conversion_date);
    call.unique_id.is_empty().then(|| (call.click_id.clone(), call.offer_id, call.event_id, date))
}

/// The attempt of a row that repeats one which was recorded.
fn repeat(call: &ConversionCall, first: ConversionId) -> Attempt {
    Attempt {
        door: Door::Import,
        offer_id: Some(call.offer_id),
        event_id: call.event_id,
        received_at: call.received_at,
        key_id: call.key_id,
        address: String::new(),
        batch_id: call.batch_id,
        click_id: call.click_id.clone(),
        unique_id: String::new(),
        outcome: "repeated".to_owned(),
        reason: String::new(),
        conversion_id: Some(first),
        raw: call.raw.clone(),
    }
}

#[cfg(test)]
mod tests {
    use domain::access::{Grant, Scope};

    use super::*;
    use crate::sample;

    fn caller(scope: Scope) -> Caller {
        Caller { key_id: KeyId(1), name: "test".into(), grant: Grant::of(scope) }
    }

    fn file(rows: usize) -> ImportConversions {
        ImportConversions {
            text: format!("conversion_id,payout\n{}", "7,1\n".repeat(rows)).into_bytes(),
            is_dry_run: false,
            batch_id: None,
            note: String::new(),
            ignore_unknown: false,
            fire_postbacks: true,
            first_line: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_waits_for_its_turn_and_is_told_to_come_back_while_another_is_imported() {
        let opened = sample::open();
        let (app, caller) = (&opened.app, caller(Scope::Admin));
        let turn = turn_of(&app.imports).await.expect("a free turn");
        let busy = app.import_conversions(&caller, file(1)).await;
        assert!(matches!(busy, Err(ImportError::Failure(Failure::Overloaded))), "{busy:?}");
        drop(turn);
        let imported = app.import_conversions(&caller, file(1)).await.expect("a turn was given back");
        assert_eq!(imported.rows[0].outcome, RowOutcome::Refused);
    }

    #[tokio::test]
    async fn a_file_that_is_refused_as_a_whole_begins_no_batch() {
        let opened = sample::open();
        let app = &opened.app;
        let too_long = app.import_conversions(&caller(Scope::Admin), file(ROWS_MAX + 1)).await;
        assert!(matches!(too_long, Err(ImportError::BadParameter(_))), "{too_long:?}");
        let not_permitted = app.import_conversions(&caller(Scope::Conversion), file(1)).await;
        assert!(
            matches!(not_permitted, Err(ImportError::Failure(Failure::NotPermitted))),
            "{not_permitted:?}"
        );
        assert_eq!(app.ledger.list_batches(0, 1).expect("listed").total, 0);
    }
}
