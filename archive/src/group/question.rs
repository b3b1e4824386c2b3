//! What is asked, ready to be asked of many sources; and the counting of rows that are given as columns.

use std::collections::HashSet;
use std::ops::Range;

use domain::click::Disposition;
use domain::grouping::{Allowed, Column, Groups, Measure, Source, Value, counting};
use domain::ids::{AffiliateId, ClickId, OfferId};
use domain::report::{Attribute, ClickCounts, ClickGroup, ClickGrouping};
use domain::segment::Segment;

use crate::error::ArchiveError;

/// Clicks by what became of them, in the order of [`classes`].
#[derive(Clone, Copy, Default)]
pub(super) struct Tally([u64; 4]);

impl Measure for Tally {
    fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own += other);
    }
}

impl From<Tally> for ClickCounts {
    fn from(Tally([accepted, duplicate, bot, refused]): Tally) -> Self {
        Self { accepted, duplicate, bot, refused }
    }
}

/// Where in a tally clicks of these dispositions count.
fn classes(dispositions: &[Value]) -> Vec<usize> {
    let class = |value: &Value| {
        let Value::Text(name) = value else { return 0 };
        let mut one = ClickCounts::default();
        one.add(name.parse().unwrap_or(Disposition::Accepted), 1);
        [one.accepted, one.duplicate, one.bot, one.refused].iter().position(|it| *it > 0).unwrap_or_default()
    };
    dispositions.iter().map(class).collect()
}

/// Which periods a range of ids lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In none.
    Outside,
    /// Wholly in this one.
    Within(usize),
    /// In several, or partly in none.
    Cut,
}

/// A grouping, with everything looked up that is the same for all sources.
pub(super) struct Question<'q> {
    /// The attributes whose columns are needed, each once.
    pub attributes: Vec<Attribute>,
    /// Of each period the lowest id, and the first id behind it.
    pub periods: Vec<(ClickId, ClickId)>,
    /// Where the attributes grouped by stand among `attributes`.
    dimensions: Vec<usize>,
    /// Where the filters' attributes stand there, and which values are wanted.
    filters: Vec<(usize, HashSet<&'q Value>)>,
    /// Where the disposition stands there.
    disposition: usize,
    groups_max: usize,
}

impl<'q> Question<'q> {
    pub fn new(grouping: &'q ClickGrouping) -> Self {
        let mut attributes = Vec::new();
        let mut place = |attribute: Attribute| {
            attributes.iter().position(|it| *it == attribute).unwrap_or_else(|| {
                attributes.push(attribute);
                attributes.len() - 1
            })
        };
        let dimensions = grouping.attributes.iter().map(|it| place(*it)).collect();
        let filters = grouping.filters.iter().map(|it| (place(it.attribute), it.values.iter().collect()));
        let filters = filters.collect();
        let disposition = place(Attribute::Disposition);
        let bounds = |from, until| (ClickId::first_at(from), ClickId::first_at(until));
        let periods = grouping.periods.iter().map(|it| bounds(it.from, it.until)).collect();
        let groups_max = grouping.groups_max;
        Self { attributes, periods, dimensions, filters, disposition, groups_max }
    }

    /// The ids of all periods: the lowest, and the first behind them.
    pub fn range(&self) -> Option<(ClickId, ClickId)> {
        Some((self.periods.first()?.0, self.periods.last()?.1))
    }

    /// The periods that ids from `first` to `last` lie in.
    pub fn periods_of(&self, first: ClickId, last: ClickId) -> Range<usize> {
        let start = self.periods.partition_point(|(_, before)| *before <= first);
        let end = self.periods.partition_point(|(from, _)| *from <= last);
        start..end.max(start)
    }

    /// How ids from `first` to `last` lie to the periods.
    pub fn place(&self, first: ClickId, last: ClickId) -> Place {
        let Range { start, end } = self.periods_of(first, last);
        match self.periods[start..end] {
            [] => Place::Outside,
            [(from, before)] if from <= first && last < before => Place::Within(start),
            _ => Place::Cut,
        }
    }

    /// Whether the catalogue leaves it possible that wanted clicks are in the segment.
    pub fn may_match(&self, segment: &Segment) -> bool {
        self.filters.iter().all(|(at, values)| {
            let mut ids =
                values.iter().filter_map(|it| if let Value::Id(id) = it { Some(*id) } else { None });
            match self.attributes[*at] {
                Attribute::Offer => ids.any(|id| segment.rows_of_offer(OfferId(id)) > 0),
                Attribute::Affiliate => ids.any(|id| segment.rows_of_affiliate(AffiliateId(id)) > 0),
                _ => true,
            }
        })
    }
}

/// The groups as they were asked for.
pub(super) fn answer(groups: Vec<(Vec<Value>, Tally)>) -> Vec<ClickGroup> {
    let group = |(mut values, tally): (Vec<Value>, Tally)| {
        let period = if let Value::Id(place) = values.remove(0) { place as usize } else { 0 };
        ClickGroup { period, values, counts: tally.into() }
    };
    groups.into_iter().map(group).collect()
}

/// When the rows of a table were.
#[derive(Clone, Copy)]
pub(super) enum When<'t> {
    /// All in this period.
    In(usize),
    /// Each by the period of its value in this column, where it is in one.
    By(&'t Column, &'t [Option<usize>]),
}

/// How many clicks a row of a table stands for.
#[derive(Clone, Copy)]
pub(super) enum Weight<'t> {
    One,
    /// By this column of numbers.
    By(&'t Column),
}

/// Counts what a thread comes across.
pub(super) struct Counting<'q> {
    pub question: &'q Question<'q>,
    /// By the period, then by what is grouped by.
    pub groups: Groups<Tally>,
}

impl<'q> Counting<'q> {
    pub fn new(question: &'q Question<'q>) -> Self {
        Self { question, groups: Groups::new(question.dimensions.len() + 1, question.groups_max) }
    }

    /// Counts the rows of a table that are wanted; it has a column for each of the question's attributes.
    pub fn add(
        &mut self,
        when: When<'_>,
        columns: &[&Column],
        weight: Weight<'_>,
    ) -> Result<(), ArchiveError> {
        let disposition = columns[self.question.disposition];
        let rows = disposition.codes.len();
        let Some(wanted) = Wanted::new(self.question, when, columns) else { return Ok(()) };
        let allowed = wanted.allowed();
        let counts = counting(rows, &allowed);
        if counts.as_ref().is_some_and(|counts| !counts.contains(&true)) {
            return Ok(());
        }
        let dimensions = self.question.dimensions.iter().map(|at| columns[*at]);
        let mut codes = vec![self.period_codes(when)];
        for (dimension, column) in (1..).zip(dimensions.clone()) {
            codes.push(self.groups.codes_of(dimension, column, counts.as_deref()));
        }
        let period = match when {
            When::In(_) => Source::Fixed(codes[0][0]),
            When::By(column, _) => Source::By(&column.codes, &codes[0]),
        };
        let others = dimensions.zip(&codes[1..]).map(|(column, to)| Source::By(&column.codes, to));
        let sources: Vec<Source<'_>> = std::iter::once(period).chain(others).collect();
        let classes = classes(&disposition.values);
        let class = |row| classes[disposition.codes.get(row)] & 3;
        match weight {
            Weight::One => self.groups.add(0..rows, &sources, &allowed, |it, row| it.0[class(row)] += 1)?,
            Weight::By(column) => {
                let weights = numbers(column);
                let weight = |row| weights[column.codes.get(row)];
                self.groups.add(0..rows, &sources, &allowed, |it, row| it.0[class(row)] += weight(row))?;
            }
        }
        Ok(())
    }

    fn period_codes(&mut self, when: When<'_>) -> Vec<u32> {
        let number = |place: usize| Value::Id(u32::try_from(place).expect("few periods"));
        match when {
            When::In(place) => vec![self.groups.code(0, &number(place))],
            When::By(_, places) => {
                let places = places.iter();
                places.map(|it| it.map_or(0, |place| self.groups.code(0, &number(place)))).collect()
            }
        }
    }
}

/// Which rows of a table are wanted: of some columns, which values are.
struct Wanted<'t>(Vec<(&'t Column, Vec<bool>)>);

impl<'t> Wanted<'t> {
    /// None where no row is.
    fn new(question: &Question<'_>, when: When<'t>, columns: &[&'t Column]) -> Option<Self> {
        let mut wanted = Vec::new();
        for (at, values) in &question.filters {
            let column = columns[*at];
            wanted.push((column, column.values.iter().map(|it| values.contains(it)).collect::<Vec<_>>()));
        }
        if let When::By(column, places) = when {
            wanted.push((column, places.iter().map(Option::is_some).collect()));
        }
        // What every row fulfils need not be looked at in each.
        wanted.retain(|(_, is_allowed)| is_allowed.contains(&false));
        let is_possible = wanted.iter().all(|(_, is_allowed)| is_allowed.contains(&true));
        is_possible.then_some(Self(wanted))
    }

    fn allowed(&self) -> Vec<Allowed<'_>> {
        self.0.iter().map(|(column, is_allowed)| Allowed { codes: &column.codes, is_allowed }).collect()
    }
}

/// The values of a column of numbers.
fn numbers(column: &Column) -> Vec<u64> {
    let number = |value: &Value| if let Value::Id(number) = value { u64::from(*number) } else { 0 };
    column.values.iter().map(number).collect()
}
