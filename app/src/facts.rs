//! Conversions as reports read them: an hour of one clock's conversions is a block of columns, kept in memory
//! as far as there is room. A report first hears which conversions have changed and lets their hours go,
//! then reads from the ledger what is not there, a day at a time. So a report of a month reads the ledger
//! once, and every report equals it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::grouping::{Allowed, Column, ColumnBuilder, Groups, Source, TooManyGroups, Value, counting};
use domain::ids::ChangeId;
use domain::money::{Amount, Currency};
use domain::report::{Attribute, Clock, ConversionCounts, Fact, Filter, Period, period_of};
use domain::status::ConversionStatus;
use jiff::Timestamp;
use ledger::{Ledger, LedgerError};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use thiserror::Error;

const HOUR_MICROS: i64 = 3_600_000_000;
/// Hours read from the ledger in one go: bounds how long it holds on to one moment.
const HOURS_READ_MAX: i64 = 24;
/// Beyond so many changes it is quicker to forget everything.
const CHANGES_MAX: u32 = 100_000;
/// About as many hours as a year has, of two clocks.
const BLOCKS: usize = 20_000;

/// Which conversions, grouped by what.
#[derive(Clone, Debug)]
pub(crate) struct FactGrouping {
    pub clock: Clock,
    /// In order and without gaps.
    pub periods: Vec<Period>,
    pub attributes: Vec<Attribute>,
    /// All must admit a conversion.
    pub filters: Vec<Filter>,
    /// More groups are an error.
    pub groups_max: usize,
}

/// A group of conversions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FactGroup {
    /// The place of its period.
    pub period: usize,
    pub values: Vec<Value>,
    pub currency: Currency,
    pub counts: ConversionCounts,
}

#[derive(Debug, Error)]
pub(crate) enum FactsError {
    #[error(transparent)]
    TooManyGroups(#[from] TooManyGroups),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The hours kept.
pub(crate) struct Facts {
    kept: Mutex<Kept>,
}

struct Kept {
    blocks: Cache<Key, Arc<Block>, Weight>,
    /// The last change they know of; none before the first report.
    position: Option<ChangeId>,
    /// How often visitors' data had been erased.
    erasures: u64,
}

impl Kept {
    /// What they are up to date with.
    fn known(&self) -> (Option<ChangeId>, u64) {
        (self.position, self.erasures)
    }
}

/// The hour, in microseconds, by that clock.
type Key = (Clock, i64);

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Block>> for Weight {
    fn weight(&self, _: &Key, block: &Arc<Block>) -> u64 {
        block.bytes
    }
}

impl Facts {
    /// Room for so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        let blocks = Cache::with_weighter(BLOCKS, bytes_max, Weight);
        Self { kept: Mutex::new(Kept { blocks, position: None, erasures: 0 }) }
    }

    /// Groups conversions. Blocks. Memory is bounded by the room there is, the groups, and what one hour
    /// takes.
    pub fn group(&self, ledger: &dyn Ledger, grouping: &FactGrouping) -> Result<Vec<FactGroup>, FactsError> {
        let (Some(first), Some(last)) = (grouping.periods.first(), grouping.periods.last()) else {
            return Ok(Vec::new());
        };
        self.catch_up(ledger)?;
        let mut groups = Groups::new(grouping.attributes.len() + 2, grouping.groups_max);
        let mut add = |hour, block: &Block| block.add_to(&mut groups, grouping, hour);
        let mut hour = hour_of(first.from);
        let end = hour_of(last.until).saturating_add(HOUR_MICROS);
        while hour < end {
            if let Some(block) = self.get((grouping.clock, hour)) {
                add(hour, &block)?;
                hour += HOUR_MICROS;
                continue;
            }
            let mut until = hour + HOUR_MICROS;
            while until < end.min(hour + HOURS_READ_MAX * HOUR_MICROS)
                && self.get((grouping.clock, until)).is_none()
            {
                until += HOUR_MICROS;
            }
            self.read(ledger, grouping.clock, hour, until, &mut add)?;
            hour = until;
        }
        Ok(groups.finish()?.into_iter().map(group).collect())
    }

    /// Lets go of the hours whose conversions have changed.
    fn catch_up(&self, ledger: &dyn Ledger) -> Result<(), LedgerError> {
        let mut kept = self.lock();
        let changed = match kept.position {
            Some(position) => ledger.changed_since(position, CHANGES_MAX)?,
            None => ledger.changed_since(ChangeId(0), 0)?,
        };
        let erased = std::mem::replace(&mut kept.erasures, changed.erasures) != changed.erasures;
        match changed.times.filter(|_| !erased) {
            None => kept.blocks.clear(),
            Some(times) => {
                for (click, conversion, approval) in times {
                    let by_clock = [
                        (Clock::Click, Some(click)),
                        (Clock::Conversion, Some(conversion)),
                        (Clock::Approval, approval),
                    ];
                    for (clock, at) in by_clock {
                        if let Some(at) = at {
                            kept.blocks.remove(&(clock, hour_of(at)));
                        }
                    }
                }
            }
        }
        kept.position = Some(changed.last);
        Ok(())
    }

    fn get(&self, key: Key) -> Option<Arc<Block>> {
        self.lock().blocks.get(&key).map(Arc::clone)
    }

    /// Reads the hours of `from..until` and hands each that has conversions to `add`, in order.
    fn read(
        &self,
        ledger: &dyn Ledger,
        clock: Clock,
        from: i64,
        until: i64,
        add: &mut dyn FnMut(i64, &Block) -> Result<(), TooManyGroups>,
    ) -> Result<(), FactsError> {
        let known = self.lock().known();
        let mut hour = from;
        let mut builder = BlockBuilder::default();
        let mut failed = None;
        let mut close = |hour: i64, builder: &mut BlockBuilder| {
            let block = Arc::new(std::mem::take(builder).build());
            let added = if block.rows() > 0 { add(hour, &block) } else { Ok(()) };
            failed = failed.take().or(added.err());
            let mut kept = self.lock();
            // Where others have heard of changes meanwhile, this may be from before them.
            if kept.known() == known {
                kept.blocks.insert((clock, hour), block);
            }
        };
        ledger.each_fact(clock, moment(from), moment(until), &mut |fact| {
            let Some(at) = fact.at(clock).map(hour_of) else { return };
            while hour < at {
                close(hour, &mut builder);
                hour += HOUR_MICROS;
            }
            builder.push(&fact, clock);
        })?;
        while hour < until {
            close(hour, &mut builder);
            hour += HOUR_MICROS;
        }
        failed.map_or(Ok(()), |failed| Err(failed.into()))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whatever a panic left behind: a block is whole or not there.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hour_of(at: Timestamp) -> i64 {
    let micros = at.as_microsecond();
    micros - micros.rem_euclid(HOUR_MICROS)
}

fn moment(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

/// A group of the period, the currency, then the attributes.
fn group((mut values, counts): (Vec<Value>, ConversionCounts)) -> FactGroup {
    let rest = values.split_off(2);
    let period = match values.first() {
        Some(Value::Id(place)) => *place as usize,
        _ => 0,
    };
    let currency = match values.last() {
        Some(Value::Text(code)) => code.parse().unwrap_or(Currency::USD),
        _ => Currency::USD,
    };
    FactGroup { period, values: rest, currency, counts }
}

/// The conversions of an hour, column by column.
struct Block {
    /// One for each of [`Attribute::ALL`], in that order.
    attributes: Vec<Column>,
    currency: Column,
    /// What the codes of the status column stand for.
    statuses: Vec<ConversionStatus>,
    /// When, by the clock, in microseconds.
    at: Box<[i64]>,
    payout: Box<[Amount]>,
    revenue: Box<[Amount]>,
    /// How long after its click each happened.
    seconds: Box<[i64]>,
    bytes: u64,
}

#[derive(Default)]
struct BlockBuilder {
    attributes: [ColumnBuilder; Attribute::ALL.len()],
    currency: ColumnBuilder,
    at: Vec<i64>,
    payout: Vec<Amount>,
    revenue: Vec<Amount>,
    seconds: Vec<i64>,
}

impl BlockBuilder {
    fn push(&mut self, fact: &Fact, clock: Clock) {
        for (column, attribute) in self.attributes.iter_mut().zip(Attribute::ALL) {
            column.push(&fact.value(attribute));
        }
        self.currency.push(&Value::text(fact.currency.as_str()));
        self.at.push(fact.at(clock).unwrap_or(fact.conversion_date).as_microsecond());
        self.payout.push(fact.payout);
        self.revenue.push(fact.revenue);
        self.seconds.push(fact.conversion_date.duration_since(fact.click_date).as_secs());
    }

    fn build(self) -> Block {
        /// Of a row, beside its codes.
        const ROW_BYTES: usize = 32;
        let attributes: Vec<Column> = self.attributes.into_iter().map(ColumnBuilder::build).collect();
        let currency = self.currency.build();
        let status = |value: &Value| match value {
            Value::Text(name) => name.parse().unwrap_or(ConversionStatus::Ignored),
            Value::Id(_) => ConversionStatus::Ignored,
        };
        let statuses = attributes[place(Attribute::Status)].values.iter().map(status).collect();
        let columns: usize = attributes.iter().chain([&currency]).map(Column::bytes).sum();
        let bytes =
            size_of::<Block>() + attributes.len() * size_of::<Column>() + columns + self.at.len() * ROW_BYTES;
        Block {
            attributes,
            currency,
            statuses,
            at: self.at.into(),
            payout: self.payout.into(),
            revenue: self.revenue.into(),
            seconds: self.seconds.into(),
            bytes: bytes as u64,
        }
    }
}

/// Where an attribute stands among all of them.
fn place(attribute: Attribute) -> usize {
    Attribute::ALL.iter().position(|it| *it == attribute).expect("all of them are there")
}

impl Block {
    fn rows(&self) -> usize {
        self.at.len()
    }

    fn add_to(
        &self,
        groups: &mut Groups<ConversionCounts>,
        grouping: &FactGrouping,
        hour: i64,
    ) -> Result<(), TooManyGroups> {
        let column = |attribute| &self.attributes[place(attribute)];
        let periods = self.periods(&grouping.periods, hour);
        let admitted: Vec<Vec<bool>> = grouping
            .filters
            .iter()
            .map(|it| column(it.attribute).values.iter().map(|value| it.admits(value)).collect())
            .collect();
        let filters = grouping.filters.iter().zip(&admitted);
        let mut allowed: Vec<Allowed<'_>> = filters
            .map(|(it, is_allowed)| Allowed { codes: &column(it.attribute).codes, is_allowed })
            .collect();
        if let Periods::Several { column, is_inside } = &periods {
            allowed.push(Allowed { codes: &column.codes, is_allowed: is_inside });
        }
        let counts = counting(self.rows(), &allowed);
        let counts = counts.as_deref();
        if counts.is_some_and(|counts| !counts.contains(&true)) {
            return Ok(());
        }
        let mut to: Vec<Vec<u32>> = Vec::new();
        let mut columns: Vec<&Column> = vec![&self.currency];
        columns.extend(grouping.attributes.iter().map(|it| column(*it)));
        for (dimension, column) in (1..).zip(&columns) {
            to.push(groups.codes_of(dimension, column, counts));
        }
        let to_period = match &periods {
            Periods::One(place) => vec![groups.code(0, &Value::Id(*place))],
            Periods::Several { column, .. } => groups.codes_of(0, column, counts),
        };
        let mut sources = vec![match &periods {
            Periods::One(_) => Source::Fixed(to_period[0]),
            Periods::Several { column, .. } => Source::By(&column.codes, &to_period),
        }];
        sources.extend(columns.iter().zip(&to).map(|(it, to)| Source::By(&it.codes, to)));
        let status = &column(Attribute::Status).codes;
        groups.add(0..self.rows(), &sources, &allowed, |counts, row| {
            let status = self.statuses[status.get(row)];
            counts.add(status, self.payout[row], self.revenue[row], self.seconds[row]);
        })
    }

    /// The periods that the block's conversions lie in.
    fn periods(&self, periods: &[Period], hour: i64) -> Periods {
        let (from, until) = (moment(hour), moment(hour + HOUR_MICROS));
        let id = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        if let Some(place) = period_of(periods, from)
            && until <= periods[place].until
        {
            return Periods::One(id(place));
        }
        let mut column = ColumnBuilder::default();
        for at in &self.at {
            column.push_id(period_of(periods, moment(*at)).map_or(u32::MAX, id));
        }
        let column = column.build();
        let is_inside = column.values.iter().map(|it| *it != Value::Id(u32::MAX)).collect();
        Periods::Several { column, is_inside }
    }
}

/// Which period each conversion of a block lies in.
enum Periods {
    One(u32),
    /// The place of each row's, and for each of these whether it is one at all.
    Several {
        column: Column,
        is_inside: Vec<bool>,
    },
}
