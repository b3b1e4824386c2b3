//! Recording a batch of conversion calls: gather the facts for all of them at once, judge one after the
//! other in memory, write everything at once. What a call adds is a fact for those after it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::adjustment::{Cause, Change, EffectiveDate, Standing};
use domain::caps::{Cap, CapType, Counted, Interval, Window};
use domain::conversion::{Accepted, Conversion, ConversionCall, First, Prior, Refusal, Verdict, judge};
use domain::ids::{CapId, ClickId, ConversionId, EventId, OfferId};
use domain::postback::{Postback, fired};
use domain::status::ConversionStatus;
use domain::suppression::{Fingerprint, OnSuppressed};
use jiff::Timestamp;

use super::super::adjustments::Present;
use super::super::batches::hold;
use super::super::changes::{Step, number};
use super::super::deliveries::{Enqueued, enqueue};
use super::super::money::{self, Tally};
use super::{INSERT_ATTEMPT, attempt_row, firsts_on_clicks, read_conversion};
use crate::LedgerError;
use crate::adjustments::Order;
use crate::conversions::{Attempt, Recorded, Submission};
use crate::database::{Record, Session, Value, single, storable, values};

/// Records a batch in its order.
pub(in crate::book) fn record(
    session: &mut dyn Session,
    submissions: &[Submission],
) -> Result<Vec<Recorded>, LedgerError> {
    hold(session, submissions.iter().filter_map(|it| it.call.batch_id))?;
    session.take_turns(&offers(submissions))?;
    let mut facts = Facts::gather(session, submissions)?;
    let judged: Vec<Judged> = submissions.iter().enumerate().map(|it| facts.judge(it)).collect();
    facts.insert_added(session)?;
    facts.settle(session, submissions)?;
    let recorded: Vec<Recorded> = judged.into_iter().map(|it| facts.recorded(it)).collect();
    insert_attempts(session, submissions, &recorded)?;
    number(session, &facts.steps)?;
    Ok(recorded)
}

/// The offers that may get a conversion. A number that only the caller knows is none.
fn offers(submissions: &[Submission]) -> Vec<OfferId> {
    let offers = submissions.iter().filter(|it| it.knows_offer()).map(|it| it.call.offer_id);
    offers.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The numbers of conversions that have none yet begin here: beyond every number a database gives.
const ADDED: u64 = 1 << 63;

/// What becomes of a call, by places in [`Facts::conversions`].
#[derive(Clone, Copy)]
enum Judged {
    New(usize),
    Same { first: usize, conflict: bool },
    Refused(Refusal),
}

/// A window of a cap: what it is counted by.
type CounterKey = (OfferId, CapId, Timestamp);

/// What a window has taken, in millionths.
#[derive(Clone, Copy)]
struct Counter {
    baseline: i64,
    used: i64,
    is_changed: bool,
}

/// What is known of the keys of a batch: gathered from the database, then added to by every call that
/// is accepted.
#[derive(Default)]
struct Facts {
    /// The conversions on record that have a key of the batch, then those that the batch adds.
    conversions: Vec<Conversion>,
    /// How many of them are on record.
    on_record: usize,
    /// Which postbacks those fire that the batch adds.
    fired: Vec<Vec<Arc<Postback>>>,
    /// Those that are to stand otherwise: the call's place, the conversion's, and the way there.
    unsettled: Vec<(usize, usize, Vec<ConversionStatus>)>,
    /// The place of a key's conversion.
    by_unique_id: HashMap<(OfferId, EventId, String), usize>,
    /// A click's first conversion of an event.
    on_click: HashMap<(ClickId, EventId), ConversionId>,
    /// What the caps of the batch have taken.
    counters: BTreeMap<CounterKey, Counter>,
    /// What lists say about whom the batch names; offer 0 is all.
    suppressed: HashMap<Fingerprint, Vec<(OfferId, OnSuppressed)>>,
    /// Which conversion counts on which counter, and for how much.
    counts: Vec<(CounterKey, usize, i64)>,
    /// What was booked, and has no number among the changes yet.
    steps: Vec<Step>,
}

impl Facts {
    fn gather(session: &mut dyn Session, submissions: &[Submission]) -> Result<Self, LedgerError> {
        let mut facts = Self::default();
        facts.gather_unique_ids(session, submissions)?;
        facts.on_record = facts.conversions.len();
        let keys: Vec<_> = submissions.iter().filter_map(click_key).collect();
        let firsts = firsts_on_clicks(session, keys.iter().copied())?;
        let found = keys.into_iter().zip(firsts);
        facts.on_click = found.filter_map(|(key, first)| Some((key, first?))).collect();
        facts.gather_counters(session, submissions)?;
        facts.gather_suppressed(session, submissions)?;
        Ok(facts)
    }

    fn gather_unique_ids(
        &mut self,
        session: &mut dyn Session,
        submissions: &[Submission],
    ) -> Result<(), LedgerError> {
        let sql = "-- gather_unique_ids\n\
            SELECT * FROM conversions \
            WHERE offer_id = ?1 AND event_id = ?2 AND unique_id = ?3 AND unique_id <> ''";
        let keys: BTreeSet<_> = submissions.iter().filter_map(unique_key).collect();
        let rows: Vec<_> = keys.iter().map(|(offer, event, id)| values![*offer, *event, id]).collect();
        let found = session.query_all(sql, &rows)?;
        for (key, records) in keys.into_iter().zip(found) {
            if let Some(record) = records.first() {
                self.by_unique_id.insert(key, self.conversions.len());
                self.conversions.push(read_conversion(record)?);
            }
        }
        Ok(())
    }

    fn gather_counters(
        &mut self,
        session: &mut dyn Session,
        submissions: &[Submission],
    ) -> Result<(), LedgerError> {
        let asked: BTreeMap<CounterKey, (Arc<Cap>, Window)> =
            submissions.iter().flat_map(caps).map(|it| (counter_key(&it), it)).collect();
        let sql = "-- gather_counters\n\
            SELECT baseline, used FROM cap_counters WHERE offer_id = ?1 AND cap_id = ?2 AND window_from = ?3";
        let rows: Vec<_> = asked.keys().map(|(offer, cap, from)| values![*offer, *cap, *from]).collect();
        let found = session.query_all(sql, &rows)?;
        for ((key, (cap, window)), records) in asked.into_iter().zip(found) {
            let counter = if let Some(record) = records.first() {
                let row = record.of("cap_counters");
                Counter { baseline: row.get("baseline")?, used: row.get("used")?, is_changed: false }
            } else {
                let baseline = taken(session, &cap, window)?;
                Counter { baseline, used: baseline, is_changed: true }
            };
            self.counters.insert(key, counter);
        }
        Ok(())
    }

    fn gather_suppressed(
        &mut self,
        session: &mut dyn Session,
        submissions: &[Submission],
    ) -> Result<(), LedgerError> {
        let sql = "-- gather_suppressed\nSELECT offer_id, action FROM suppressions WHERE fingerprint = ?1";
        let asked: BTreeSet<_> = submissions.iter().flat_map(|it| &it.call.fingerprints).collect();
        let rows: Vec<_> = asked.iter().map(|it| values![&it[..]]).collect();
        let read = |record: &Record| {
            let row = record.of("suppressions");
            Ok((row.get("offer_id")?, row.parse("action", |text| text.parse().ok())?))
        };
        for (fingerprint, records) in asked.into_iter().zip(session.query_all(sql, &rows)?) {
            let said = records.iter().map(read).collect::<Result<_, LedgerError>>()?;
            self.suppressed.insert(*fingerprint, said);
        }
        Ok(())
    }

    fn same_unique_id(&self, submission: &Submission) -> Option<usize> {
        unique_key(submission).and_then(|key| self.by_unique_id.get(&key)).copied()
    }

    fn prior(&self, submission: &Submission) -> Prior {
        let counted = |(cap, window): (Arc<Cap>, Window)| {
            let used = self.counters.get(&counter_key(&(Arc::clone(&cap), window))).map_or(0, |it| it.used);
            Counted { cap, window, used }
        };
        Prior {
            same_unique_id: self.same_unique_id(submission).map(|place| first(&self.conversions[place])),
            on_click: click_key(submission).and_then(|key| self.on_click.get(&key)).copied(),
            caps: caps(submission).into_iter().map(counted).collect(),
            suppressed: self.suppression(&submission.call),
        }
    }

    /// What lists say: of each fingerprint the offer's own list before that of all, and of several the
    /// strictest.
    fn suppression(&self, call: &ConversionCall) -> Option<OnSuppressed> {
        let said = |fingerprint| {
            let said: &Vec<_> = self.suppressed.get(fingerprint)?;
            let of = |offer_id| said.iter().find(|(offer, _)| *offer == offer_id).map(|(_, action)| *action);
            of(call.offer_id).or_else(|| of(OfferId(0)))
        };
        let mut all = call.fingerprints.iter().filter_map(said).peekable();
        let first = *all.peek()?;
        Some(if all.any(|it| it == OnSuppressed::Reject) { OnSuppressed::Reject } else { first })
    }

    fn judge(&mut self, (call_place, submission): (usize, &Submission)) -> Judged {
        let Submission { call, click, terms, .. } = submission;
        let prior = self.prior(submission);
        match judge(call, click.as_ref(), terms, &prior) {
            Verdict::New(accepted) => self.add(call_place, submission, &accepted, &prior.caps),
            Verdict::Same { conflict, .. } => {
                let first = self.same_unique_id(submission).expect("judged to repeat it");
                Judged::Same { first, conflict }
            }
            Verdict::Refused(refusal) => Judged::Refused(refusal),
        }
    }

    fn add(
        &mut self,
        call_place: usize,
        submission: &Submission,
        accepted: &Accepted,
        caps: &[Counted],
    ) -> Judged {
        let place = self.conversions.len();
        let id = ConversionId(ADDED + place as u64);
        let Submission { call, click, terms, stated } = submission;
        let click = click.as_ref().expect("judged new only with its click");
        let conversion =
            Conversion::new(call, click, terms, accepted).expect("judged new only with its terms");
        if let Some(key) = unique_key(submission) {
            self.by_unique_id.insert(key, place);
        }
        if let Some(key) = click_key(submission) {
            self.on_click.entry(key).or_insert(id);
        }
        for (at, measure) in &accepted.counts {
            let Counted { cap, window, .. } = &caps[*at];
            let key = counter_key(&(Arc::clone(cap), *window));
            if let Some(counter) = self.counters.get_mut(&key) {
                counter.used = counter.used.saturating_add(*measure);
                counter.is_changed = true;
                self.counts.push((key, place, *measure));
            }
        }
        let way = stated.as_ref().and_then(|it| accepted.status.way_to(it.status)).unwrap_or_default();
        self.fired.push(if call.is_told && way.is_empty() {
            fired(&terms.network, &conversion, None, call.in_browser)
        } else {
            Vec::new()
        });
        if !way.is_empty() {
            self.unsettled.push((call_place, place, way));
        }
        self.conversions.push(kept(Conversion { id, ..conversion }));
        Judged::New(place)
    }

    /// Writes what was added. Each gets its number, in their order.
    fn insert_added(&mut self, session: &mut dyn Session) -> Result<(), LedgerError> {
        let added = &mut self.conversions[self.on_record..];
        let rows: Vec<_> =
            added.iter().zip(&self.fired).map(|(it, fired)| conversion_row(it, fired.len())).collect();
        let inserted = session.query_all(INSERT_CONVERSION, &rows)?;
        let number = |records: Vec<Record>| {
            let record = records.first().expect("an insert returns its row");
            record.of("conversions").get("conversion_id")
        };
        let numbers: Vec<ConversionId> = inserted.into_iter().map(number).collect::<Result<_, _>>()?;
        for (conversion, number) in added.iter_mut().zip(numbers) {
            conversion.id = number;
        }
        let added = &self.conversions[self.on_record..];
        let recordings: Vec<_> = added.iter().filter_map(money::Booking::recording).collect();
        money::book(session, &recordings)?;
        let mut tally = Tally::default();
        for conversion in added {
            tally.add(conversion);
        }
        tally.write(session)?;
        self.steps.extend(added.iter().map(Step::recording));
        let told = added.iter().zip(&self.fired).flat_map(|(conversion, fired)| {
            fired.iter().map(|it| Enqueued::new(conversion, 0, None, it, conversion.recorded_at))
        });
        enqueue(session, &told.collect::<Vec<_>>())?;
        self.write_counters(session)
    }

    /// Brings those to where they are to stand of which that is stated.
    fn settle(&mut self, session: &mut dyn Session, submissions: &[Submission]) -> Result<(), LedgerError> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let mut present = Present::default();
        for (call_place, place, way) in &self.unsettled {
            let Submission { call, terms, stated, .. } = &submissions[*call_place];
            let stated = stated.as_ref().expect("there is a way to it");
            let order = Order {
                change: Change::default(),
                effective: EffectiveDate::ConversionDate,
                refuse_if_stated: false,
                author: stated.author.clone(),
                note: stated.note.clone(),
                cause: Cause::Import,
                batch_id: call.batch_id,
                tells: None,
            };
            let conversion = &mut self.conversions[*place];
            let (id, price) = (conversion.id, conversion.standing.price);
            present.conversions.insert(id, conversion.clone());
            for status in way {
                let standing = Standing { status: *status, price };
                *conversion = present.stand(id, standing, &order, call.received_at).conversion;
            }
            if call.is_told {
                present.tell(id, None, &terms.network, call.received_at);
            }
        }
        self.steps.extend(present.write_unnumbered(session)?);
        Ok(())
    }

    fn write_counters(&self, session: &mut dyn Session) -> Result<(), LedgerError> {
        let changed = self.counters.iter().filter(|(_, counter)| counter.is_changed);
        let rows: Vec<_> = changed
            .map(|((offer, cap, from), it)| values![*offer, *cap, *from, it.baseline, it.used])
            .collect();
        let sql = "-- write_counters\n\
            INSERT INTO cap_counters (offer_id, cap_id, window_from, baseline, used) VALUES (?1, ?2, ?3, ?4, ?5) \
            ON CONFLICT (offer_id, cap_id, window_from) DO UPDATE SET used = excluded.used";
        session.execute_all(sql, &rows)?;
        let counts = self.counts.iter().map(|((offer, cap, from), place, measure)| {
            values![*offer, *cap, *from, self.conversions[*place].id, *measure]
        });
        let sql = "-- write_counts\n\
            INSERT INTO cap_counts (offer_id, cap_id, window_from, conversion_id, measure) \
            VALUES (?1, ?2, ?3, ?4, ?5)";
        session.execute_all(sql, &counts.collect::<Vec<_>>()).map(drop)
    }

    /// The number a conversion has now that all have one.
    fn number(&self, id: ConversionId) -> ConversionId {
        let place = id.0.checked_sub(ADDED).and_then(|place| usize::try_from(place).ok());
        place.map_or(id, |place| self.conversions[place].id)
    }

    fn recorded(&self, judged: Judged) -> Recorded {
        match judged {
            Judged::New(place) => Recorded::New(self.conversions[place].clone()),
            Judged::Same { first, conflict } => {
                Recorded::Same { first: self.conversions[first].clone(), conflict }
            }
            Judged::Refused(Refusal::DuplicateConversion(first)) => {
                Recorded::Refused(Refusal::DuplicateConversion(self.number(first)))
            }
            Judged::Refused(refusal) => Recorded::Refused(refusal),
        }
    }
}

/// The caps a call falls under, with its windows.
fn caps(submission: &Submission) -> Vec<(Arc<Cap>, Window)> {
    let Submission { call, click, terms, .. } = submission;
    click.as_ref().map(|click| terms.caps(call, click)).unwrap_or_default()
}

fn counter_key((cap, window): &(Arc<Cap>, Window)) -> CounterKey {
    (cap.offer_id, cap.id, window.from)
}

/// What a cap's window has taken before anybody counted: a cap may come after its conversions.
fn taken(session: &mut dyn Session, cap: &Cap, window: Window) -> Result<i64, LedgerError> {
    let sum = match cap.cap_type {
        CapType::Click => return Ok(0),
        CapType::Conversion => "count(*) * 1000000",
        CapType::Payout => "coalesce(sum(original_payout), 0)",
        CapType::Revenue => "coalesce(sum(original_revenue), 0)",
    };
    // The plus keeps the offer's index out: little has changed since a window began, and an offer may
    // have millions of conversions.
    let (offer, since) = match cap.interval {
        Interval::Overall => ("offer_id", "?2 <= recorded_at"),
        Interval::Daily | Interval::Weekly | Interval::Monthly => {
            ("+offer_id", "last_updated >= ?2 AND recorded_at >= ?2")
        }
    };
    let sql = format!(
        "-- taken\nSELECT CAST({sum} AS BIGINT) FROM conversions WHERE {offer} = ?1 AND {since} \
         AND recorded_at < ?3 AND status <> 'ignored' \
         AND (?4 = 0 OR campaign_id = ?4) AND (?5 = 0 OR event_id = ?5)"
    );
    let (campaign, event) = (cap.campaign_id.map_or(0, |it| it.0), cap.event_id.map_or(0, |it| it.0));
    single(session, &sql, values![cap.offer_id, window.from, window.until, campaign, event])
}

/// What finds the first conversion of the same transaction: nothing where the call names none, or can
/// become none.
fn unique_key(submission: &Submission) -> Option<(OfferId, EventId, String)> {
    let Submission { call, click, .. } = submission;
    (click.is_some() && submission.knows_offer() && !call.unique_id.is_empty()).then_some(())?;
    Some((call.offer_id, call.event_id?, storable(&call.unique_id).into_owned()))
}

/// What finds the first conversion of the same click.
fn click_key(submission: &Submission) -> Option<(ClickId, EventId)> {
    submission.knows_offer().then_some(())?;
    submission.click.as_ref().map(|it| it.id).zip(submission.call.event_id)
}

fn first(conversion: &Conversion) -> First {
    let domain::conversion::Price { payout, revenue, amount, .. } = conversion.price;
    First { id: conversion.id, click_id: conversion.click_id, payout, revenue, amount }
}

/// The conversion with its texts as they are kept.
fn kept(mut conversion: Conversion) -> Conversion {
    let Conversion { unique_id, order_id, adv, sub_ids, os, browser, referrer_host, details, .. } =
        &mut conversion;
    let texts = [unique_id, order_id, os, browser, referrer_host, details];
    for text in adv.iter_mut().chain(sub_ids).chain(texts) {
        if let Cow::Owned(storable) = storable(text) {
            *text = storable;
        }
    }
    conversion
}

const INSERT_CONVERSION: &str = "-- insert_conversion\n\
    INSERT INTO conversions (offer_id, event_id, advertiser_id, affiliate_id, campaign_id, creative_id, \
    click_id, unique_id, order_id, adv1, adv2, adv3, adv4, adv5, \
    sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5, country, device, currency, exchange_rate, amount, \
    original_payout, payout_scope, payout_rule_id, payout_rule_version, \
    original_revenue, revenue_scope, revenue_rule_id, revenue_rule_version, \
    door, batch_id, cap_id, approve_at, details, status, price_payout, price_revenue, payout, revenue, \
    click_date, conversion_date, recorded_at, last_updated, deliveries, \
    os, browser, referrer_host, disposition, approved_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
    ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, \
    ?25, ?26, ?27, ?28, \
    ?29, ?30, ?31, ?32, \
    ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, \
    ?43, ?44, ?45, ?46, ?47, \
    ?48, ?49, ?50, ?51, ?52) RETURNING conversion_id";

fn conversion_row(it: &Conversion, deliveries: usize) -> Vec<Value<'_>> {
    let [adv1, adv2, adv3, adv4, adv5] = &it.adv;
    let [sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5] = &it.sub_ids;
    let (payout_source, revenue_source) = (it.price.payout_source, it.price.revenue_source);
    #[rustfmt::skip]
    let values = values![
        it.offer_id, it.event_id, it.advertiser_id, it.affiliate_id, it.campaign_id, it.creative_id,
        it.click_id, &it.unique_id, &it.order_id, adv1, adv2, adv3, adv4, adv5,
        sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5, it.country.as_str(), it.device.name(), it.currency.as_str(),
        it.exchange_rate, it.price.amount,
        it.price.payout, payout_source.scope.name(), payout_source.rule.map(|it| it.0), payout_source.rule.map(|it| it.1),
        it.price.revenue, revenue_source.scope.name(), revenue_source.rule.map(|it| it.0), revenue_source.rule.map(|it| it.1),
        it.door.name(), it.batch_id, it.cap_id, it.approve_at, &it.details, it.standing.status.name(),
        it.standing.price.payout, it.standing.price.revenue, it.payout(), it.revenue(),
        it.click_id.time(), it.conversion_date, it.recorded_at, it.last_updated, deliveries as u64,
        &it.os, &it.browser, &it.referrer_host, it.disposition.name(), it.approved_at,
    ];
    values
}

fn insert_attempts(
    session: &mut dyn Session,
    submissions: &[Submission],
    recorded: &[Recorded],
) -> Result<(), LedgerError> {
    let attempts: Vec<Attempt> =
        submissions.iter().zip(recorded).map(|(it, recorded)| attempt(&it.call, recorded)).collect();
    let rows: Vec<_> = attempts.iter().map(attempt_row).collect();
    session.execute_all(INSERT_ATTEMPT, &rows).map(drop)
}

fn attempt(call: &ConversionCall, recorded: &Recorded) -> Attempt {
    let origin = call.details.origin;
    let (outcome, conversion_id) = match recorded {
        Recorded::New(conversion) => ("recorded", Some(conversion.id)),
        Recorded::Same { first, conflict: true } => ("repeated_with_conflict", Some(first.id)),
        Recorded::Same { first, conflict: false } => ("repeated", Some(first.id)),
        Recorded::Refused(refusal @ Refusal::DuplicateConversion(first)) => (refusal.code(), Some(*first)),
        Recorded::Refused(refusal) => (refusal.code(), None),
    };
    Attempt {
        door: origin.door,
        offer_id: Some(call.offer_id),
        event_id: call.event_id,
        received_at: call.received_at,
        key_id: call.key_id,
        address: origin.ip_address.map(|it| it.to_string()).unwrap_or_default(),
        batch_id: call.batch_id,
        click_id: call.click_id.clone(),
        unique_id: call.unique_id.clone(),
        outcome: outcome.to_owned(),
        reason: origin.remark.map(|it| it.text().to_owned()).unwrap_or_default(),
        conversion_id,
        raw: call.raw.clone(),
    }
}
