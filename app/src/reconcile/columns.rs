//! The columns of an advertiser's file: which field each stands for, by its name in any dialect or as it is
//! mapped.

use csv::ByteRecord;
use domain::conversion_request::BadParameter;
use domain::dialect::CallField;

use crate::import_columns::{COLUMNS_MAX, shown};

/// What a problem with the header is told by.
const HEADER: &str = "header";

/// What a column says of its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// Our number of the conversion.
    ConversionId,
    /// The advertiser's transaction id.
    UniqueId,
    /// That, or the click: trackers do not agree.
    TransactionId,
    /// The advertiser's order reference.
    OrderId,
    /// The click.
    ClickId,
    /// When it happened.
    Date,
    /// What they owe.
    Amount,
    /// What they say the affiliate gets.
    Payout,
    /// How it stands.
    Status,
    /// The currency of the amounts.
    Currency,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ConversionId,
        Self::UniqueId,
        Self::TransactionId,
        Self::OrderId,
        Self::ClickId,
        Self::Date,
        Self::Amount,
        Self::Payout,
        Self::Status,
        Self::Currency,
    ];
    const KEYS: [Self; 5] =
        [Self::ConversionId, Self::UniqueId, Self::TransactionId, Self::OrderId, Self::ClickId];

    /// What it is called in a map.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConversionId => "conversion_id",
            Self::UniqueId => "unique_id",
            Self::TransactionId => "transaction_id",
            Self::OrderId => "order_id",
            Self::ClickId => "click_id",
            Self::Date => "conversion_date",
            Self::Amount => "amount",
            Self::Payout => "payout",
            Self::Status => "status",
            Self::Currency => "currency",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let name = plain(name);
        let also = match &*name {
            "date" => Some(Self::Date),
            "revenue" => Some(Self::Amount),
            _ => None,
        };
        also.or_else(|| Self::ALL.into_iter().find(|it| it.name() == name))
    }

    /// The names of its columns, the strongest first: ours, those of calls, those of files.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let of_calls = match self {
            Self::UniqueId => CallField::UniqueId.names(),
            Self::OrderId => CallField::OrderId.names(),
            Self::ClickId => CallField::ClickId.names(),
            Self::Payout => CallField::Payout.names(),
            Self::Status => CallField::Status.names(),
            _ => &[],
        };
        let of_files: &[_] = match self {
            Self::ConversionId => &["conversion_id", "conversionid", "event_conversion_id"],
            Self::UniqueId => &["uniqueid", "transaction", "invoice_id", "invoice", "reference"],
            Self::TransactionId => &["transaction_id", "transactionid"],
            Self::OrderId => &["orderid", "order", "order_number", "order_no", "order_reference"],
            Self::ClickId => &["click", "reqid", "request_session_id", "clickref", "click_ref"],
            Self::Date => &[
                "conversion_date",
                "date",
                "event_conversion_date",
                "transaction_date",
                "order_date",
                "sale_date",
                "created",
                "created_at",
                "datetime",
                "timestamp",
            ],
            Self::Amount => &[
                "revenue",
                "amount",
                "received",
                "p",
                "commission",
                "sale_amount",
                "order_value",
                "order_amount",
                "total",
                "value",
            ],
            Self::Payout => &[],
            Self::Status => &["conversion_status", "state"],
            Self::Currency => &["currency", "currency_code", "eccu"],
        };
        of_calls.iter().chain(of_files).copied()
    }
}

/// What columns stand for, whatever their names say; none: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ColumnMap(Vec<(String, Option<Field>)>);

impl ColumnMap {
    /// What a map says of a column that is to be left out.
    const IGNORED: &'static str = "ignored";

    /// Reads `theirs:ours`, several with a comma or a line between them.
    pub fn read(text: &str) -> Result<Self, BadParameter> {
        let between = if text.contains('\n') { '\n' } else { ',' };
        let item = |item: &str| {
            let bad = |problem: String| BadParameter::invalid("map", problem);
            let (theirs, ours) = item.rsplit_once(':').ok_or_else(|| {
                bad(format!("{item}: use their column and ours, such as their_ref:unique_id"))
            })?;
            if plain(ours) == Self::IGNORED {
                return Ok((plain(theirs), None));
            }
            let known = || {
                let names: Vec<_> = Field::ALL.iter().map(|it| it.name()).collect();
                bad(format!("{ours} is no column of ours: use {} or {}", names.join(", "), Self::IGNORED))
            };
            Ok((plain(theirs), Some(Field::of_name(ours).ok_or_else(known)?)))
        };
        let items = text.split(between).filter(|it| !it.trim().is_empty());
        items.map(item).collect::<Result<_, _>>().map(Self)
    }

    fn find(&self, name: &str) -> Option<Option<Field>> {
        self.0.iter().find(|it| it.0 == name).map(|it| it.1)
    }

    /// Whether a column's name is known.
    pub(crate) fn knows(&self, name: &[u8]) -> bool {
        let name = plain(&String::from_utf8_lossy(name));
        self.find(&name).is_some() || Field::ALL.into_iter().any(|it| it.names().any(|known| known == name))
    }
}

/// A name without what people write in different ways.
fn plain(name: &str) -> String {
    name.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-', '.'], "_")
}

/// What the first record of a file says about all others.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// Where each field stands, in the order of [`Field::ALL`].
    places: [Option<usize>; Field::ALL.len()],
    /// The columns, as they are headed.
    labels: Vec<String>,
}

impl Columns {
    /// Reads a file's first record; an error says what was found and what is understood.
    pub(crate) fn read(record: &ByteRecord, map: &ColumnMap) -> Result<Self, BadParameter> {
        let bad = |problem: String| BadParameter::invalid(HEADER, problem);
        if record.len() > COLUMNS_MAX {
            return Err(bad(format!("at most {COLUMNS_MAX} columns")));
        }
        let labels: Vec<_> = record.iter().map(shown).collect();
        let names: Vec<_> = record.iter().map(|it| plain(&String::from_utf8_lossy(it))).collect();
        if let Some((theirs, _)) = map.0.iter().find(|it| !names.contains(&it.0)) {
            let found = labels.join(", ");
            return Err(BadParameter::invalid(
                "map",
                format!("the file has no column {theirs}; it has {found}"),
            ));
        }
        let mut places = [None; Field::ALL.len()];
        for (field, place) in Field::ALL.into_iter().zip(&mut places) {
            let mapped = |name: &String| map.find(name) == Some(Some(field));
            let is_named = |known: &str, name: &String| name == known && map.find(name).is_none();
            let mut ways: Vec<Vec<usize>> = vec![places_of(&names, mapped)];
            ways.extend(field.names().map(|known| places_of(&names, |name| is_named(known, name))));
            let Some(found) = ways.into_iter().find(|it| !it.is_empty()) else { continue };
            if let [first, second, ..] = found[..] {
                let (first, second) = (&labels[first], &labels[second]);
                return Err(bad(format!("{first} and {second} are both {}; say which by map", field.name())));
            }
            *place = found.first().copied();
        }
        let columns = Self { places, labels };
        columns.check()?;
        Ok(columns)
    }

    fn check(&self) -> Result<(), BadParameter> {
        let has_key = Field::KEYS.into_iter().any(|it| self.place(it).is_some());
        if has_key && self.place(Field::Amount).is_some() {
            return Ok(());
        }
        let missing = if has_key { "amounts" } else { "a column that tells which conversion a row is about" };
        let found = self.labels.join(", ");
        Err(BadParameter::invalid(
            HEADER,
            format!(
                "it lacks {missing}. Found: {found}. Understood are conversion_id, unique_id, transaction_id, order_id \
                 or click_id, amount or revenue, and conversion_date or date, payout, status, currency; others by map"
            ),
        ))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Where a field stands.
    pub(crate) fn place(&self, field: Field) -> Option<usize> {
        self.places[field as usize]
    }

    /// How the column of a field is headed.
    pub(crate) fn label(&self, field: Field) -> &str {
        self.place(field).map_or(field.name(), |place| &self.labels[place])
    }

    /// Which columns were read as what, and which were not.
    pub(crate) fn remark(&self) -> String {
        let read = Field::ALL.into_iter().filter(|it| self.place(*it).is_some());
        let read = read.map(|it| {
            let label = self.label(it);
            if plain(label) == it.name() { label.to_owned() } else { format!("{label} (as {})", it.name()) }
        });
        let read = read.collect::<Vec<_>>().join(", ");
        let left = self.labels.iter().enumerate().filter(|(place, _)| !self.places.contains(&Some(*place)));
        let left = left.map(|it| it.1.as_str()).collect::<Vec<_>>().join(", ");
        let left = if left.is_empty() { left } else { format!("; not read: {left}") };
        format!("columns read: {read}{left}")
    }
}

fn places_of(names: &[String], is_wanted: impl Fn(&String) -> bool) -> Vec<usize> {
    names.iter().enumerate().filter(|(_, name)| is_wanted(name)).map(|it| it.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, map: &str) -> Result<String, String> {
        let record = ByteRecord::from(header.split(',').collect::<Vec<_>>());
        let columns = ColumnMap::read(map).and_then(|map| Columns::read(&record, &map));
        columns.map(|it| it.remark()).map_err(|bad| bad.message())
    }

    #[test]
    fn columns_are_known_by_their_names_in_every_dialect() {
        let check = |header: &str, map: &str, expected: &str| {
            assert_eq!(read(header, map), Ok(format!("columns read: {expected}")), "{header}");
        };
        check("unique_id,amount", "", "unique_id, amount");
        check("Amount, Order ID ,Name", "", "Order ID, Amount; not read: Name");
        check("txid,revenue,date", "", "txid (as unique_id), date (as conversion_date), revenue (as amount)");
        check("t,amount,revenue", "", "t (as unique_id), revenue (as amount); not read: amount");
        check("transaction_id,subid,p", "", "transaction_id, subid (as click_id), p (as amount)");
        check("Ref,Owed", "ref:unique_id,owed:amount", "Ref (as unique_id), Owed (as amount)");
        check("t,amount,status", "status:ignored", "t (as unique_id), amount; not read: status");
        check("a:b,amount", "a:b:order_id", "a:b (as order_id), amount");
        check("a,b,amount", "b:unique_id\namount:revenue", "b (as unique_id), amount; not read: a");
    }

    #[test]
    fn a_header_that_cannot_be_used_says_what_was_found_and_what_is_understood() {
        let check = |header: &str, map: &str, parameter: &str, says: &str| {
            let refused = read(header, map).expect_err(header);
            assert!(refused.starts_with(parameter) && refused.contains(says), "{header}: {refused}");
        };
        check("name,colour", "", "header", "Found: name, colour. Understood are conversion_id");
        check("unique_id,name", "", "header", "it lacks amounts");
        check("amount,unique_id,Unique ID", "", "header", "unique_id and Unique ID are both unique_id");
        check(
            "amount,unique_id",
            "ref:unique_id",
            "map",
            "the file has no column ref; it has amount, unique_id",
        );
        check("amount,ref", "ref:colour", "map", "colour is no column of ours");
        check("amount,ref", "ref", "map", "use their column and ours");
        check(&format!("unique_id,amount{}", ",x".repeat(255)), "", "header", "at most 256");
    }
}
