//! The columns of a segment, one line each: how a value is taken from a record, how it is put back
//! into a click, and how it is stored.

use std::sync::Arc;

use domain::click::{Click, Country};
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, OfferId};
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::record::Record;

use super::PAGE_ROWS;

/// Bytes of values after which a page ends early: bounds what one look-up decompresses where
/// strings are long. 512 usual user agents are 60 KiB.
const PAGE_BYTES: usize = 128 * 1024;
/// Bytes of distinct values after which a column goes on without its dictionary. Every look-up
/// reads the dictionary whole, so it must stay as small as a page.
const DICTIONARY_BYTES: usize = 16 * 1024;

/// Where the columns that are read by themselves stand.
pub(super) const CLICK_ID: usize = 0;
pub(super) const CLICK_DATE: usize = 1;
pub(super) const OFFER_ID: usize = 2;
pub(super) const AFFILIATE_ID: usize = 4;

pub(super) struct Column {
    pub name: &'static str,
    pub values: Values,
    optional: bool,
    storage: Storage,
}

/// How a column's values are stored, by how they are read and how they repeat.
#[derive(Clone, Copy, PartialEq)]
enum Storage {
    /// As they are: decoding is a copy, for columns that are scanned.
    Copied,
    /// As differences, a byte or two each: for what grows slowly.
    Differences,
    /// As numbers into a dictionary: for the few names there are.
    Names,
    /// With zstd: texts that repeat nearby, or hardly.
    Compressed,
    /// With zstd and a dictionary: texts that repeat all over a file, as far as the dictionary goes.
    CompressedDictionary,
}

/// What a column holds: how to get it from a record, how to set it in a click.
pub(super) enum Values {
    Id,
    /// Part of the id; for other tools.
    Date,
    Number {
        get: fn(&Record<'_>) -> Option<u32>,
        set: fn(&mut Click, u32),
    },
    /// A text of its own.
    Text {
        get: for<'a> fn(&Record<'a>) -> &'a str,
        set: fn(&mut Click, String),
    },
    /// The text form of something else. `set` answers `None` when it is not one.
    Named {
        get: fn(&Record<'_>) -> Option<String>,
        set: fn(&mut Click, &str) -> Option<()>,
    },
}

/// All columns, in the order of the file.
pub(super) const COLUMNS: [Column; 20] = [
    column("click_id", Values::Id, Storage::Copied),
    column("click_date", Values::Date, Storage::Differences),
    number("offer_id", |it| Some(it.first.offer_id), |it, id| it.offer_id = OfferId(id)),
    number("advertiser_id", |it| Some(it.first.advertiser_id), |it, id| it.advertiser_id = AdvertiserId(id)),
    number("affiliate_id", |it| Some(it.first.affiliate_id), |it, id| it.affiliate_id = AffiliateId(id)),
    optional(number(
        "campaign_id",
        |it| it.first.campaign_id,
        |it, id| it.campaign_id = Some(CampaignId(id)),
    )),
    number("creative_id", |it| Some(it.first.creative_id), |it, id| it.creative_id = CreativeId(id)),
    stored(Storage::Names, named("disposition", |it| Some(it.disposition().to_string()), set_disposition)),
    stored(Storage::Names, named("country", |it| Some(it.country().to_string()), set_country)),
    optional(named("ip_address", |it| it.ip_address().map(|ip| ip.to_string()), set_ip_address)),
    stored(
        Storage::CompressedDictionary,
        text("sub_id_1", |it| it.first.sub_ids[0], |it, text| it.sub_ids[0] = text),
    ),
    text("sub_id_2", |it| it.first.sub_ids[1], |it, text| it.sub_ids[1] = text),
    text("sub_id_3", |it| it.first.sub_ids[2], |it, text| it.sub_ids[2] = text),
    text("sub_id_4", |it| it.first.sub_ids[3], |it, text| it.sub_ids[3] = text),
    text("sub_id_5", |it| it.first.sub_ids[4], |it, text| it.sub_ids[4] = text),
    text("user_agent", |it| it.first.user_agent, |it, text| it.user_agent = text),
    text("referrer", |it| it.first.referrer, |it, text| it.referrer = text),
    text("udid", |it| it.first.udid, |it, text| it.udid = text),
    text("extra_query", |it| it.first.extra_query, |it, text| it.extra_query = text),
    stored(
        Storage::CompressedDictionary,
        text("redirect_url", |it| it.first.redirect_url, |it, text| it.redirect_url = text),
    ),
];

const fn column(name: &'static str, values: Values, storage: Storage) -> Column {
    Column { name, values, optional: false, storage }
}

const fn number(name: &'static str, get: fn(&Record<'_>) -> Option<u32>, set: fn(&mut Click, u32)) -> Column {
    column(name, Values::Number { get, set }, Storage::Copied)
}

const fn text(
    name: &'static str,
    get: for<'a> fn(&Record<'a>) -> &'a str,
    set: fn(&mut Click, String),
) -> Column {
    column(name, Values::Text { get, set }, Storage::Compressed)
}

const fn named(
    name: &'static str,
    get: fn(&Record<'_>) -> Option<String>,
    set: fn(&mut Click, &str) -> Option<()>,
) -> Column {
    column(name, Values::Named { get, set }, Storage::Compressed)
}

const fn optional(column: Column) -> Column {
    Column { optional: true, ..column }
}

const fn stored(storage: Storage, column: Column) -> Column {
    Column { storage, ..column }
}

fn set_disposition(click: &mut Click, name: &str) -> Option<()> {
    click.disposition = name.parse().ok()?;
    Some(())
}

fn set_country(click: &mut Click, code: &str) -> Option<()> {
    click.country = if code.is_empty() { Country::UNKNOWN } else { Country::new(code)? };
    Some(())
}

fn set_ip_address(click: &mut Click, address: &str) -> Option<()> {
    click.ip_address = Some(address.parse().ok()?);
    Some(())
}

impl Column {
    fn definition(&self) -> TypePtr {
        let (physical, logical) = match self.values {
            Values::Id => (Physical::FIXED_LEN_BYTE_ARRAY, LogicalType::Uuid),
            Values::Date => (Physical::INT64, LogicalType::timestamp(true, TimeUnit::MILLIS)),
            Values::Number { .. } => (Physical::INT32, LogicalType::integer(32, false)),
            Values::Text { .. } | Values::Named { .. } => (Physical::BYTE_ARRAY, LogicalType::String),
        };
        let repetition = if self.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let definition = Type::primitive_type_builder(self.name, physical)
            .with_length(if physical == Physical::FIXED_LEN_BYTE_ARRAY { 16 } else { -1 })
            .with_logical_type(Some(logical))
            .with_repetition(repetition)
            .build();
        Arc::new(definition.expect("a valid column"))
    }

    fn set_properties(&self, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        let (encoding, dictionary, compression) = match self.storage {
            Storage::Copied => (Encoding::PLAIN, false, Compression::UNCOMPRESSED),
            Storage::Differences => (Encoding::DELTA_BINARY_PACKED, false, Compression::UNCOMPRESSED),
            Storage::Names => (Encoding::PLAIN, true, Compression::UNCOMPRESSED),
            Storage::Compressed => (Encoding::PLAIN, false, Compression::ZSTD(ZstdLevel::default())),
            Storage::CompressedDictionary => (Encoding::PLAIN, true, Compression::ZSTD(ZstdLevel::default())),
        };
        let statistics = match self.values {
            // Page statistics of the id are the index by which clicks are found.
            Values::Id | Values::Date => EnabledStatistics::Page,
            Values::Number { .. } => EnabledStatistics::Chunk,
            Values::Text { .. } | Values::Named { .. } => EnabledStatistics::None,
        };
        let path = ColumnPath::from(self.name);
        properties
            .set_column_encoding(path.clone(), encoding)
            .set_column_dictionary_enabled(path.clone(), dictionary)
            .set_column_compression(path.clone(), compression)
            .set_column_statistics_enabled(path, statistics)
    }
}

/// The Parquet schema.
pub(super) fn schema() -> TypePtr {
    let fields = COLUMNS.iter().map(Column::definition).collect();
    Arc::new(Type::group_type_builder("click").with_fields(fields).build().expect("a valid schema"))
}

/// How the columns are stored.
pub(super) fn properties() -> WriterPropertiesBuilder {
    let by_id = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
    let properties = WriterProperties::builder()
        .set_created_by("crumb".to_owned())
        .set_sorting_columns(Some(vec![by_id]))
        .set_data_page_row_count_limit(PAGE_ROWS)
        // Page limits are looked at between batches only.
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES);
    COLUMNS.iter().fold(properties, |properties, column| column.set_properties(properties))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_read_by_themselves_stand_where_they_are_looked_for() {
        let names = [CLICK_ID, CLICK_DATE, OFFER_ID, AFFILIATE_ID].map(|index| COLUMNS[index].name);
        assert_eq!(names, ["click_id", "click_date", "offer_id", "affiliate_id"]);
    }
}
