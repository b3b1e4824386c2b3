//! Grouping rows that are kept column by column: one value of a [`Measure`] for each combination of
//! values there is. Columns are codes into the values they have, and a group is found by its codes: in an
//! array where there are few, in a hash map where there are many. What is grouped: `report`.

use std::collections::HashMap;
use std::ops::{BitOrAssign, Range, Shl};

use rustc_hash::FxHashMap;
use thiserror::Error;

/// Rows looked at in one go: their keys fit the fastest cache.
const CHUNK_ROWS: usize = 2048;
/// Up to so many bits of codes, groups are found in an array: of a million places, 4 MB.
const DENSE_BITS: u32 = 20;
/// Bytes of all texts that groups have: long ones are written by strangers.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// What rows are grouped by, in one attribute.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Value {
    /// The number of a thing; 0 for none.
    Id(u32),
    /// A text; empty for none.
    Text(Box<str>),
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// What is known of a group of rows.
pub trait Measure: Clone + Default {
    /// Whether no row has been added.
    fn is_empty(&self) -> bool;

    /// Adds what is known of other rows.
    fn merge(&mut self, other: &Self);
}

/// A code for each row: which of a column's values it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Codes {
    /// Of at most 256 values.
    Narrow(Vec<u8>),
    /// Of at most 65,536.
    Wide(Vec<u16>),
    /// Of any number.
    Full(Vec<u32>),
}

impl Codes {
    /// The codes, as narrow as `values` of them allow.
    pub fn new(codes: Vec<u32>, values: usize) -> Self {
        const FEW: &str = "a code is below the number of values";
        match values {
            0..=0x100 => Self::Narrow(codes.into_iter().map(|it| u8::try_from(it).expect(FEW)).collect()),
            0x101..=0x1_0000 => {
                Self::Wide(codes.into_iter().map(|it| u16::try_from(it).expect(FEW)).collect())
            }
            _ => Self::Full(codes),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(codes) => codes.len(),
            Self::Wide(codes) => codes.len(),
            Self::Full(codes) => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of a row.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn get(&self, row: usize) -> usize {
        match self {
            Self::Narrow(codes) => codes[row].into(),
            Self::Wide(codes) => codes[row].into(),
            Self::Full(codes) => codes[row] as usize,
        }
    }

    /// The memory it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Narrow(codes) => codes.len(),
            Self::Wide(codes) => codes.len() * 2,
            Self::Full(codes) => codes.len() * 4,
        }
    }

    /// Whether all codes are below `values`.
    pub fn are_below(&self, values: usize) -> bool {
        match self {
            Self::Narrow(codes) => codes.iter().max().is_none_or(|it| usize::from(*it) < values),
            Self::Wide(codes) => codes.iter().max().is_none_or(|it| usize::from(*it) < values),
            Self::Full(codes) => codes.iter().max().is_none_or(|it| (*it as usize) < values),
        }
    }

    /// Hands each code of `rows` to `take`, with its place among them.
    pub fn each(&self, rows: Range<usize>, mut take: impl FnMut(usize, usize)) {
        match self {
            Self::Narrow(codes) => codes[rows].iter().enumerate().for_each(|(at, it)| take(at, (*it).into())),
            Self::Wide(codes) => codes[rows].iter().enumerate().for_each(|(at, it)| take(at, (*it).into())),
            Self::Full(codes) => codes[rows].iter().enumerate().for_each(|(at, it)| take(at, *it as usize)),
        }
    }
}

/// One attribute of all rows of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// The values there are, each once.
    pub values: Vec<Value>,
    /// Which of them each row has.
    pub codes: Codes,
}

impl Column {
    /// A column of which so many rows all have this value.
    pub fn of_one(value: Value, rows: usize) -> Self {
        Self { values: vec![value], codes: Codes::Narrow(vec![0; rows]) }
    }

    /// The memory it takes, about.
    pub fn bytes(&self) -> usize {
        let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        self.codes.bytes() + self.values.iter().map(|it| size_of::<Value>() + text(it)).sum::<usize>()
    }

    /// The column with what `to` makes of each value in its place.
    #[must_use]
    pub fn map(&self, to: impl Fn(&Value) -> Value) -> Self {
        let mut dictionary = Dictionary::default();
        let map: Vec<u32> = self.values.iter().map(|value| dictionary.code(&to(value))).collect();
        let mut codes = vec![0; self.codes.len()];
        self.codes.each(0..codes.len(), |at, code| codes[at] = map[code]);
        let codes = Codes::new(codes, dictionary.values.len());
        Self { values: dictionary.values, codes }
    }
}

/// A column being made, row by row.
#[derive(Debug, Default)]
pub struct ColumnBuilder {
    dictionary: Dictionary,
    codes: Vec<u32>,
}

impl ColumnBuilder {
    /// Adds a row.
    pub fn push(&mut self, value: &Value) {
        self.codes.push(self.dictionary.code(value));
    }

    /// Adds a row with the number of a thing.
    pub fn push_id(&mut self, id: u32) {
        self.codes.push(self.dictionary.id(id));
    }

    /// Adds a row with a text. Quick where it is the text of the row before.
    pub fn push_text(&mut self, text: &str) {
        let code = match self.codes.last() {
            Some(last) if self.dictionary.is_text(*last, text) => *last,
            _ => self.dictionary.text(text),
        };
        self.codes.push(code);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The column.
    pub fn build(self) -> Column {
        let codes = Codes::new(self.codes, self.dictionary.values.len());
        Column { values: self.dictionary.values, codes }
    }
}

/// The values of a dimension, numbered as they come.
#[derive(Clone, Debug, Default)]
struct Dictionary {
    values: Vec<Value>,
    ids: FxHashMap<u32, u32>,
    /// Hashed with a secret, as texts may be anybody's.
    texts: HashMap<Box<str>, u32>,
    text_bytes: usize,
}

impl Dictionary {
    fn code(&mut self, value: &Value) -> u32 {
        match value {
            Value::Id(id) => self.id(*id),
            Value::Text(text) => self.text(text),
        }
    }

    fn id(&mut self, id: u32) -> u32 {
        if let Some(code) = self.ids.get(&id) {
            return *code;
        }
        let code = self.add(Value::Id(id));
        self.ids.insert(id, code);
        code
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(code) = self.texts.get(text) {
            return *code;
        }
        let code = self.add(Value::text(text));
        self.texts.insert(text.into(), code);
        self.text_bytes += text.len();
        code
    }

    fn add(&mut self, value: Value) -> u32 {
        let code = u32::try_from(self.values.len()).expect("fewer than there are rows");
        self.values.push(value);
        code
    }

    fn is_text(&self, code: u32, text: &str) -> bool {
        matches!(&self.values[code as usize], Value::Text(it) if **it == *text)
    }

    /// Bits that hold every code.
    fn bits(&self) -> u32 {
        self.values.len().max(1).next_power_of_two().trailing_zeros()
    }
}

/// Where a dimension's code of a row comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// All rows have this one.
    Fixed(u32),
    /// Each row's own code leads to it.
    By(&'a Codes, &'a [u32]),
}

/// Which rows count: those whose code is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// The rows' codes.
    pub codes: &'a Codes,
    /// For each code whether it is.
    pub is_allowed: &'a [bool],
}

/// For each of `rows` rows whether it counts; none where all do.
pub fn counting(rows: usize, allowed: &[Allowed<'_>]) -> Option<Vec<bool>> {
    let mut counts = (!allowed.is_empty()).then(|| vec![true; rows])?;
    for Allowed { codes, is_allowed } in allowed {
        codes.each(0..rows, |row, code| counts[row] &= is_allowed[code]);
    }
    Some(counts)
}

/// There would be more groups than allowed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("more than {max} groups")]
pub struct TooManyGroups {
    /// How many there may be.
    pub max: usize,
}

/// Groups by some dimensions, and what is known of each. Codes are asked for only where rows have them.
#[derive(Clone, Debug)]
pub struct Groups<M> {
    dimensions: Vec<Dictionary>,
    /// How many bits of a key each dimension has, the first the lowest.
    bits: Vec<u32>,
    cells: Cells<M>,
    max: usize,
}

/// The groups there are, and where each is found. They lie close together, however far apart their keys.
#[derive(Clone, Debug)]
struct Cells<M> {
    places: Places,
    keys: Vec<u128>,
    measures: Vec<M>,
}

/// Where the group of a key is, counted from one; zero where there is none.
#[derive(Clone, Debug)]
enum Places {
    Dense(Vec<u32>),
    Sparse(FxHashMap<u128, u32>),
}

/// What codes are put together in.
trait Key: Copy + Default + From<u32> + Into<u128> + BitOrAssign + Shl<u32, Output = Self> {}

impl Key for u32 {}
impl Key for u128 {}

impl<M: Measure> Groups<M> {
    /// No groups yet, of so many dimensions. There may be `max` of them, and somewhat more on the way.
    pub fn new(dimensions: usize, max: usize) -> Self {
        Self {
            dimensions: vec![Dictionary::default(); dimensions],
            bits: vec![0; dimensions],
            cells: Cells::new(0),
            max,
        }
    }

    /// The code of a value in a dimension.
    pub fn code(&mut self, dimension: usize, value: &Value) -> u32 {
        self.dimensions[dimension].code(value)
    }

    /// The code of each of the values.
    pub fn codes(&mut self, dimension: usize, values: &[Value]) -> Vec<u32> {
        values.iter().map(|value| self.code(dimension, value)).collect()
    }

    /// The codes of a column's values, as far as rows that count have them; where all count, of all. Each row
    /// of `counts` says whether it does.
    pub fn codes_of(&mut self, dimension: usize, column: &Column, counts: Option<&[bool]>) -> Vec<u32> {
        let Some(counts) = counts else { return self.codes(dimension, &column.values) };
        let mut is_used = vec![false; column.values.len()];
        column.codes.each(0..counts.len(), |row, code| is_used[code] |= counts[row]);
        let used = column.values.iter().zip(is_used);
        used.map(|(value, is_used)| if is_used { self.code(dimension, value) } else { 0 }).collect()
    }

    /// Adds `rows` rows: `sources` say each dimension's code, `allowed` which rows count, `add` adds one
    /// to its group.
    pub fn add(
        &mut self,
        rows: Range<usize>,
        sources: &[Source<'_>],
        allowed: &[Allowed<'_>],
        mut add: impl FnMut(&mut M, usize),
    ) -> Result<(), TooManyGroups> {
        self.fit()?;
        let Self { bits, cells: Cells { places, keys, measures }, max, .. } = self;
        match places {
            Places::Dense(places) => each_key::<u32>(rows, bits, sources, allowed, |key, row| {
                add(measure_at(&mut places[key as usize], key, keys, measures, *max)?, row);
                Ok(())
            }),
            Places::Sparse(places) => each_key::<u128>(rows, bits, sources, allowed, |key, row| {
                add(measure_at(places.entry(key).or_default(), key, keys, measures, *max)?, row);
                Ok(())
            }),
        }
    }

    /// The group of these codes, one a dimension.
    pub fn group(&mut self, codes: &[u32]) -> Result<&mut M, TooManyGroups> {
        self.fit()?;
        let key = joined(codes.iter().copied(), &self.bits);
        self.cells.measure(key, self.max)
    }

    /// Adds the groups of others by the same dimensions.
    pub fn merge(&mut self, other: Self) -> Result<(), TooManyGroups> {
        let dimensions = other.dimensions.iter().enumerate();
        let to: Vec<Vec<u32>> = dimensions.map(|(at, it)| self.codes(at, &it.values)).collect();
        let mut codes = vec![0; to.len()];
        for (key, measure) in other.cells.into_filled() {
            for (at, (code, to)) in codes.iter_mut().zip(&to).enumerate() {
                *code = to[code_in(key, &other.bits, at)];
            }
            self.group(&codes)?.merge(&measure);
        }
        Ok(())
    }

    /// The groups that have rows, in no promised order.
    pub fn finish(self) -> Result<Vec<(Vec<Value>, M)>, TooManyGroups> {
        let Self { dimensions, bits, cells, max } = self;
        let values = |key: u128| -> Vec<Value> {
            let code =
                |(at, dimension): (usize, &Dictionary)| dimension.values[code_in(key, &bits, at)].clone();
            dimensions.iter().enumerate().map(code).collect()
        };
        let groups = cells.into_filled();
        if groups.len() > max {
            return Err(TooManyGroups { max });
        }
        Ok(groups.into_iter().map(|(key, measure)| (values(key), measure)).collect())
    }

    /// The groups that have rows, as a table: a column a dimension. The same rows, added in the same order,
    /// are the same table.
    pub fn table(self) -> Result<(Vec<Column>, Vec<M>), TooManyGroups> {
        let Self { dimensions, bits, cells, max } = self;
        let mut groups = cells.into_filled();
        if groups.len() > max {
            return Err(TooManyGroups { max });
        }
        groups.sort_unstable_by_key(|(key, _)| *key);
        let column = |(at, dimension): (usize, Dictionary)| {
            let code = |key| u32::try_from(code_in(key, &bits, at)).expect("codes are that small");
            let codes = groups.iter().map(|(key, _)| code(*key)).collect();
            Column { codes: Codes::new(codes, dimension.values.len()), values: dimension.values }
        };
        let columns = dimensions.into_iter().enumerate().map(column).collect();
        Ok((columns, groups.into_iter().map(|(_, measure)| measure).collect()))
    }

    /// Makes room in the keys for all codes there are.
    fn fit(&mut self) -> Result<(), TooManyGroups> {
        let fits = self.dimensions.iter().zip(&self.bits).all(|(it, bits)| it.bits() <= *bits);
        if fits {
            return Ok(());
        }
        let max = self.max;
        let text_bytes: usize = self.dimensions.iter().map(|it| it.text_bytes).sum();
        if text_bytes > TEXT_BYTES_MAX || self.dimensions.iter().any(|it| it.values.len() > max) {
            return Err(TooManyGroups { max });
        }
        let bits: Vec<u32> =
            self.dimensions.iter().zip(&self.bits).map(|(it, old)| it.bits().max(*old)).collect();
        let total: u32 = bits.iter().sum();
        if total > u128::BITS {
            return Err(TooManyGroups { max });
        }
        let old = std::mem::replace(&mut self.bits, bits);
        let before = std::mem::replace(&mut self.cells, Cells::new(0)).into_filled();
        let code = |key, at| u32::try_from(code_in(key, &old, at)).expect("codes are that small");
        let before = before
            .into_iter()
            .map(|(key, measure)| (joined((0..old.len()).map(|at| code(key, at)), &self.bits), measure));
        let mut cells = Cells::new(total);
        for (key, measure) in before {
            *cells.measure(key, max)? = measure;
        }
        self.cells = cells;
        Ok(())
    }
}

impl<M: Measure> Cells<M> {
    /// None yet, of keys of so many bits.
    fn new(bits: u32) -> Self {
        let places = match bits {
            0..=DENSE_BITS => Places::Dense(vec![0; 1 << bits]),
            _ => Places::Sparse(FxHashMap::default()),
        };
        Self { places, keys: Vec::new(), measures: Vec::new() }
    }

    /// What is known of the group of a key.
    fn measure(&mut self, key: u128, max: usize) -> Result<&mut M, TooManyGroups> {
        let place = match &mut self.places {
            Places::Dense(places) => &mut places[usize::try_from(key).expect("few bits")],
            Places::Sparse(places) => places.entry(key).or_default(),
        };
        measure_at(place, key, &mut self.keys, &mut self.measures, max)
    }

    /// Those that have rows.
    fn into_filled(self) -> Vec<(u128, M)> {
        self.keys.into_iter().zip(self.measures).filter(|(_, it)| !it.is_empty()).collect()
    }
}

/// What is known of the group at `place`, which becomes a new one where there is none.
#[inline]
fn measure_at<'m, M: Measure>(
    place: &mut u32,
    key: impl Into<u128>,
    keys: &mut Vec<u128>,
    measures: &'m mut Vec<M>,
    max: usize,
) -> Result<&'m mut M, TooManyGroups> {
    if *place == 0 {
        let count = u32::try_from(measures.len() + 1).ok().filter(|_| measures.len() < max);
        *place = count.ok_or(TooManyGroups { max })?;
        keys.push(key.into());
        measures.push(M::default());
    }
    Ok(&mut measures[*place as usize - 1])
}

/// Hands each row that counts to `take`, with its key.
fn each_key<K: Key>(
    rows: Range<usize>,
    bits: &[u32],
    sources: &[Source<'_>],
    allowed: &[Allowed<'_>],
    mut take: impl FnMut(K, usize) -> Result<(), TooManyGroups>,
) -> Result<(), TooManyGroups> {
    let (mut keys, mut counts) = (Vec::with_capacity(CHUNK_ROWS), Vec::with_capacity(CHUNK_ROWS));
    for start in rows.clone().step_by(CHUNK_ROWS) {
        let chunk = start..rows.end.min(start + CHUNK_ROWS);
        put_keys(&chunk, bits, sources, &mut keys);
        if allowed.is_empty() {
            keys.iter().zip(chunk).try_for_each(|(key, row)| take(*key, row))?;
            continue;
        }
        counts.clear();
        counts.resize(chunk.len(), true);
        for Allowed { codes, is_allowed } in allowed {
            codes.each(chunk.clone(), |at, code| counts[at] &= is_allowed[code]);
        }
        let counted = keys.iter().zip(chunk).zip(&counts).filter(|(_, counts)| **counts);
        counted.map(|(it, _)| it).try_for_each(|(key, row)| take(*key, row))?;
    }
    Ok(())
}

/// The keys of `rows`.
fn put_keys<K: Key>(rows: &Range<usize>, bits: &[u32], sources: &[Source<'_>], keys: &mut Vec<K>) {
    keys.clear();
    keys.resize(rows.len(), K::default());
    let mut shift = 0;
    // A dimension of no bits has but one value; and one of the last ones may begin behind the key's end.
    for (source, bits) in sources.iter().zip(bits).filter(|(_, bits)| **bits > 0) {
        match source {
            Source::Fixed(code) => {
                let part = K::from(*code) << shift;
                for key in keys.iter_mut() {
                    *key |= part;
                }
            }
            Source::By(codes, to) => {
                codes.each(rows.clone(), |at, code| keys[at] |= K::from(to[code]) << shift);
            }
        }
        shift += bits;
    }
}

/// The key of these codes.
fn joined(codes: impl Iterator<Item = u32>, bits: &[u32]) -> u128 {
    let (mut key, mut shift) = (0, 0);
    for (code, bits) in codes.zip(bits).filter(|(_, bits)| **bits > 0) {
        key |= u128::from(code) << shift;
        shift += bits;
    }
    key
}

/// The code that a dimension has in a key.
fn code_in(key: u128, bits: &[u32], at: usize) -> usize {
    let shift: u32 = bits[..at].iter().sum();
    let code = key.checked_shr(shift).unwrap_or(0) & ((1 << bits[at]) - 1);
    usize::try_from(code).expect("a code fits 32 bits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default, PartialEq, Debug)]
    struct Rows(u64);

    impl Measure for Rows {
        fn is_empty(&self) -> bool {
            self.0 == 0
        }

        fn merge(&mut self, other: &Self) {
            self.0 += other.0;
        }
    }

    /// Each part is a table; a row has two values.
    fn grouped(
        parts: &[Vec<(u32, u32)>],
        allowed: u32,
        max: usize,
    ) -> Result<BTreeMap<(u32, u32), u64>, TooManyGroups> {
        let mut groups = Groups::<Rows>::new(2, max);
        for part in parts {
            let [mut first, mut second] = [ColumnBuilder::default(), ColumnBuilder::default()];
            for (a, b) in part {
                first.push(&Value::Id(*a));
                second.push(&Value::Id(*b));
            }
            let (first, second) = (first.build(), second.build());
            let (to_first, to_second) = (groups.codes(0, &first.values), groups.codes(1, &second.values));
            let is_allowed: Vec<bool> = first.values.iter().map(|it| *it != Value::Id(allowed)).collect();
            let sources = [Source::By(&first.codes, &to_first), Source::By(&second.codes, &to_second)];
            let allowed = [Allowed { codes: &first.codes, is_allowed: &is_allowed }];
            groups.add(0..part.len(), &sources, &allowed, |it, _| it.0 += 1)?;
        }
        let id = |value: &Value| if let Value::Id(id) = value { *id } else { unreachable!("only ids") };
        Ok(groups.finish()?.into_iter().map(|(it, rows)| ((id(&it[0]), id(&it[1])), rows.0)).collect())
    }

    proptest! {
        #[test]
        fn groups_are_what_counting_one_by_one_finds(
            parts in proptest::collection::vec(proptest::collection::vec((0_u32..3000, 0_u32..3000), 0..500), 0..8),
        ) {
            let mut expected = BTreeMap::new();
            for pair in parts.iter().flatten().filter(|(a, _)| *a != 7) {
                *expected.entry(*pair).or_default() += 1;
            }
            prop_assert_eq!(grouped(&parts, 7, 100_000), Ok(expected));
        }

        #[test]
        fn groups_merged_or_made_a_table_are_those_of_all_rows(
            parts in proptest::collection::vec(proptest::collection::vec((0_u32..3000, 0_u32..3000), 0..500), 1..8),
        ) {
            let mut merged = Groups::<Rows>::new(2, 100_000);
            for part in &parts {
                let mut groups = Groups::<Rows>::new(2, 100_000);
                for (a, b) in part {
                    let codes = [groups.code(0, &Value::Id(*a)), groups.code(1, &Value::Id(*b))];
                    groups.group(&codes).expect("few").merge(&Rows(1));
                }
                merged.merge(groups).expect("few");
            }
            let (columns, rows) = merged.table().expect("few");
            let id = |at: usize, row| match columns[at].values[columns[at].codes.get(row)] {
                Value::Id(id) => id,
                Value::Text(_) => unreachable!("only ids"),
            };
            let found = rows.iter().enumerate().map(|(row, rows)| ((id(0, row), id(1, row)), rows.0));
            let found: BTreeMap<(u32, u32), u64> = found.collect();
            prop_assert_eq!(rows.len(), found.len());
            prop_assert_eq!(Ok(found), grouped(&parts, u32::MAX, 100_000));
        }

        #[test]
        fn a_column_has_the_values_that_were_pushed(texts in proptest::collection::vec("[a-c]{0,2}", 0..700)) {
            let [mut values, mut pushed] = [ColumnBuilder::default(), ColumnBuilder::default()];
            for text in &texts {
                values.push(&Value::text(text));
                pushed.push_text(text);
            }
            let (values, pushed) = (values.build(), pushed.build());
            prop_assert_eq!(&values, &pushed);
            let of = |column: &Column| -> Vec<Value> {
                (0..column.codes.len()).map(|row| column.values[column.codes.get(row)].clone()).collect()
            };
            prop_assert_eq!(of(&pushed), texts.iter().map(|it| Value::text(it)).collect::<Vec<_>>());
            // Fewer values than before, each once.
            let first = |text: &str| Value::text(text.get(..1).unwrap_or_default());
            let cut = pushed.map(|it| if let Value::Text(it) = it { first(it) } else { it.clone() });
            prop_assert_eq!(of(&cut), texts.iter().map(|it| first(it)).collect::<Vec<_>>());
            prop_assert!(cut.values.len() <= 4);
        }
    }

    #[test]
    fn more_dimensions_than_a_machine_word_has_room_for_are_grouped_all_the_same() {
        let mut groups = Groups::<Rows>::new(12, 1000);
        for row in 0..1000_u32 {
            let values = (1..=12).map(|at| Value::Id(row.wrapping_mul(at))).enumerate();
            let codes: Vec<u32> = values.map(|(at, value)| groups.code(at, &value)).collect();
            groups.group(&codes).expect("a thousand").merge(&Rows(u64::from(row) + 1));
        }
        let (columns, rows) = groups.table().expect("a thousand");
        assert_eq!(rows.iter().map(|it| it.0).sum::<u64>(), 500_500);
        let ids = |row: usize| columns.iter().map(move |it| it.values[it.codes.get(row)].clone());
        for (row, number) in rows.iter().enumerate() {
            let number = u32::try_from(number.0 - 1).expect("small");
            let expected = (0..12_u32).map(|at| Value::Id(number.wrapping_mul(at + 1)));
            assert!(ids(row).eq(expected), "{number}");
        }
    }

    #[test]
    fn texts_that_take_too_much_memory_are_too_many_groups() {
        let mut groups = Groups::<Rows>::new(1, usize::MAX);
        let text = "x".repeat(1 << 20);
        let mut add = |number: usize| {
            let code = groups.code(0, &Value::text(&format!("{number}{text}")));
            groups.group(&[code]).map(|_| ())
        };
        assert!((0..64).all(|number| add(number).is_ok()));
        assert!((64..129).any(|number| add(number).is_err()));
    }

    #[test]
    fn few_groups_and_many_are_found_alike() {
        // Beyond a million possible groups the array gives way to a map.
        for values in [1, 2, 40, 1000, 5000] {
            let rows: Vec<(u32, u32)> = (0..20_000).map(|row| (row % values, row % values)).collect();
            let found = grouped(&[rows], u32::MAX, 100_000).expect("few enough");
            assert_eq!(found.len(), values as usize);
            assert_eq!(found.values().sum::<u64>(), 20_000);
        }
    }

    #[test]
    fn too_many_groups_are_an_error_and_not_memory() {
        for values in [100, 5000] {
            let rows: Vec<(u32, u32)> = (0..values).map(|row| (row, row)).collect();
            assert_eq!(grouped(std::slice::from_ref(&rows), u32::MAX, 99), Err(TooManyGroups { max: 99 }));
            assert!(grouped(&[rows], u32::MAX, values as usize).is_ok());
        }
    }

    #[test]
    fn a_group_is_the_same_found_by_its_codes() {
        let mut groups = Groups::<Rows>::new(2, 10);
        for (first, second, rows) in [("a", 1, 5), ("b", 2, 7), ("a", 1, 1), ("", 300, 2)] {
            let codes = [groups.code(0, &Value::text(first)), groups.code(1, &Value::Id(second))];
            groups.group(&codes).expect("few").merge(&Rows(rows));
        }
        let mut found: Vec<_> =
            groups.finish().expect("few").into_iter().map(|(it, rows)| (it, rows.0)).collect();
        found.sort();
        let expected = [("", 300, 2), ("a", 1, 6), ("b", 2, 7)];
        assert_eq!(found, expected.map(|(text, id, rows)| (vec![Value::text(text), Value::Id(id)], rows)));
    }

    #[test]
    fn no_dimension_is_one_group() {
        let mut groups = Groups::<Rows>::new(0, 1);
        groups.add(0..10, &[], &[], |it, _| it.0 += 1).expect("one");
        assert_eq!(groups.finish(), Ok(vec![(Vec::new(), Rows(10))]));
        assert_eq!(Groups::<Rows>::new(0, 1).finish(), Ok(Vec::new()));
    }
}
