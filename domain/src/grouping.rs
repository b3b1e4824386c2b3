//! Grouping rows that are kept column by column: one value of a [`Measure`] for each combination of
//! values there is. Columns are codes into the values they have, and a group is found by its codes: in an
//! array where there are few, in a hash map where there are many. What is grouped: `report`.

use rustc_hash::FxHashMap;
use thiserror::Error;

/// Rows looked at in one go: their keys fit the fastest cache.
const CHUNK_ROWS: usize = 2048;
/// Up to so many bits of codes, groups are an array: a million of them.
const DENSE_BITS: u32 = 20;

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

    /// Hands each code of `rows` to `take`, with its place among them.
    fn each(&self, rows: std::ops::Range<usize>, mut take: impl FnMut(usize, usize)) {
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
    /// The memory it takes, about.
    pub fn bytes(&self) -> usize {
        let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        self.codes.bytes() + self.values.iter().map(|it| size_of::<Value>() + text(it)).sum::<usize>()
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
    codes: FxHashMap<Value, u32>,
}

impl Dictionary {
    fn code(&mut self, value: &Value) -> u32 {
        if let Some(code) = self.codes.get(value) {
            return *code;
        }
        let code = u32::try_from(self.values.len()).expect("fewer than there are groups");
        self.values.push(value.clone());
        self.codes.insert(value.clone(), code);
        code
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

/// There would be more groups than allowed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("more than {max} groups")]
pub struct TooManyGroups {
    /// How many there may be.
    pub max: usize,
}

/// Groups by some dimensions, and what is known of each.
#[derive(Clone, Debug)]
pub struct Groups<M> {
    dimensions: Vec<Dictionary>,
    /// How many bits of a key each dimension has, the first the lowest.
    bits: Vec<u32>,
    cells: Cells<M>,
    max: usize,
}

#[derive(Clone, Debug)]
enum Cells<M> {
    Dense(Vec<M>),
    Sparse(FxHashMap<u64, M>),
}

impl<M: Measure> Groups<M> {
    /// No groups yet, of so many dimensions. There may be `max` of them, and somewhat more on the way.
    pub fn new(dimensions: usize, max: usize) -> Self {
        Self {
            dimensions: vec![Dictionary::default(); dimensions],
            bits: vec![0; dimensions],
            cells: Cells::Dense(vec![M::default()]),
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

    /// Adds `rows` rows: `sources` say each dimension's code, `allowed` which rows count, `add` adds one
    /// to its group.
    pub fn add(
        &mut self,
        rows: std::ops::Range<usize>,
        sources: &[Source<'_>],
        allowed: &[Allowed<'_>],
        mut add: impl FnMut(&mut M, usize),
    ) -> Result<(), TooManyGroups> {
        self.fit()?;
        let mut keys = Vec::with_capacity(CHUNK_ROWS);
        let mut counts = Vec::with_capacity(CHUNK_ROWS);
        let mut start = rows.start;
        while start < rows.end {
            let chunk = start..rows.end.min(start + CHUNK_ROWS);
            self.keys(&chunk, sources, &mut keys);
            counts.clear();
            counts.resize(chunk.len(), true);
            for Allowed { codes, is_allowed } in allowed {
                codes.each(chunk.clone(), |at, code| counts[at] &= is_allowed[code]);
            }
            let counted = keys.iter().zip(&counts).enumerate().filter(|(_, (_, counts))| **counts);
            match &mut self.cells {
                Cells::Dense(cells) => {
                    for (at, (key, _)) in counted {
                        add(&mut cells[usize::try_from(*key).expect("few bits")], start + at);
                    }
                }
                Cells::Sparse(cells) => {
                    for (at, (key, _)) in counted {
                        add(cells.entry(*key).or_default(), start + at);
                    }
                    if cells.len() > self.max {
                        return Err(TooManyGroups { max: self.max });
                    }
                }
            }
            start = chunk.end;
        }
        Ok(())
    }

    /// The group of these codes, one a dimension.
    pub fn group(&mut self, codes: &[u32]) -> Result<&mut M, TooManyGroups> {
        self.fit()?;
        let max = self.max;
        let mut shift = 0;
        let mut key = 0;
        for (code, bits) in codes.iter().zip(&self.bits) {
            key |= u64::from(*code) << shift;
            shift += bits;
        }
        match &mut self.cells {
            Cells::Dense(cells) => Ok(&mut cells[usize::try_from(key).expect("few bits")]),
            Cells::Sparse(cells) => {
                if cells.len() >= max && !cells.contains_key(&key) {
                    return Err(TooManyGroups { max });
                }
                Ok(cells.entry(key).or_default())
            }
        }
    }

    /// The groups that have rows, in no promised order.
    pub fn finish(self) -> Result<Vec<(Vec<Value>, M)>, TooManyGroups> {
        let Self { dimensions, bits, cells, max } = self;
        let values = |key: u64| -> Vec<Value> {
            let code =
                |(at, dimension): (usize, &Dictionary)| dimension.values[code_in(key, &bits, at)].clone();
            dimensions.iter().enumerate().map(code).collect()
        };
        let groups: Vec<(u64, M)> = match cells {
            Cells::Dense(cells) => (0..).zip(cells).filter(|(_, it)| !it.is_empty()).collect(),
            Cells::Sparse(cells) => cells.into_iter().filter(|(_, it)| !it.is_empty()).collect(),
        };
        if groups.len() > max {
            return Err(TooManyGroups { max });
        }
        Ok(groups.into_iter().map(|(key, measure)| (values(key), measure)).collect())
    }

    /// Makes room in the keys for all codes there are.
    fn fit(&mut self) -> Result<(), TooManyGroups> {
        let fits = self.dimensions.iter().zip(&self.bits).all(|(it, bits)| it.bits() <= *bits);
        if fits {
            return Ok(());
        }
        let bits: Vec<u32> =
            self.dimensions.iter().zip(&self.bits).map(|(it, old)| it.bits().max(*old)).collect();
        let total: u32 = bits.iter().sum();
        if total > u64::BITS {
            return Err(TooManyGroups { max: self.max });
        }
        let old = std::mem::replace(&mut self.bits, bits);
        let moved = |key: u64| {
            let mut shift = 0;
            let mut moved = 0;
            for (at, bits) in self.bits.iter().enumerate() {
                moved |= (code_in(key, &old, at) as u64) << shift;
                shift += bits;
            }
            moved
        };
        let before: Vec<(u64, M)> = match std::mem::replace(&mut self.cells, Cells::Dense(Vec::new())) {
            Cells::Dense(cells) => (0..).zip(cells).filter(|(_, it)| !it.is_empty()).collect(),
            Cells::Sparse(cells) => cells.into_iter().collect(),
        };
        let before = before.into_iter().map(|(key, measure)| (moved(key), measure));
        self.cells = if total <= DENSE_BITS {
            let mut cells = vec![M::default(); 1 << total];
            for (key, measure) in before {
                cells[usize::try_from(key).expect("few bits")] = measure;
            }
            Cells::Dense(cells)
        } else {
            Cells::Sparse(before.collect())
        };
        Ok(())
    }

    /// The keys of `rows`.
    fn keys(&self, rows: &std::ops::Range<usize>, sources: &[Source<'_>], keys: &mut Vec<u64>) {
        keys.clear();
        keys.resize(rows.len(), 0);
        let mut shift = 0;
        for (source, bits) in sources.iter().zip(&self.bits) {
            match source {
                Source::Fixed(code) => keys.iter_mut().for_each(|key| *key |= u64::from(*code) << shift),
                Source::By(codes, to) => {
                    codes.each(rows.clone(), |at, code| keys[at] |= u64::from(to[code]) << shift);
                }
            }
            shift += bits;
        }
    }
}

/// The code that a dimension has in a key.
fn code_in(key: u64, bits: &[u32], at: usize) -> usize {
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
