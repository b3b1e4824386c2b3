//! Exports: the rows of a range of time as one file, written while they are read. Columns are in `columns`.

pub(crate) mod columns;

use app::{Export, ExportKind, ExportQuestion, Failure, Portion};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::conversion_request::BadParameter;
use domain::delivery::DeliveryStatus;
use futures_util::stream;
use hyper::header::{self, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use self::columns::{ExportColumn, export_columns};
use super::view::{Answer, X_TIME_ZONE};
use super::{clicks, conversions, deliveries, entries};
use crate::Web;
use crate::csv_text;
use crate::error::ApiError;
use crate::extract::Keyed;
use crate::params::Params;

/// What an export takes.
const FIELDS: &[&str] =
    &["start_date", "end_date", "offer_id", "affiliate_id", "after", "row_limit", "dates"];

/// A row: names and values, in their order.
type Row = Map<String, Value>;

/// What rows are written as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
}

/// How dates are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dates {
    /// As everywhere: to the second, in the network's time zone.
    Zone,
    /// To the microsecond, in UTC.
    Utc,
}

/// How portions become text.
struct Writer {
    web: Web,
    format: Format,
    dates: Dates,
    columns: Vec<&'static str>,
}

/// Sends an export, named such as `clicks.csv`.
pub(super) async fn file(State(web): State<Web>, Path(file): Path<String>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let (kind, format) = named(&file).ok_or_else(ApiError::not_found)?;
    let (question, dates) = (question(&web, kind, &params)?, dates(&params)?);
    let export = web.app.export(&caller, question).await?;
    let is_seen = |it: &&ExportColumn| export.revenue() || !it.is_revenue;
    let columns = export_columns(kind).iter().filter(is_seen).map(|it| it.name).collect();
    let zone = HeaderValue::from_str(&web.app.settings().zone_name);
    let mut response = streamed(export, Writer { web, format, dates, columns });
    let headers = response.headers_mut();
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::JsonLines => "application/x-ndjson",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{file}\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.expect("one of eight plain names"));
    headers.extend(zone.ok().map(|zone| (X_TIME_ZONE, zone)));
    Ok(response)
}

fn named(file: &str) -> Option<(ExportKind, Format)> {
    let (name, extension) = file.split_once('.')?;
    let format = match extension {
        "csv" => Format::Csv,
        "jsonl" => Format::JsonLines,
        _ => return None,
    };
    Some((ExportKind::ALL.into_iter().find(|it| it.name() == name)?, format))
}

fn question(web: &Web, kind: ExportKind, params: &Params) -> Result<ExportQuestion, BadParameter> {
    params.only(FIELDS)?;
    let (from, until) = clicks::range(params, &web.app.settings().zone)?;
    let rows = |text: &str| {
        text.parse().map_err(|_| BadParameter::invalid("row_limit", "a whole number, 0 or more, is expected"))
    };
    let limit: Option<u64> = params.get("row_limit").map(rows).transpose()?;
    Ok(ExportQuestion {
        kind,
        from: from.ok_or_else(|| BadParameter::missing("start_date"))?,
        until: until.ok_or_else(|| BadParameter::missing("end_date"))?,
        offer_id: params.id("offer_id")?,
        affiliate_id: params.id("affiliate_id")?,
        after: params.get("after").map(str::to_owned),
        limit: limit.filter(|rows| *rows > 0),
    })
}

fn dates(params: &Params) -> Result<Dates, BadParameter> {
    match params.get("dates") {
        None | Some("zone") => Ok(Dates::Zone),
        Some("utc") => Ok(Dates::Utc),
        Some(_) => Err(BadParameter::invalid("dates", "zone or utc is expected")),
    }
}

/// An answer that is written while the rows are read. Where they break off so does the connection: what
/// arrives whole is whole.
fn streamed(export: Export, writer: Writer) -> Response {
    let head = writer.head();
    let rows = stream::unfold(Some((export, writer)), |left| async move {
        let (mut export, writer) = left?;
        match export.next().await {
            Ok(Some(portion)) => Some((Ok(Bytes::from(writer.write(portion))), Some((export, writer)))),
            Ok(None) => None,
            Err(failure) => {
                let error = &failure as &dyn std::error::Error;
                tracing::error!(error, "an export broke off while it was sent");
                Some((Err(failure), None))
            }
        }
    });
    let head = stream::iter([Ok::<_, Failure>(Bytes::from(head))]);
    Body::from_stream(futures_util::StreamExt::chain(head, rows)).into_response()
}

impl Writer {
    fn head(&self) -> Vec<u8> {
        match self.format {
            Format::Csv => csv_text::write([&self.columns].into_iter()),
            Format::JsonLines => Vec::new(),
        }
    }

    fn write(&self, portion: Portion) -> Vec<u8> {
        match portion {
            Portion::Clicks(rows) => self.rows(rows.into_iter().map(|it| {
                let moments = [("click_date", it.click.id.time())];
                self.row(&clicks::view(&self.web, it), &moments)
            })),
            Portion::Conversions(rows) => self.rows(rows.into_iter().map(|it| {
                let moments = [
                    ("conversion_date", it.conversion.conversion_date),
                    ("click_date", it.conversion.click_id.time()),
                    ("last_updated", it.conversion.last_updated),
                ];
                let revenue = self.columns.contains(&"revenue");
                self.row(&conversions::listed_view(&self.web, it, revenue), &moments)
            })),
            Portion::Entries(rows) => self.rows(rows.into_iter().map(|it| {
                let moments = [("effective_date", it.effective), ("entry_date", it.recorded_at)];
                self.row(&entries::view(&self.web, &it), &moments)
            })),
            Portion::Deliveries(rows) => self.rows(rows.into_iter().map(|it| {
                let mut moments = vec![("caused_date", it.delivery.caused_at)];
                if it.delivery.status == DeliveryStatus::Due {
                    moments.push(("next_try_date", it.delivery.next_try_at));
                }
                moments.extend(it.tries.last().map(|last| ("try_date", last.tried_at)));
                self.row(&deliveries::view(&self.web, it), &moments)
            })),
        }
    }

    fn row(&self, view: &impl Serialize, moments: &[(&'static str, Timestamp)]) -> Row {
        let Value::Object(view) = serde_json::to_value(view).expect("views serialize") else {
            unreachable!("a view is an object");
        };
        let mut row = flat(view);
        if self.dates == Dates::Utc {
            for (name, at) in moments {
                row.insert((*name).to_owned(), format!("{at:.6}").into());
            }
        }
        row
    }

    fn rows(&self, rows: impl Iterator<Item = Row>) -> Vec<u8> {
        match self.format {
            Format::Csv => csv_text::write(rows.map(|mut row| {
                self.columns
                    .iter()
                    .map(move |name| row.get_mut(*name).map_or_else(String::new, cell))
                    .collect::<Vec<_>>()
            })),
            Format::JsonLines => {
                let mut text = Vec::new();
                for row in rows {
                    serde_json::to_writer(&mut text, &row).expect("writing to memory");
                    text.push(b'\n');
                }
                text
            }
        }
    }
}

/// A row without what is nested in it: of an object its fields, of a delivery's tries their number and the last.
fn flat(view: Row) -> Row {
    let mut row = Row::new();
    for (name, value) in view {
        match value {
            Value::Object(inner) => row.extend(inner),
            Value::Array(mut tries) if name == "tries" => {
                row.insert(name, tries.len().into());
                let mut last = tries.pop().unwrap_or_default();
                for field in columns::TRY {
                    row.insert((*field).to_owned(), last[*field].take());
                }
            }
            other => {
                row.insert(name, other);
            }
        }
    }
    row
}

/// A value as a cell: no text in it is a formula.
fn cell(value: &mut Value) -> String {
    match value.take() {
        Value::Null => String::new(),
        Value::String(text) => csv_text::text(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Row {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn of_what_is_nested_the_fields_stand_in_the_row() {
        let view = object(
            &json!({ "conversion_id": 1, "offer": { "offer_id": 2, "offer_name": "x" }, "payout": 3 }),
        );
        let expected = json!({ "conversion_id": 1, "offer_id": 2, "offer_name": "x", "payout": 3 });
        assert_eq!(json!(flat(view)).to_string(), expected.to_string());
    }

    #[test]
    fn of_tries_their_number_and_the_last_stand_in_the_row() {
        let tried = |status| json!({ "try_date": "d", "url": "u", "http_status": status, "error": null, "duration_ms": 5, "response": "r" });
        let view = |tries: &[Value]| flat(object(&json!({ "url": "latest", "tries": tries })));
        let row = json!(view(&[tried(500), tried(200)]));
        let expected = json!({ "url": "latest", "tries": 2, "try_date": "d", "http_status": 200, "error": null, "duration_ms": 5, "response": "r" });
        assert_eq!(row.to_string(), expected.to_string());
        let none = json!(view(&[]));
        assert_eq!((&none["tries"], &none["http_status"]), (&json!(0), &Value::Null));
    }

    #[test]
    fn a_cell_is_a_formula_never_and_a_number_always_itself() {
        for (mut value, expected) in [
            (json!("=1+1"), "'=1+1"),
            (json!(-18.5), "-18.5"),
            (json!(null), ""),
            (json!(true), "true"),
            (json!([{ "rule_id": 1 }]), r#"[{"rule_id":1}]"#),
        ] {
            assert_eq!(cell(&mut value), expected);
        }
    }
}
