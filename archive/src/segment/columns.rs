//! The columns of a segment, one line each: how a value is taken from a record, how it is put back
//! into a click, and how it is stored. A later format appends columns, so a column stands in the
//! same place in every format that has it.

use std::io::Write as _;
use std::sync::Arc;

use domain::click::{Click, Country};
use domain::ids::{AdvertiserId, AffiliateId, CampaignId, ClickId, CreativeId, LandingPageId, OfferId};
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
pub(super) const ADVERTISER_ID: usize = 3;
pub(super) const AFFILIATE_ID: usize = 4;
pub(super) const CAMPAIGN_ID: usize = 5;
pub(super) const CREATIVE_ID: usize = 6;
pub(super) const DISPOSITION: usize = 7;
pub(super) const COUNTRY: usize = 8;
pub(super) const SUB_ID_1: usize = 10;
pub(super) const REFERRER: usize = 16;
pub(super) const UDID: usize = 17;
pub(super) const REDIRECT_OFFER_ID: usize = 21;
pub(super) const DEVICE: usize = 26;
pub(super) const OS: usize = 27;
pub(super) const BROWSER: usize = 28;

pub(super) struct Column {
    pub name: &'static str,
    pub values: Values,
    /// The first format that has it.
    since: u32,
    pub blanked: Blanked,
    optional: bool,
    storage: Storage,
}

/// When a column's value is blanked: whether it is the visitor's.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Blanked {
    Never,
    /// When its click is erased, not with age: what a link wrote there may name a visitor, but hardly does.
    WhenErased,
    Always,
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
    /// With LZ4: texts that repeat nearby, or are mostly empty. Reading one costs little.
    Light,
    /// With LZ4 and a dictionary: texts that repeat all over a file, as far as the dictionary goes.
    LightDictionary,
    /// With zstd: long or random texts that most clicks have. A look-up pays some 35 µs for each such
    /// column, most of it for the decoder's tables, so there are few.
    Dense,
}

/// What a column holds: how to get it from a record, how to set it in a click.
pub(super) enum Values {
    Id,
    /// Part of the id; for other tools.
    Date,
    /// The id of another click.
    OtherId {
        get: fn(&Record<'_>) -> Option<ClickId>,
        set: fn(&mut Click, ClickId),
    },
    Number {
        get: fn(&Record<'_>) -> Option<u32>,
        set: fn(&mut Click, u32),
    },
    /// A text of its own.
    Text {
        get: for<'a> fn(&Record<'a>) -> &'a str,
        set: fn(&mut Click, String),
    },
    /// The text form of something else. `add` answers whether there is one, `set` `None` when it is not one.
    Named {
        add: fn(&Record<'_>, &mut Vec<u8>) -> bool,
        set: fn(&mut Click, &str) -> Option<()>,
    },
}

/// The columns of a format, in the order of the file.
pub(super) fn columns(format: u32) -> &'static [Column] {
    &COLUMNS[..COLUMNS.partition_point(|column| column.since <= format)]
}

/// All columns there ever were.
static COLUMNS: [Column; 30] = [
    column("click_id", Values::Id, Storage::Copied),
    column("click_date", Values::Date, Storage::Differences),
    copied(number("offer_id", |it| Some(it.first.offer_id), |it, id| it.offer_id = OfferId(id))),
    number("advertiser_id", |it| Some(it.first.advertiser_id), |it, id| it.advertiser_id = AdvertiserId(id)),
    copied(number(
        "affiliate_id",
        |it| Some(it.first.affiliate_id),
        |it, id| it.affiliate_id = AffiliateId(id),
    )),
    optional(number(
        "campaign_id",
        |it| it.first.campaign_id,
        |it, id| it.campaign_id = Some(CampaignId(id)),
    )),
    number("creative_id", |it| Some(it.first.creative_id), |it, id| it.creative_id = CreativeId(id)),
    names(named("disposition", |it, out| add(out, it.disposition().name()), set_disposition)),
    names(named("country", |it, out| add(out, it.country().as_str()), set_country)),
    visitors(dense(optional(named("ip_address", add_ip_address, set_ip_address)))),
    visitors(stored(
        Storage::LightDictionary,
        text("sub_id_1", |it| it.first.sub_ids[0], |it, text| it.sub_ids[0] = text),
    )),
    // Where affiliates put an id of their own for each click.
    visitors(dense(text("sub_id_2", |it| it.first.sub_ids[1], |it, text| it.sub_ids[1] = text))),
    visitors(text("sub_id_3", |it| it.first.sub_ids[2], |it, text| it.sub_ids[2] = text)),
    visitors(text("sub_id_4", |it| it.first.sub_ids[3], |it, text| it.sub_ids[3] = text)),
    visitors(text("sub_id_5", |it| it.first.sub_ids[4], |it, text| it.sub_ids[4] = text)),
    visitors(dense(text("user_agent", |it| it.first.user_agent, |it, text| it.user_agent = text))),
    visitors(text("referrer", |it| it.first.referrer, |it, text| it.referrer = text)),
    visitors(text("udid", |it| it.first.udid, |it, text| it.udid = text)),
    visitors(text("extra_query", |it| it.first.extra_query, |it, text| it.extra_query = text)),
    Column {
        blanked: Blanked::WhenErased,
        ..stored(
            Storage::LightDictionary,
            text("redirect_url", |it| it.first.redirect_url, |it, text| it.redirect_url = text),
        )
    },
    second(optional(number(
        "landing_page_id",
        |it| it.second.landing_page_id,
        |it, id| it.landing_page_id = Some(LandingPageId(id)),
    ))),
    second(optional(number(
        "redirect_offer_id",
        |it| it.second.redirect_offer_id,
        |it, id| it.redirect_offer_id = Some(OfferId(id)),
    ))),
    second(stored(
        Storage::LightDictionary,
        text("rules_tried", |it| it.second.rules, |it, text| it.rules = text),
    )),
    visitors(second(optional(column("visitor_id", VISITOR_ID, Storage::Copied)))),
    visitors(second(names(text("region", |it| it.second.region, |it, text| it.region = text)))),
    second(optional(number("asn", |it| it.second.asn, |it, asn| it.asn = Some(asn)))),
    second(names(named("device", |it, out| add(out, it.device().name()), set_device))),
    second(names(text("os", |it| it.second.os, |it, text| it.os = text))),
    second(names(text("browser", |it| it.second.browser, |it, text| it.browser = text))),
    second(names(text("language", |it| it.second.language, |it, text| it.language = text))),
];

const VISITOR_ID: Values =
    Values::OtherId { get: |it| it.visitor_id(), set: |it, id| it.visitor_id = Some(id) };

const fn column(name: &'static str, values: Values, storage: Storage) -> Column {
    Column { name, values, since: 1, blanked: Blanked::Never, optional: false, storage }
}

const fn number(name: &'static str, get: fn(&Record<'_>) -> Option<u32>, set: fn(&mut Click, u32)) -> Column {
    column(name, Values::Number { get, set }, Storage::Differences)
}

const fn text(
    name: &'static str,
    get: for<'a> fn(&Record<'a>) -> &'a str,
    set: fn(&mut Click, String),
) -> Column {
    column(name, Values::Text { get, set }, Storage::Light)
}

const fn named(
    name: &'static str,
    add: fn(&Record<'_>, &mut Vec<u8>) -> bool,
    set: fn(&mut Click, &str) -> Option<()>,
) -> Column {
    column(name, Values::Named { add, set }, Storage::Light)
}

/// The visitor's.
const fn visitors(column: Column) -> Column {
    Column { blanked: Blanked::Always, ..column }
}

/// Of format 2.
const fn second(column: Column) -> Column {
    Column { since: 2, ..column }
}

const fn names(column: Column) -> Column {
    stored(Storage::Names, column)
}

const fn dense(column: Column) -> Column {
    stored(Storage::Dense, column)
}

/// For what is scanned.
const fn copied(column: Column) -> Column {
    stored(Storage::Copied, column)
}

const fn optional(column: Column) -> Column {
    Column { optional: true, ..column }
}

const fn stored(storage: Storage, column: Column) -> Column {
    Column { storage, ..column }
}

fn add(out: &mut Vec<u8>, text: &str) -> bool {
    out.extend_from_slice(text.as_bytes());
    true
}

fn add_ip_address(record: &Record<'_>, out: &mut Vec<u8>) -> bool {
    let Some(address) = record.ip_address() else { return false };
    write!(out, "{address}").expect("a vector takes every byte");
    true
}

fn set_disposition(click: &mut Click, name: &str) -> Option<()> {
    click.disposition = name.parse().ok()?;
    Some(())
}

fn set_device(click: &mut Click, name: &str) -> Option<()> {
    click.device = name.parse().ok()?;
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
            Values::Id | Values::OtherId { .. } => (Physical::FIXED_LEN_BYTE_ARRAY, LogicalType::Uuid),
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
            Storage::Light => (Encoding::PLAIN, false, Compression::LZ4_RAW),
            Storage::Dense => (Encoding::PLAIN, false, Compression::ZSTD(ZstdLevel::default())),
            Storage::LightDictionary => (Encoding::PLAIN, true, Compression::LZ4_RAW),
        };
        let statistics = match self.values {
            // Page statistics of the id are the index by which clicks are found.
            Values::Id | Values::Date => EnabledStatistics::Page,
            Values::Number { .. } => EnabledStatistics::Chunk,
            Values::OtherId { .. } | Values::Text { .. } | Values::Named { .. } => EnabledStatistics::None,
        };
        let path = ColumnPath::from(self.name);
        properties
            .set_column_encoding(path.clone(), encoding)
            .set_column_dictionary_enabled(path.clone(), dictionary)
            .set_column_compression(path.clone(), compression)
            .set_column_statistics_enabled(path, statistics)
    }
}

/// The Parquet schema of a format.
pub(super) fn schema(format: u32) -> TypePtr {
    let fields = columns(format).iter().map(Column::definition).collect();
    Arc::new(Type::group_type_builder("click").with_fields(fields).build().expect("a valid schema"))
}

/// How the columns of a format are stored.
pub(super) fn properties(format: u32) -> WriterPropertiesBuilder {
    let by_id = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
    let properties = WriterProperties::builder()
        .set_created_by("crumb".to_owned())
        .set_sorting_columns(Some(vec![by_id]))
        .set_data_page_row_count_limit(PAGE_ROWS)
        // Page limits are looked at between batches only.
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES);
    columns(format).iter().fold(properties, |properties, column| column.set_properties(properties))
}

#[cfg(test)]
mod tests {
    use super::super::FORMAT;
    use super::*;

    #[test]
    fn a_later_format_appends_columns() {
        assert!(COLUMNS.is_sorted_by_key(|column| column.since));
        assert_eq!([1, FORMAT].map(|format| columns(format).len()), [20, COLUMNS.len()]);
    }

    #[test]
    fn the_columns_read_by_themselves_stand_where_they_are_looked_for() {
        for (index, name) in [
            (CLICK_ID, "click_id"),
            (CLICK_DATE, "click_date"),
            (OFFER_ID, "offer_id"),
            (ADVERTISER_ID, "advertiser_id"),
            (AFFILIATE_ID, "affiliate_id"),
            (CAMPAIGN_ID, "campaign_id"),
            (CREATIVE_ID, "creative_id"),
            (DISPOSITION, "disposition"),
            (COUNTRY, "country"),
            (SUB_ID_1, "sub_id_1"),
            (REFERRER, "referrer"),
            (UDID, "udid"),
            (REDIRECT_OFFER_ID, "redirect_offer_id"),
            (DEVICE, "device"),
            (OS, "os"),
            (BROWSER, "browser"),
            (SUB_ID_1 + 4, "sub_id_5"),
        ] {
            assert_eq!(COLUMNS[index].name, name);
        }
    }
}
