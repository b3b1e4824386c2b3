//! Their rows beside ours: what each row of either side is, and why, written down as it is found.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use archive::Archive;
use domain::conversion_request::BadParameter;
use domain::ids::{CapId, ConversionId, ReconciliationId};
use domain::money::Currency;
use domain::network::Network;
use domain::reconciliation::bridge::{Bridges, Counted};
use domain::reconciliation::pairing::{Candidate, Keys, Pairs, TheirRows};
use domain::reconciliation::reason::{Reason, of_difference};
use domain::reconciliation::{OurSide, Place, RowClass, TheirSide, apart, classify, classify_alone};
use domain::time::print;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ledger::{BeginReconciliation, KnownConversion, Ledger, Likeness, Lookup, Reconciled, ReconciliationRow};

use super::Reconcile;
use super::rows::each_row;
use super::survey::{Stop, Surveyed};
use super::text::Text;
use super::theirs::{Said, TheirRow};
use super::upload::unavailable;
use crate::Failure;

/// Conversions of ours that are looked at together: some hundred kilobytes.
const PAGE: u32 = 4096;
/// Rows written in one transaction: few enough that conversion calls wait only milliseconds.
const CHUNK: usize = 500;
/// How far around the range our conversions are looked at by every key, in hours: any time zone's day.
const AROUND_HOURS: i64 = 48;
/// How far apart two dates can be and still be one moment in two time zones, in hours.
const ZONES_HOURS: i64 = 26;
/// Clicks of rows that are missing here which are looked up: each may be a read from disk.
const CLICKS_MAX: u32 = 10_000;

/// A comparison on its way.
pub(super) struct Comparison {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) archive: Arc<Archive>,
    pub(super) network: Arc<Network>,
    pub(super) zone: TimeZone,
    /// The currency of amounts of which nobody says another.
    pub(super) currency: Currency,
    pub(super) now: Timestamp,
    pub(super) ask: Reconcile,
    pub(super) begin: BeginReconciliation,
}

/// A conversion of ours, as far as it is compared.
#[derive(Clone, Copy)]
struct Facts {
    id: ConversionId,
    side: OurSide,
    cap_id: Option<CapId>,
    date: Timestamp,
    adjustments: u32,
}

/// What a row is, and why.
struct Verdict {
    class: RowClass,
    reason: Option<Reason>,
    ours: Option<Facts>,
}

/// A row whose conversion is not among those of the range.
enum Found {
    Ours(Facts),
    Same(u64),
    Nothing,
}

impl Comparison {
    /// Compares, and keeps what came of it.
    pub(super) fn run(&self, file: File) -> Result<Result<ReconciliationId, BadParameter>, Failure> {
        match self.compare(file) {
            Ok(id) => Ok(Ok(id)),
            Err(Stop::Bad(bad)) => Ok(Err(bad)),
            Err(Stop::Failure(failure)) => Err(failure),
            Err(Stop::Enough) => Err(Failure::Broken("a comparison stopped early".into())),
        }
    }

    fn compare(&self, file: File) -> Result<ReconciliationId, Stop> {
        let text = Text::open(file).map_err(unavailable)?;
        let mut surveyed = Surveyed::of(text, &self.ask, &self.zone)?;
        let (mut rows, mut lines) = (TheirRows::default(), Vec::new());
        surveyed.each(|row| {
            rows.push(&row.names.keys(), row.said.as_ref().ok().map(|it| it.owed));
            lines.push(u32::try_from(row.line).unwrap_or(u32::MAX));
            Ok(())
        })?;
        let index = rows.index();
        let id = self.ledger.begin_reconciliation(&self.begin, self.now)?;
        let mut kept = Kept::new(&*self.ledger, id, lines.len() as u64);
        let mut candidates: Vec<Candidate<Facts>> = Vec::new();
        self.each_of_ours(|known| {
            let facts = self.facts(&known);
            let names = Names::of(known);
            let is_inside = facts.side.place != Place::Outside;
            match index.candidate(&names.keys(), facts.side.amount, is_inside, facts) {
                Ok(candidate) => candidates.push(candidate),
                Err(facts) => self.alone(&mut kept, facts, &names)?,
            }
            Ok(())
        })?;
        let pairs = index.pair(&candidates);
        drop(index);
        self.judge(&surveyed, &pairs, &candidates, &lines, &mut kept)?;
        for place in pairs.left() {
            let facts = candidates[place].ours;
            if facts.side.place == Place::Inside {
                let found = self.ledger.find_conversion(facts.id)?;
                let names = found.map_or_else(Names::default, |it| Names {
                    unique_id: it.unique_id,
                    order_id: it.order_id,
                    click_id: it.click_id.to_string(),
                    ..Names::default()
                });
                self.alone(&mut kept, facts, &names)?;
            }
        }
        let remarks = std::mem::take(&mut surveyed.remarks);
        kept.finish(self.currency, self.with_currency(remarks, &surveyed))?;
        Ok(id)
    }

    fn with_currency(&self, mut remarks: Vec<String>, surveyed: &Surveyed) -> Vec<String> {
        use super::columns::Field;
        if surveyed.reading.columns.place(Field::Currency).is_none() && self.ask.currency.is_none() {
            remarks.push(format!(
                "the file has no column of currencies; amounts that name none are in our conversion's, else in {}",
                self.currency
            ));
        }
        remarks
    }

    /// Hands over our conversions of the range, and around it.
    fn each_of_ours(&self, mut take: impl FnMut(KnownConversion) -> Result<(), Stop>) -> Result<(), Stop> {
        let Range { start, end } = self.around();
        let mut after = None;
        loop {
            let page = self.ledger.list_conversions_of(self.begin.advertiser_id, start, end, after, PAGE)?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|it| (it.conversion_date, it.id));
            page.into_iter().try_for_each(&mut take)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// When the conversions happened that are looked at by every key.
    fn around(&self) -> Range<Timestamp> {
        let hours = AROUND_HOURS.max(self.ask.date_tolerance_hours.into());
        wider(self.begin.from, self.begin.until, hours)
    }

    fn facts(&self, known: &KnownConversion) -> Facts {
        let place = self.place(known.conversion_date, self.begin.from, self.begin.until);
        let KnownConversion { revenue: amount, currency, status, .. } = *known;
        Facts {
            id: known.id,
            side: OurSide { amount, currency, status, place },
            cap_id: known.cap_id,
            date: known.conversion_date,
            adjustments: known.adjustments,
        }
    }

    fn place(&self, at: Timestamp, from: Timestamp, until: Timestamp) -> Place {
        let near = wider(from, until, self.ask.date_tolerance_hours.into());
        if (from..until).contains(&at) {
            Place::Inside
        } else if near.contains(&at) {
            Place::Near
        } else {
            Place::Outside
        }
    }

    /// Keeps a conversion of ours that is in none of their rows.
    fn alone(&self, kept: &mut Kept<'_>, facts: Facts, names: &Names) -> Result<(), Stop> {
        if facts.side.place != Place::Inside {
            return Ok(());
        }
        let class = classify_alone(facts.side.status);
        let reason = match class {
            RowClass::Matched => Reason::PaysNobody(facts.side.status),
            _ => Reason::NotInFile,
        };
        let row = ReconciliationRow {
            unique_id: names.unique_id.clone(),
            order_id: names.order_id.clone(),
            click_id: names.click_id.clone(),
            ..kept.ours(class, Some(&reason), Some(&facts))
        };
        kept.push(row, self.counted(class, None, Some(&facts)))
    }

    /// How the bridge counts a row.
    fn counted(&self, class: RowClass, said: Option<&Said>, ours: Option<&Facts>) -> Counted {
        let currency = said.and_then(|it| it.currency).or(ours.map(|it| it.side.currency));
        let currency = currency.unwrap_or(self.currency);
        let inside = ours.filter(|it| it.side.place == Place::Inside);
        Counted {
            class,
            is_nearby: ours.is_some_and(|it| it.side.place == Place::Near),
            currency,
            theirs: said.map(|it| (currency, it.owed)),
            ours: inside.map(|it| (it.side.currency, it.side.amount)),
        }
    }

    /// Says of each row of theirs what it is.
    fn judge(
        &self,
        surveyed: &Surveyed,
        pairs: &Pairs,
        candidates: &[Candidate<Facts>],
        lines: &[u32],
        kept: &mut Kept<'_>,
    ) -> Result<(), Stop> {
        let mut evidence = Evidence { comparison: self, taken: HashSet::new(), clicks: 0 };
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut number = 0;
        surveyed.each(|row| {
            let found = match (pairs.ours_of(number), pairs.first_of(number)) {
                (Some(place), _) => Found::Ours(candidates[place].ours),
                (None, Some(first)) => Found::Same(lines[first].into()),
                (None, None) => Found::Nothing,
            };
            number += 1;
            chunk.push((row, found));
            if chunk.len() == CHUNK { self.keep(&mut evidence, &mut chunk, kept) } else { Ok(()) }
        })?;
        self.keep(&mut evidence, &mut chunk, kept)
    }

    /// Keeps rows of theirs, those that are missing here with what is known about them.
    fn keep(
        &self,
        evidence: &mut Evidence<'_>,
        chunk: &mut Vec<(TheirRow, Found)>,
        kept: &mut Kept<'_>,
    ) -> Result<(), Stop> {
        let is_missing =
            |(row, found): &&(TheirRow, Found)| row.said.is_ok() && matches!(found, Found::Nothing);
        let lookups: Vec<_> = chunk.iter().filter(is_missing).map(|it| lookup(&it.0)).collect();
        let mut like = self.ledger.find_like(&lookups)?.into_iter();
        for (row, found) in chunk.drain(..) {
            let verdict = match (&row.said, found) {
                (Err(problem), found) => Verdict {
                    class: RowClass::Unreadable,
                    reason: Some(Reason::Unreadable(problem.clone())),
                    ours: if let Found::Ours(facts) = found { Some(facts) } else { None },
                },
                (Ok(_), Found::Same(line)) => Verdict {
                    class: RowClass::DuplicateThere,
                    reason: Some(Reason::SameAs { line }),
                    ours: None,
                },
                (Ok(said), Found::Ours(facts)) => self.compared(said, facts),
                (Ok(said), Found::Nothing) => evidence.of(&row, said, like.next().unwrap_or_default())?,
            };
            let said = row.said.as_ref().ok();
            let counted = self.counted(verdict.class, said, verdict.ours.as_ref());
            let names = &row.names;
            let base = kept.theirs(verdict.class, verdict.reason.as_ref(), verdict.ours.as_ref());
            let row = ReconciliationRow {
                line: Some(row.line),
                unique_id: names.unique_id.clone(),
                order_id: names.order_id.clone(),
                click_id: names.click_text.clone(),
                their_amount: said.map(|it| it.owed),
                their_payout: said.and_then(|it| it.payout),
                their_status: said.and_then(|it| it.status),
                their_currency: said.map(|_| counted.currency),
                their_date: said.and_then(|it| it.date),
                ..base
            };
            kept.push(row, counted)?;
        }
        Ok(())
    }

    /// What a pair is.
    fn compared(&self, said: &Said, ours: Facts) -> Verdict {
        let zone = self.ask.time_zone.as_ref().map_or(&self.zone, domain::time::Zone::rules);
        let (from, until) = (self.ask.start.start(zone), self.ask.end.end(zone));
        let place = said.date.map_or(Place::Inside, |at| self.place(at, from, until));
        let theirs = TheirSide { amount: said.owed, currency: said.currency, status: said.status, place };
        let class = classify(&theirs, &ours.side, self.ask.tolerance);
        let amounts = (said.owed, ours.side.amount);
        let here = || print(ours.date, &self.zone);
        let reason = match class {
            RowClass::Matched if ours.side.place == Place::Near => Some(Reason::Nearby { date: here() }),
            RowClass::Matched if amounts.0 != amounts.1 => {
                Some(Reason::WithinTolerance(apart(amounts.0, amounts.1)))
            }
            RowClass::Matched => said
                .status
                .filter(|it| *it != ours.side.status)
                .map(|_| Reason::NeitherPays(ours.side.status)),
            RowClass::OutsideRange if ours.side.place == Place::Outside => {
                let zones = SignedDuration::from_hours(ZONES_HOURS);
                let is_zone = |at: Timestamp| at.duration_since(ours.date).abs() <= zones;
                let there = if (from..until).contains(&ours.date) {
                    Some(print(ours.date, zone))
                } else {
                    said.date.filter(|at| is_zone(*at)).map(|at| print(at, zone))
                };
                Some(match there {
                    Some(there) => Reason::OtherZoneDay { here: here(), there },
                    None => Reason::DatedElsewhere { here: here() },
                })
            }
            RowClass::OutsideRange => said.date.map(|at| Reason::TheirDate { date: print(at, zone) }),
            RowClass::CurrencyDiffers => {
                let theirs = said.currency.unwrap_or(self.currency);
                Some(Reason::Currencies { theirs, ours: ours.side.currency })
            }
            RowClass::AmountDiffers => {
                Some(of_difference(Some(amounts), said.status, ours.side.status, ours.cap_id))
            }
            _ => Some(of_difference(None, said.status, ours.side.status, ours.cap_id)),
        };
        Verdict { class, reason, ours: Some(ours) }
    }
}

fn wider(from: Timestamp, until: Timestamp, hours: i64) -> Range<Timestamp> {
    let by = SignedDuration::from_hours(hours);
    from.saturating_sub(by).unwrap_or(from)..until.saturating_add(by).unwrap_or(until)
}

impl Surveyed {
    /// Hands over the rows after the header.
    fn each(&self, mut take: impl FnMut(TheirRow) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut is_header = true;
        each_row(&self.text, self.separator, self.reading.columns.len(), &mut |line, record| {
            if std::mem::take(&mut is_header) { Ok(()) } else { take(self.reading.row(line, record)) }
        })
    }
}

/// What names a conversion of ours.
#[derive(Default)]
struct Names {
    id: Option<ConversionId>,
    unique_id: String,
    order_id: String,
    click_id: String,
    click: Option<domain::ids::ClickId>,
}

impl Names {
    fn of(known: KnownConversion) -> Self {
        Self {
            id: Some(known.id),
            click_id: known.click_id.to_string(),
            click: Some(known.click_id),
            unique_id: known.unique_id,
            order_id: known.order_id,
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            conversion_id: self.id,
            unique_id: &self.unique_id,
            order_id: &self.order_id,
            click_id: self.click,
        }
    }
}

fn lookup(row: &TheirRow) -> Lookup {
    let names = &row.names;
    Lookup {
        conversion_id: names.conversion_id,
        unique_id: names.unique_id.clone(),
        order_id: names.order_id.clone(),
        click_id: names.click_id(),
        click_text: names.click_text.clone(),
    }
}

/// What is found out about rows that are missing here.
struct Evidence<'c> {
    comparison: &'c Comparison,
    /// Conversions beyond the range that have their row.
    taken: HashSet<ConversionId>,
    /// How many clicks were looked up.
    clicks: u32,
}

impl Evidence<'_> {
    fn of(&mut self, row: &TheirRow, said: &Said, like: Likeness) -> Result<Verdict, Stop> {
        let keys = row.names.keys();
        let own = self.comparison.begin.advertiser_id;
        let mut elsewhere = None;
        for known in like.conversions {
            let names = Names::of(known.clone());
            let is_number = keys.conversion_id == Some(known.id);
            if is_number && keys.contradict(&names.keys()) {
                continue;
            }
            if known.advertiser_id != own {
                // Transactions and orders are their advertiser's own.
                let is_same = is_number || keys.click_id == Some(known.click_id);
                elsewhere = elsewhere.or(is_same.then_some(known.advertiser_id));
            } else if !self.comparison.around().contains(&known.conversion_date) {
                if !self.taken.insert(known.id) {
                    let reason = Some(Reason::SameConversion(known.id));
                    return Ok(Verdict { class: RowClass::DuplicateThere, reason, ours: None });
                }
                return Ok(self.comparison.compared(said, self.comparison.facts(&known)));
            }
        }
        let network = &self.comparison.network;
        let is_own = |it: &ledger::Attempt| {
            it.offer_id.is_none_or(|id| network.offer(id).is_none_or(|offer| offer.advertiser_id == own))
        };
        let reason = match (like.refused.filter(is_own), elsewhere) {
            (Some(attempt), _) => Reason::AttemptRefused {
                date: print(attempt.received_at, &self.comparison.zone),
                code: attempt.outcome,
                reason: attempt.reason,
            },
            (None, Some(advertiser_id)) => Reason::OtherAdvertiser(advertiser_id),
            (None, None) => self.of_click(row, said)?,
        };
        Ok(Verdict { class: RowClass::MissingHere, reason: Some(reason), ours: None })
    }

    /// What its click says, where it names one.
    fn of_click(&mut self, row: &TheirRow, said: &Said) -> Result<Reason, Stop> {
        let Comparison { network, archive, begin, now, .. } = self.comparison;
        let names = &row.names;
        let Some(click_id) = names.click_id() else {
            return Ok(if !names.click_text.is_empty() {
                Reason::MalformedClickId
            } else if !names.unique_id.is_empty() || !names.order_id.is_empty() {
                Reason::NotKnown
            } else if names.is_number_malformed {
                Reason::MalformedConversionId
            } else {
                Reason::NoSuchConversion
            });
        };
        self.clicks += 1;
        if self.clicks > CLICKS_MAX {
            return Ok(Reason::NotLookedInto);
        }
        let Some(click) = archive.find(click_id)? else { return Ok(Reason::NoSuchClick) };
        let offer = network.offer(click.reached_offer_id().unwrap_or(click.offer_id));
        let Some(offer) = offer.filter(|_| click.reached_offer_id().is_some()) else {
            return Ok(Reason::ClickNotAccepted { disposition: click.disposition.name() });
        };
        if offer.advertiser_id != begin.advertiser_id {
            return Ok(Reason::OtherAdvertiser(offer.advertiser_id));
        }
        let at = said.date.unwrap_or(*now);
        let age = at.duration_since(click.date());
        let session = SignedDuration::from_secs(offer.session_seconds.into());
        Ok(if age > session { Reason::ClickExpired } else { Reason::NeverReported })
    }
}

/// What is being written down.
struct Kept<'l> {
    ledger: &'l dyn Ledger,
    id: ReconciliationId,
    waiting: Vec<ReconciliationRow>,
    /// The last positions given: their rows come before ours.
    theirs: u64,
    ours: u64,
    counts: Vec<(RowClass, u64)>,
    bridges: Bridges,
}

impl<'l> Kept<'l> {
    fn new(ledger: &'l dyn Ledger, id: ReconciliationId, rows: u64) -> Self {
        let counts = RowClass::ALL.iter().map(|class| (*class, 0)).collect();
        let (waiting, bridges) = (Vec::with_capacity(CHUNK), Bridges::default());
        Self { ledger, id, waiting, theirs: 0, ours: rows, counts, bridges }
    }

    fn theirs(
        &mut self,
        class: RowClass,
        reason: Option<&Reason>,
        ours: Option<&Facts>,
    ) -> ReconciliationRow {
        self.theirs += 1;
        row(self.theirs, class, reason, ours)
    }

    fn ours(&mut self, class: RowClass, reason: Option<&Reason>, ours: Option<&Facts>) -> ReconciliationRow {
        self.ours += 1;
        row(self.ours, class, reason, ours)
    }

    fn push(&mut self, row: ReconciliationRow, counted: Counted) -> Result<(), Stop> {
        self.counts.iter_mut().filter(|it| it.0 == row.class).for_each(|it| it.1 += 1);
        self.bridges.count(&counted);
        self.waiting.push(row);
        if self.waiting.len() == CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.ledger.add_reconciliation_rows(self.id, &self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self, currency: Currency, remarks: Vec<String>) -> Result<(), Stop> {
        self.flush()?;
        let (rows, bridge) = (self.ours, self.bridges.lines(currency));
        let reconciled = Reconciled { rows, counts: self.counts, bridge, remarks };
        Ok(self.ledger.finish_reconciliation(self.id, &reconciled)?)
    }
}

fn row(position: u64, class: RowClass, reason: Option<&Reason>, ours: Option<&Facts>) -> ReconciliationRow {
    ReconciliationRow {
        position,
        line: None,
        class,
        code: reason.map(|it| it.code().to_owned()).unwrap_or_default(),
        reason: reason.map(ToString::to_string).unwrap_or_default(),
        conversion_id: ours.map(|it| it.id),
        adjustments: ours.map(|it| it.adjustments),
        unique_id: String::new(),
        order_id: String::new(),
        click_id: String::new(),
        their_amount: None,
        their_payout: None,
        their_status: None,
        their_currency: None,
        their_date: None,
        our_amount: ours.map(|it| it.side.amount),
        our_status: ours.map(|it| it.side.status),
        our_currency: ours.map(|it| it.side.currency),
        our_date: ours.map(|it| it.date),
    }
}
