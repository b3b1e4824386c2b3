//! Segments as other programs read them: with a plain Parquet reader.

use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMillisecondType, UInt32Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType::{FixedSizeBinary, Timestamp, UInt32, Utf8};
use arrow_schema::TimeUnit::Millisecond;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::builders::{Shelf, clicks};

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch[column].as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<u32> {
    let column = batch[column].as_primitive::<UInt32Type>();
    column.is_valid(row).then(|| column.value(row))
}

#[test]
fn a_plain_reader_finds_the_documented_columns_and_the_clicks() {
    let all = clicks(0..1000);
    let (shelf, segment) = Shelf::sealed(&all);
    let file = File::open(shelf.path(&segment, "parquet")).expect("there");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("readable");

    let columns: Vec<_> = builder
        .schema()
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().clone(), field.is_nullable()))
        .collect();
    let expected = [
        ("click_id", FixedSizeBinary(16), false),
        ("click_date", Timestamp(Millisecond, Some("UTC".into())), false),
        ("offer_id", UInt32, false),
        ("advertiser_id", UInt32, false),
        ("affiliate_id", UInt32, false),
        ("campaign_id", UInt32, true),
        ("creative_id", UInt32, false),
        ("disposition", Utf8, false),
        ("country", Utf8, false),
        ("ip_address", Utf8, true),
        ("sub_id_1", Utf8, false),
        ("sub_id_2", Utf8, false),
        ("sub_id_3", Utf8, false),
        ("sub_id_4", Utf8, false),
        ("sub_id_5", Utf8, false),
        ("user_agent", Utf8, false),
        ("referrer", Utf8, false),
        ("udid", Utf8, false),
        ("extra_query", Utf8, false),
        ("redirect_url", Utf8, false),
        ("landing_page_id", UInt32, true),
        ("redirect_offer_id", UInt32, true),
        ("rules_tried", Utf8, false),
        ("visitor_id", FixedSizeBinary(16), true),
        ("region", Utf8, false),
        ("asn", UInt32, true),
        ("device", Utf8, false),
        ("os", Utf8, false),
        ("browser", Utf8, false),
        ("language", Utf8, false),
    ];
    assert_eq!(columns, expected);

    let batches: Vec<RecordBatch> =
        builder.with_batch_size(1000).build().expect("readable").collect::<Result<_, _>>().expect("readable");
    let [batch] = &batches[..] else { panic!("{} batches", batches.len()) };
    for (row, click) in all.iter().enumerate() {
        assert_eq!(batch["click_id"].as_fixed_size_binary().value(row), click.id.to_bytes());
        let dates = batch["click_date"].as_primitive::<TimestampMillisecondType>();
        assert_eq!(dates.value(row), click.id.unix_ms());
        assert_eq!(number(batch, "affiliate_id", row), Some(click.affiliate_id.0));
        assert_eq!(number(batch, "campaign_id", row), click.campaign_id.map(|id| id.0));
        assert_eq!(text(batch, "disposition", row).as_deref(), Some(click.disposition.name()));
        assert_eq!(text(batch, "country", row).as_deref(), Some(click.country.as_str()));
        assert_eq!(text(batch, "ip_address", row), click.ip_address.map(|ip| ip.to_string()));
        assert_eq!(text(batch, "sub_id_1", row).as_ref(), Some(&click.sub_ids[0]));
        let visitors = batch["visitor_id"].as_fixed_size_binary();
        let visitor = visitors.is_valid(row).then(|| visitors.value(row).to_vec());
        assert_eq!(visitor, click.visitor_id.map(|id| id.to_bytes().to_vec()));
        assert_eq!(number(batch, "asn", row), click.asn);
        assert_eq!(text(batch, "device", row).as_deref(), Some(click.device.name()));
        assert_eq!(text(batch, "rules_tried", row).as_ref(), Some(&click.rules));
        assert_eq!(text(batch, "redirect_url", row).as_ref(), Some(&click.redirect_url));
    }
}
