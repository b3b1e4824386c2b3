//! Cursors: a question and the place in its answer, as one opaque text. A cursor repeats the whole
//! question, so a page taken with it cannot belong to another; what the caller may see is decided
//! anew each time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::conversion::Conversion;
use domain::conversion_query::{ConversionFilter, ConversionQuery, SortKey, Start};
use domain::ids::{AdvertiserId, AffiliateId, ConversionId, OfferId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    from: Option<i64>,
    until: Option<i64>,
    updated_since: Option<i64>,
    offer_id: Option<u32>,
    affiliate_id: Option<u32>,
    advertiser_id: Option<u32>,
    statuses: Vec<String>,
    sort: String,
    descending: bool,
    key: Key,
    id: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Integer(i64),
    Text(String),
}

/// The cursor that goes on after `last`.
pub(super) fn write(query: &ConversionQuery, last: &Conversion) -> String {
    let filter = &query.filter;
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    let cursor = Cursor {
        from: micros(filter.from),
        until: micros(filter.until),
        updated_since: micros(filter.updated_since),
        offer_id: filter.offer_id.map(|id| id.0),
        affiliate_id: filter.affiliate_id.map(|id| id.0),
        advertiser_id: filter.advertiser_id.map(|id| id.0),
        statuses: filter.statuses.iter().map(|it| it.name().to_owned()).collect(),
        sort: query.sort.name().to_owned(),
        descending: query.descending,
        key: match query.sort.key(last) {
            SortKey::Integer(number) => Key::Integer(number),
            SortKey::Text(text) => Key::Text(text),
        },
        id: last.id.0,
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).expect("texts and numbers"))
}

/// The question of a cursor, without its limit. None when it is no cursor of ours.
pub(super) fn read(text: &str) -> Option<ConversionQuery> {
    let cursor: Cursor = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let time = |micros: Option<i64>| micros.map(Timestamp::from_microsecond).transpose().ok();
    let key = match cursor.key {
        Key::Integer(number) => SortKey::Integer(number),
        Key::Text(text) => SortKey::Text(text),
    };
    Some(ConversionQuery {
        filter: ConversionFilter {
            from: time(cursor.from)?,
            until: time(cursor.until)?,
            updated_since: time(cursor.updated_since)?,
            offer_id: cursor.offer_id.map(OfferId),
            affiliate_id: cursor.affiliate_id.map(AffiliateId),
            advertiser_id: cursor.advertiser_id.map(AdvertiserId),
            statuses: cursor.statuses.iter().map(|it| it.parse().ok()).collect::<Option<_>>()?,
            ..ConversionFilter::default()
        },
        sort: cursor.sort.parse().ok()?,
        descending: cursor.descending,
        start: Start::After(key, ConversionId(cursor.id)),
        limit: 0,
    })
}
