//! Which row of theirs is which conversion of ours: by the keys of both, the strongest kind first. Their
//! rows are kept compactly, ours only where a key of theirs names them.

use crate::ids::{ClickId, ConversionId};
use crate::money::Amount;

crate::network::states! {
    /// What a row is recognised by, in the order in which it is tried.
    KeyKind {
        /// Our number of the conversion.
        ConversionId = "conversion_id",
        /// The advertiser's transaction id.
        UniqueId = "unique_id",
        /// The advertiser's order reference.
        OrderId = "order_id",
        /// The click.
        ClickId = "click_id",
    }
}

/// How many rows of one key are looked through for one with the same amount: a key of more is nobody's own.
const SAME_KEY_MAX: usize = 64;
/// No row, or none of ours.
const NONE: u32 = u32::MAX;

/// The keys of a row; a text is empty where it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keys<'k> {
    /// Our number of the conversion.
    pub conversion_id: Option<ConversionId>,
    /// The advertiser's transaction id.
    pub unique_id: &'k str,
    /// The advertiser's order reference.
    pub order_id: &'k str,
    /// The click.
    pub click_id: Option<ClickId>,
}

impl Keys<'_> {
    /// The strongest kind there is; none where it has no key at all.
    pub fn strongest(&self) -> Option<KeyKind> {
        KeyKind::ALL.iter().copied().find(|kind| self.get(*kind) != Key::None)
    }

    fn get(&self, kind: KeyKind) -> Key<'_> {
        match kind {
            KeyKind::ConversionId => self.conversion_id.map_or(Key::None, |id| Key::Number(id.0)),
            KeyKind::UniqueId => text(self.unique_id),
            KeyKind::OrderId => text(self.order_id),
            KeyKind::ClickId => self.click_id.map_or(Key::None, |id| Key::Click(id.to_bytes())),
        }
    }

    /// Whether a number that both have must be chance: they may count conversions too, from 1 on.
    pub fn contradict(&self, other: &Self) -> bool {
        if self.unique_id.is_empty() || other.unique_id.is_empty() {
            self.click_id.zip(other.click_id).is_some_and(|(one, another)| one != another)
        } else {
            self.unique_id != other.unique_id
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'k> {
    None,
    Number(u64),
    Text(&'k str),
    Click([u8; 16]),
}

fn text(text: &str) -> Key<'_> {
    if text.is_empty() { Key::None } else { Key::Text(text) }
}

/// Where a text stands.
#[derive(Clone, Copy)]
struct Span {
    begin: u32,
    end: u32,
}

/// A row of theirs, compactly.
struct Row {
    conversion_id: Option<ConversionId>,
    unique_id: Span,
    order_id: Span,
    click_id: Option<ClickId>,
    amount: Option<Amount>,
}

/// Their rows while they are read.
#[derive(Default)]
pub struct TheirRows {
    rows: Vec<Row>,
    texts: String,
}

impl TheirRows {
    /// Adds the next row. One that cannot be read has no amount.
    pub fn push(&mut self, keys: &Keys<'_>, amount: Option<Amount>) {
        let mut span = |text: &str| {
            let begin = offset(self.texts.len());
            self.texts.push_str(text);
            Span { begin, end: offset(self.texts.len()) }
        };
        let (unique_id, order_id) = (span(keys.unique_id), span(keys.order_id));
        let Keys { conversion_id, click_id, .. } = *keys;
        self.rows.push(Row { conversion_id, unique_id, order_id, click_id, amount });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn keys(&self, row: u32) -> Keys<'_> {
        let row = &self.rows[row as usize];
        let text = |span: Span| &self.texts[span.begin as usize..span.end as usize];
        Keys {
            conversion_id: row.conversion_id,
            unique_id: text(row.unique_id),
            order_id: text(row.order_id),
            click_id: row.click_id,
        }
    }

    /// The rows in a form in which they are found by their keys.
    pub fn index(self) -> TheirIndex {
        let of_kind = |kind: KeyKind| {
            let numbers = 0..offset(self.rows.len());
            let mut found: Vec<_> = numbers.filter(|row| self.keys(*row).get(kind) != Key::None).collect();
            // Of rows with one key those that can be read come first.
            found.sort_unstable_by(|one, other| {
                let order = |row: u32| (self.rows[row as usize].amount.is_none(), row);
                let (keys, others) = (self.keys(*one), self.keys(*other));
                keys.get(kind).cmp(&others.get(kind)).then_with(|| order(*one).cmp(&order(*other)))
            });
            found
        };
        let order = std::array::from_fn(|place| of_kind(KeyKind::ALL[place]));
        TheirIndex { rows: self, order }
    }
}

/// What is read is bounded far below this.
fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}

/// Their rows, found by their keys.
pub struct TheirIndex {
    rows: TheirRows,
    /// For each kind of key the rows that have one, sorted by it. A group is where its first row stands.
    order: [Vec<u32>; KeyKind::ALL.len()],
}

/// A conversion of ours that a key of theirs names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate<T> {
    /// What is known of it.
    pub ours: T,
    /// Whether it is dated in the range.
    pub is_inside: bool,
    amount: Amount,
    groups: [Option<u32>; KeyKind::ALL.len()],
}

impl TheirIndex {
    /// A conversion of ours as a candidate; gives it back where no key of theirs names it.
    pub fn candidate<T>(
        &self,
        keys: &Keys<'_>,
        amount: Amount,
        is_inside: bool,
        ours: T,
    ) -> Result<Candidate<T>, T> {
        let group = |kind: KeyKind| {
            let (wanted, order) = (keys.get(kind), &self.order[kind as usize]);
            if wanted == Key::None {
                return None;
            }
            let first = order.partition_point(|row| self.rows.keys(*row).get(kind) < wanted);
            let found = self.rows.keys(*order.get(first)?);
            let is_chance = kind == KeyKind::ConversionId && found.contradict(keys);
            (found.get(kind) == wanted && !is_chance).then(|| offset(first))
        };
        let groups = std::array::from_fn(|place| group(KeyKind::ALL[place]));
        if groups.iter().all(Option::is_none) {
            return Err(ours);
        }
        Ok(Candidate { ours, is_inside, amount, groups })
    }

    /// The places of a group, from so many after its first on.
    fn group(&self, kind: KeyKind, group: u32, skip: u32) -> impl Iterator<Item = u32> {
        let order = &self.order[kind as usize][group as usize..];
        let first = order[0];
        let is_same = move |row: &u32| self.rows.keys(*row).get(kind) == self.rows.keys(first).get(kind);
        order[skip as usize..].iter().copied().take_while(is_same)
    }

    /// Pairs rows with conversions, each with one at most. Kinds of keys are tried in their order; of
    /// conversions with one key those of the range come first, and of rows those with the same amount.
    pub fn pair<T>(&self, ours: &[Candidate<T>]) -> Pairs {
        let mut pairs = Pairs {
            ours_of: vec![NONE; self.rows.len()],
            first_of: Vec::new(),
            is_paired: vec![false; ours.len()],
        };
        for kind in KeyKind::ALL.iter().copied() {
            // How many rows of each group are known to be taken.
            let mut taken = vec![0; self.order[kind as usize].len()];
            for (is_inside, is_same_amount) in [(true, true), (true, false), (false, true), (false, false)] {
                for (place, candidate) in ours.iter().enumerate() {
                    let group = candidate.groups[kind as usize];
                    let Some(group) = group.filter(|_| candidate.is_inside == is_inside) else { continue };
                    if pairs.is_paired[place] {
                        continue;
                    }
                    let is_free = |row: &u32| pairs.ours_of[*row as usize] == NONE;
                    let row = if is_same_amount {
                        let has_it =
                            |row: &u32| self.rows.rows[*row as usize].amount == Some(candidate.amount);
                        let mut first = self.group(kind, group, 0).take(SAME_KEY_MAX);
                        first.find(|row| is_free(row) && has_it(row))
                    } else {
                        let skip = &mut taken[group as usize];
                        let not_free = self.group(kind, group, *skip).take_while(|row| !is_free(row)).count();
                        *skip += offset(not_free);
                        self.group(kind, group, *skip).next()
                    };
                    if let Some(row) = row {
                        pairs.ours_of[row as usize] = offset(place);
                        pairs.is_paired[place] = true;
                    }
                }
            }
        }
        pairs.first_of = self.firsts(ours, &pairs);
        pairs
    }

    /// For each row without a pair the one that it repeats: an earlier one with the same strongest key, or
    /// the one whose conversion has that key.
    fn firsts<T>(&self, ours: &[Candidate<T>], pairs: &Pairs) -> Vec<u32> {
        let mut owners: [Vec<u32>; KeyKind::ALL.len()] =
            std::array::from_fn(|place| vec![NONE; self.order[place].len()]);
        for (row, place) in (0..).zip(&pairs.ours_of).filter(|(_, place)| **place != NONE) {
            for (owners, group) in owners.iter_mut().zip(&ours[*place as usize].groups) {
                if let Some(group) = group {
                    let owner = &mut owners[*group as usize];
                    *owner = row.min(*owner);
                }
            }
        }
        let mut first_of = vec![NONE; self.rows.len()];
        for (place, kind) in KeyKind::ALL.iter().copied().enumerate() {
            let mut group = 0;
            for (at, row) in self.order[place].iter().copied().enumerate() {
                let keys = self.rows.keys(row);
                if keys.get(kind) != self.rows.keys(self.order[place][group]).get(kind) {
                    group = at;
                }
                if keys.strongest() == Some(kind) && pairs.ours_of[row as usize] == NONE {
                    let earlier = self.order[place][group];
                    first_of[row as usize] = if earlier == row { owners[place][group] } else { earlier };
                }
            }
        }
        first_of
    }
}

/// Which rows and conversions are pairs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pairs {
    ours_of: Vec<u32>,
    first_of: Vec<u32>,
    is_paired: Vec<bool>,
}

impl Pairs {
    /// The place of a row's conversion among the candidates.
    pub fn ours_of(&self, row: usize) -> Option<usize> {
        self.ours_of.get(row).filter(|place| **place != NONE).map(|place| *place as usize)
    }

    /// The row that a row without a conversion repeats.
    pub fn first_of(&self, row: usize) -> Option<usize> {
        self.first_of.get(row).filter(|first| **first != NONE).map(|first| *first as usize)
    }

    /// The places of the candidates that are nobody's.
    pub fn left(&self) -> impl Iterator<Item = usize> {
        self.is_paired.iter().enumerate().filter(|(_, is_paired)| !**is_paired).map(|it| it.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::bridge::{Bridges, Counted, Step};
    use super::super::{OurSide, Place, RowClass, TheirSide, classify, classify_alone};
    use super::*;
    use crate::money::Currency;
    use crate::status::ConversionStatus;

    fn amount(units: i64) -> Amount {
        Amount::from_micros(units * 1_000_000).expect("units")
    }

    fn click(number: u8) -> ClickId {
        ClickId::from_bytes([number; 16])
    }

    fn unique(unique_id: &str) -> Keys<'_> {
        Keys { unique_id, ..Keys::default() }
    }

    fn of_click(number: u8) -> Keys<'static> {
        Keys { click_id: Some(click(number)), ..Keys::default() }
    }

    fn number(number: u64) -> Keys<'static> {
        Keys { conversion_id: Some(ConversionId(number)), ..Keys::default() }
    }

    /// For each row of theirs the place of its conversion, or `"of 3"` where it repeats a row.
    fn pair(theirs: &[(Keys<'_>, i64)], ours: &[(Keys<'_>, i64, bool)]) -> Vec<String> {
        let mut rows = TheirRows::default();
        for (keys, units) in theirs {
            rows.push(keys, Some(amount(*units)));
        }
        let index = rows.index();
        let candidate = |(place, (keys, units, is_inside)): (usize, &(Keys<'_>, i64, bool))| {
            index.candidate(keys, amount(*units), *is_inside, place).ok()
        };
        let candidates: Vec<_> = ours.iter().enumerate().filter_map(candidate).collect();
        let pairs = index.pair(&candidates);
        let told = |row| match (pairs.ours_of(row), pairs.first_of(row)) {
            (Some(place), None) => candidates[place].ours.to_string(),
            (None, Some(first)) => format!("of {first}"),
            (None, None) => "-".to_owned(),
            both => panic!("{both:?}"),
        };
        (0..theirs.len()).map(told).collect()
    }

    #[test]
    fn a_stronger_key_decides_before_a_weaker_one() {
        let both = |unique_id, number| Keys { unique_id, ..of_click(number) };
        let theirs = [(both("B", 1), 5), (of_click(1), 5)];
        assert_eq!(pair(&theirs, &[(both("A", 1), 5, true), (both("B", 1), 5, true)]), ["1", "0"]);
        let order = Keys { order_id: "A", ..Keys::default() };
        assert_eq!(pair(&[(unique("A"), 5), (order, 5)], &[(order, 5, true)]), ["-", "0"]);
    }

    #[test]
    fn rows_of_one_key_go_to_the_conversions_with_their_amounts_and_the_rest_repeats() {
        let lead_and_sale = [(unique("A"), 5, true), (unique("A"), 50, true)];
        assert_eq!(pair(&[(unique("A"), 50), (unique("A"), 5)], &lead_and_sale), ["1", "0"]);
        assert_eq!(pair(&[(unique("A"), 7), (unique("A"), 8)], &lead_and_sale), ["0", "1"]);
        let thrice = [(unique("A"), 50), (unique("A"), 50), (unique("A"), 5)];
        assert_eq!(pair(&thrice, &lead_and_sale), ["1", "of 0", "0"]);
        assert_eq!(pair(&[(unique("X"), 1), (unique("X"), 1)], &lead_and_sale), ["-", "of 0"]);
        assert_eq!(pair(&[(unique("A"), 50), (number(1), 5)], &[(unique("A"), 50, true)]), ["0", "-"]);
    }

    #[test]
    fn a_row_that_names_a_conversion_otherwise_repeats_the_one_that_has_it() {
        let ours = [(Keys { unique_id: "A", ..number(7) }, 5, true)];
        assert_eq!(pair(&[(number(7), 5), (unique("A"), 5)], &ours), ["0", "of 0"]);
        assert_eq!(pair(&[(unique("A"), 5), (number(7), 5)], &ours), ["of 1", "0"]);
        let ours = [(Keys { unique_id: "A", ..of_click(1) }, 5, true)];
        let other = Keys { unique_id: "B", ..of_click(1) };
        assert_eq!(pair(&[(unique("A"), 5), (other, 5)], &ours), ["0", "-"], "another sale of that click");
    }

    #[test]
    fn a_conversion_of_the_range_comes_before_one_beside_it() {
        assert_eq!(pair(&[(of_click(1), 5)], &[(of_click(1), 5, false), (of_click(1), 9, true)]), ["1"]);
        assert_eq!(pair(&[(of_click(1), 5)], &[(of_click(1), 5, false)]), ["0"]);
    }

    #[test]
    fn their_own_numbering_is_not_taken_for_ours() {
        let theirs = Keys { unique_id: "A", ..number(1) };
        let ours = [
            (Keys { unique_id: "Z", ..number(1) }, 5, true),
            (Keys { unique_id: "A", ..number(2) }, 5, true),
        ];
        assert_eq!(pair(&[(theirs, 5)], &ours), ["1"]);
        let theirs = Keys { click_id: Some(click(1)), ..number(1) };
        let ours = [(Keys { click_id: Some(click(2)), ..number(1) }, 5, true)];
        assert_eq!(pair(&[(theirs, 5)], &ours), ["-"]);
    }

    #[test]
    fn a_row_that_cannot_be_read_gives_way_to_one_that_can() {
        let mut rows = TheirRows::default();
        rows.push(&unique("A"), None);
        rows.push(&unique("A"), Some(amount(5)));
        let index = rows.index();
        let candidate = index.candidate(&unique("A"), amount(5), true, ()).expect("named");
        let pairs = index.pair(&[candidate]);
        assert_eq!((pairs.ours_of(0), pairs.ours_of(1)), (None, Some(0)));
        assert_eq!(pairs.left().count(), 0);
    }

    #[test]
    fn many_rows_and_conversions_of_one_key_take_time_in_proportion() {
        const MANY: usize = 100_000;
        let mut rows = TheirRows::default();
        (0..MANY).for_each(|_| rows.push(&of_click(1), Some(amount(1))));
        let index = rows.index();
        let candidate = |_| index.candidate(&of_click(1), amount(2), true, ()).expect("named");
        let pairs = index.pair(&(0..MANY).map(candidate).collect::<Vec<_>>());
        assert!((0..MANY).all(|row| pairs.ours_of(row) == Some(row)));
    }

    type Side = (Option<u64>, String, String, Option<u8>, i64, ConversionStatus, bool);

    fn sides() -> impl Strategy<Value = Vec<Side>> {
        let status = proptest::sample::select(ConversionStatus::ALL.to_vec());
        let side = (
            proptest::option::of(1u64..6),
            "[AB]{0,2}",
            "[XY]?",
            proptest::option::of(1u8..4),
            0i64..3,
            status,
            any::<bool>(),
        );
        proptest::collection::vec(side, 0..12)
    }

    fn keys(side: &Side) -> Keys<'_> {
        let (conversion_id, click_id) = (side.0.map(ConversionId), side.3.map(click));
        Keys { conversion_id, unique_id: &side.1, order_id: &side.2, click_id }
    }

    proptest! {
        #[test]
        fn every_row_of_any_two_sides_is_counted_once_and_the_bridge_adds_up(theirs in sides(), ours in sides()) {
            let mut rows = TheirRows::default();
            for it in &theirs {
                rows.push(&keys(it), Some(amount(it.4)));
            }
            let index = rows.index();
            let (mut candidates, mut alone) = (Vec::new(), Vec::new());
            for it in &ours {
                match index.candidate(&keys(it), amount(it.4), it.6, it) {
                    Ok(candidate) => candidates.push(candidate),
                    Err(it) => alone.push(it),
                }
            }
            let pairs = index.pair(&candidates);
            alone.extend(pairs.left().map(|place| candidates[place].ours));
            let (usd, mut bridges) = (Currency::USD, Bridges::default());
            let (mut classes, mut seen) = (BTreeMap::new(), Vec::new());
            let mut count = |class: RowClass, theirs: Option<&Side>, ours: Option<&Side>| {
                *classes.entry(class.name()).or_insert(0) += 1;
                bridges.count(&Counted {
                    class,
                    is_nearby: false,
                    currency: usd,
                    theirs: theirs.map(|it| (usd, amount(it.4))),
                    ours: ours.filter(|it| it.6).map(|it| (usd, amount(it.4))),
                });
            };
            for (row, it) in theirs.iter().enumerate() {
                let pair = pairs.ours_of(row).map(|place| candidates[place].ours);
                seen.extend(pairs.ours_of(row));
                let class = match (pair, pairs.first_of(row)) {
                    (Some(ours), None) => {
                        let place = if ours.6 { Place::Inside } else { Place::Outside };
                        let ours = OurSide { amount: amount(ours.4), currency: usd, status: ours.5, place };
                        let theirs = TheirSide {
                            amount: amount(it.4),
                            currency: None,
                            status: Some(it.5),
                            place: Place::Inside,
                        };
                        classify(&theirs, &ours, Amount::ZERO)
                    }
                    (None, Some(first)) => {
                        prop_assert!(first != row);
                        RowClass::DuplicateThere
                    }
                    (None, None) => RowClass::MissingHere,
                    both => return Err(TestCaseError::fail(format!("{both:?}"))),
                };
                count(class, Some(it), pair);
            }
            for it in alone.iter().filter(|it| it.6) {
                count(classify_alone(it.5), None, Some(it));
            }
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), all, "no conversion is in two pairs");
            let inside = alone.iter().filter(|it| it.6).count();
            prop_assert_eq!(classes.values().sum::<usize>(), theirs.len() + inside);
            let lines = bridges.lines(usd);
            let end = |step| lines.iter().find(|it| it.step == step).map_or(0, |it| it.amount.micros());
            let total = |sides: &[Side], is_ours: bool| -> i128 {
                sides.iter().filter(|it| it.6 || !is_ours).map(|it| i128::from(amount(it.4).micros())).sum()
            };
            prop_assert_eq!(end(Step::TheirTotal), total(&theirs, false));
            prop_assert_eq!(end(Step::OurTotal), total(&ours, true));
        }
    }
}
