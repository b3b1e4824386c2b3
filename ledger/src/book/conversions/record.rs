//! Recording a batch of conversion calls: gather the facts for all of them at once, judge one after the
//! other in memory, write everything at once. What a call adds is a fact for those after it.

use std::collections::{BTreeSet, HashMap};

use domain::conversion::{
    Accepted, Conversion, ConversionCall, First, Price, Prior, Refusal, Verdict, judge,
};
use domain::ids::{ClickId, ConversionId, EventId, OfferId};

use super::{INSERT_ATTEMPT, attempt_row, firsts_on_clicks, read_conversion};
use crate::LedgerError;
use crate::conversions::{Attempt, Recorded, Submission};
use crate::database::{Record, Session, Value, storable, values};

/// Records a batch in its order.
pub(super) fn record(
    session: &mut dyn Session,
    submissions: &[Submission],
) -> Result<Vec<Recorded>, LedgerError> {
    session.take_turns(&offers(submissions))?;
    let mut facts = Facts::gather(session, submissions)?;
    let judged: Vec<Judged> = submissions.iter().map(|submission| facts.judge(submission)).collect();
    facts.insert_added(session)?;
    let recorded: Vec<Recorded> = judged.into_iter().map(|it| facts.recorded(it)).collect();
    insert_attempts(session, submissions, &recorded)?;
    Ok(recorded)
}

/// The offers that may get a conversion. A number that only the caller knows is none.
fn offers(submissions: &[Submission]) -> Vec<OfferId> {
    let offers = submissions.iter().filter_map(|it| it.terms.network.offer(it.call.offer_id));
    offers.map(|offer| offer.id).collect::<BTreeSet<_>>().into_iter().collect()
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

/// What is known of the keys of a batch: gathered from the database, then added to by every call that
/// is accepted.
#[derive(Default)]
struct Facts {
    /// The conversions on record that have a key of the batch, then those that the batch adds.
    conversions: Vec<Conversion>,
    /// How many of them are on record.
    on_record: usize,
    /// The place of a key's conversion.
    by_unique_id: HashMap<(OfferId, EventId, String), usize>,
    /// A click's first conversion of an event.
    on_click: HashMap<(ClickId, EventId), ConversionId>,
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

    fn same_unique_id(&self, submission: &Submission) -> Option<usize> {
        unique_key(submission).and_then(|key| self.by_unique_id.get(&key)).copied()
    }

    fn prior(&self, submission: &Submission) -> Prior {
        let same = self.same_unique_id(submission).map(|place| &self.conversions[place]);
        Prior {
            same_unique_id: same.map(first),
            on_click: click_key(submission).and_then(|key| self.on_click.get(&key)).copied(),
            ..Prior::default()
        }
    }

    fn judge(&mut self, submission: &Submission) -> Judged {
        let Submission { call, click, terms } = submission;
        match judge(call, click.as_ref(), terms, &self.prior(submission)) {
            Verdict::New(accepted) => Judged::New(self.add(submission, &accepted)),
            Verdict::Same { conflict, .. } => {
                let first = self.same_unique_id(submission).expect("judged to repeat it");
                Judged::Same { first, conflict }
            }
            Verdict::Refused(refusal) => Judged::Refused(refusal),
        }
    }

    fn add(&mut self, submission: &Submission, accepted: &Accepted) -> usize {
        let place = self.conversions.len();
        let id = ConversionId(ADDED + place as u64);
        if let Some(key) = unique_key(submission) {
            self.by_unique_id.insert(key, place);
        }
        if let Some(key) = click_key(submission) {
            self.on_click.entry(key).or_insert(id);
        }
        self.conversions.push(new_conversion(id, submission, accepted));
        place
    }

    /// Writes what was added. Each gets its number, in their order.
    fn insert_added(&mut self, session: &mut dyn Session) -> Result<(), LedgerError> {
        let added = &mut self.conversions[self.on_record..];
        let rows: Vec<_> = added.iter().map(conversion_row).collect();
        let inserted = session.query_all(INSERT_CONVERSION, &rows)?;
        let number = |records: Vec<Record>| {
            let record = records.first().expect("an insert returns its row");
            record.of("conversions").get("conversion_id")
        };
        let numbers: Vec<ConversionId> = inserted.into_iter().map(number).collect::<Result<_, _>>()?;
        for (conversion, number) in added.iter_mut().zip(numbers) {
            conversion.id = number;
        }
        Ok(())
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

/// What finds the first conversion of the same transaction: nothing where the call names none, or can
/// become none.
fn unique_key(submission: &Submission) -> Option<(OfferId, EventId, String)> {
    let Submission { call, click, terms } = submission;
    (click.is_some() && terms.network.offer(call.offer_id).is_some() && !call.unique_id.is_empty())
        .then_some(())?;
    Some((call.offer_id, call.event_id?, storable(&call.unique_id).into_owned()))
}

/// What finds the first conversion of the same click.
fn click_key(submission: &Submission) -> Option<(ClickId, EventId)> {
    submission.terms.network.offer(submission.call.offer_id)?;
    submission.click.as_ref().map(|it| it.id).zip(submission.call.event_id)
}

fn first(conversion: &Conversion) -> First {
    let Price { payout, revenue, amount, .. } = conversion.price;
    First { id: conversion.id, click_id: conversion.click_id, payout, revenue, amount }
}

fn new_conversion(id: ConversionId, submission: &Submission, accepted: &Accepted) -> Conversion {
    let Submission { call, click, terms } = submission;
    let click = click.as_ref().expect("judged new only with its click");
    let new = Conversion::new(call, click, terms, accepted).expect("judged new only with offer and event");
    let kept = |text: &String| storable(text).into_owned();
    Conversion {
        id,
        unique_id: kept(&new.unique_id),
        order_id: kept(&new.order_id),
        adv: new.adv.each_ref().map(kept),
        sub_ids: new.sub_ids.each_ref().map(kept),
        ..new
    }
}

const INSERT_CONVERSION: &str = "-- insert_conversion\n\
    INSERT INTO conversions (offer_id, event_id, advertiser_id, affiliate_id, campaign_id, creative_id, \
    click_id, unique_id, order_id, adv1, adv2, adv3, adv4, adv5, \
    sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5, country, currency, amount, \
    original_payout, payout_scope, original_revenue, revenue_scope, status, payout, revenue, \
    click_date, conversion_date, recorded_at, last_updated, \
    door, batch_id, device, exchange_rate, \
    payout_rule_id, payout_rule_version, revenue_rule_id, revenue_rule_version, \
    cap_id, price_payout, price_revenue, adjustments, approve_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
    ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
    ?23, ?24, ?25, ?26, ?27, ?28, ?29, \
    ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46) \
    RETURNING conversion_id";

fn conversion_row(it: &Conversion) -> Vec<Value<'_>> {
    let [adv1, adv2, adv3, adv4, adv5] = &it.adv;
    let [sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5] = &it.sub_ids;
    let (payout, revenue) = (it.price.payout_source, it.price.revenue_source);
    #[rustfmt::skip]
    let values = values![
        it.offer_id, it.event_id, it.advertiser_id, it.affiliate_id, it.campaign_id, it.creative_id,
        it.click_id, &it.unique_id, &it.order_id, adv1, adv2, adv3, adv4, adv5,
        sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5, it.country.as_str(), it.currency.as_str(), it.price.amount,
        it.price.payout, payout.scope.name(), it.price.revenue, revenue.scope.name(),
        it.standing.status.name(), it.payout(), it.revenue(),
        it.click_id.time(), it.conversion_date, it.recorded_at, it.last_updated,
        it.door.name(), it.batch_id, it.device.name(), it.exchange_rate,
        payout.rule.map(|it| it.0), payout.rule.map(|it| it.1), revenue.rule.map(|it| it.0), revenue.rule.map(|it| it.1),
        it.cap_id, it.standing.price.payout, it.standing.price.revenue, it.adjustments, it.approve_at,
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
    let (outcome, conversion_id) = match recorded {
        Recorded::New(conversion) => ("recorded", Some(conversion.id)),
        Recorded::Same { first, conflict: true } => ("repeated_with_conflict", Some(first.id)),
        Recorded::Same { first, conflict: false } => ("repeated", Some(first.id)),
        Recorded::Refused(refusal @ Refusal::DuplicateConversion(first)) => (refusal.code(), Some(*first)),
        Recorded::Refused(refusal) => (refusal.code(), None),
    };
    Attempt {
        offer_id: Some(call.offer_id),
        received_at: call.received_at,
        key_id: call.key_id,
        click_id: call.click_id.clone(),
        unique_id: call.unique_id.clone(),
        outcome: outcome.to_owned(),
        reason: String::new(),
        conversion_id,
        raw: call.raw.clone(),
    }
}
