//! Record Conversion and Get Conversions.

use app::{ConversionRow, RecordedConversion, SentCall};
use axum::extract::State;
use domain::conversion::Conversion;
use domain::conversion_query::{ConversionFilter, ConversionQuery, ConversionSort, Start};
use domain::conversion_request::BadParameter;
use domain::details::Door;
use domain::money::ExchangeRate;
use domain::status::ConversionStatus;
use serde::Serialize;
use serde_json::Number;

use super::clicks::range;
use super::cursor;
use super::view::{Answer, ClickIdText, Money};
use crate::Web;
use crate::extract::Keyed;
use crate::params::{Page, Params};

/// The most rows of one page.
const ROWS_MAX: u32 = 500;

#[derive(Serialize)]
struct Recorded {
    conversion: RecordedView,
}

/// A recorded conversion as documented, field by field in order; ours follow.
#[derive(Serialize)]
pub(super) struct RecordedView {
    conversion_id: u64,
    offer_id: u32,
    affiliate_id: u32,
    click_id: ClickIdText,
    payout: Money,
    revenue: Money,
    unique_id: String,
    conversion_date: String,
    conversion_status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    order_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    adv1: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    adv2: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    adv3: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    adv4: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    adv5: String,
    original_payout: Money,
    original_revenue: Money,
    currency: String,
    event_id: u32,
    #[serde(flatten)]
    pricing: PricingView,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    conflict: bool,
}

/// What decided a conversion's price, and the way it came in.
#[derive(Serialize)]
struct PricingView {
    payout_scope: &'static str,
    payout_rule_id: Option<u32>,
    payout_rule_version: Option<u32>,
    #[serde(flatten)]
    revenue: Option<RevenueSourceView>,
    exchange_rate: Option<Number>,
    cap_id: Option<u32>,
    door: &'static str,
}

/// What decided its revenue, for those who may see it.
#[derive(Serialize)]
struct RevenueSourceView {
    revenue_scope: &'static str,
    revenue_rule_id: Option<u32>,
    revenue_rule_version: Option<u32>,
}

fn pricing_view(conversion: &Conversion, revenue: bool) -> PricingView {
    let (payout, earned) = (conversion.price.payout_source, conversion.price.revenue_source);
    let rate = |rate: ExchangeRate| rate.to_string().parse().expect("a rate prints as a number");
    PricingView {
        payout_scope: payout.scope.name(),
        payout_rule_id: payout.rule.map(|(id, _)| id.0),
        payout_rule_version: payout.rule.map(|(_, version)| version),
        revenue: revenue.then_some(RevenueSourceView {
            revenue_scope: earned.scope.name(),
            revenue_rule_id: earned.rule.map(|(id, _)| id.0),
            revenue_rule_version: earned.rule.map(|(_, version)| version),
        }),
        exchange_rate: conversion.exchange_rate.map(rate),
        cap_id: conversion.cap_id.map(|id| id.0),
        door: conversion.door.name(),
    }
}

/// Records a conversion for a click, from the advertiser's server.
pub(super) async fn record(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let call = SentCall { sent: &params, problem: None, raw: params.raw(), door: Door::Api };
    let recorded = web.app.record_conversion(&caller, call).await?;
    Ok(web.success(Recorded { conversion: recorded_view(&web, recorded) }))
}

pub(super) fn recorded_view(web: &Web, recorded: RecordedConversion) -> RecordedView {
    let RecordedConversion { conversion, conflict, repeated: _ } = recorded;
    let (payout, revenue) = (Money(conversion.payout()), Money(conversion.revenue()));
    let pricing = pricing_view(&conversion, true);
    let [adv1, adv2, adv3, adv4, adv5] = conversion.adv;
    RecordedView {
        conversion_id: conversion.id.0,
        offer_id: conversion.offer_id.0,
        affiliate_id: conversion.affiliate_id.0,
        click_id: ClickIdText(conversion.click_id),
        payout,
        revenue,
        unique_id: conversion.unique_id,
        conversion_date: web.date(conversion.conversion_date),
        conversion_status: conversion.standing.status.name(),
        order_id: conversion.order_id,
        adv1,
        adv2,
        adv3,
        adv4,
        adv5,
        original_payout: Money(conversion.price.payout),
        original_revenue: Money(conversion.price.revenue),
        currency: conversion.currency.to_string(),
        event_id: conversion.event_id.0,
        pricing,
        conflict,
    }
}

#[derive(Serialize)]
struct Conversions {
    total_rows: u64,
    conversions: Vec<Row>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Row {
    conversion: ConversionView,
}

#[derive(Serialize)]
struct OfferName {
    offer_id: u32,
    offer_name: String,
}

#[derive(Serialize)]
struct AffiliateName {
    affiliate_id: u32,
    affiliate_name: String,
}

/// A listed conversion as documented, field by field in order; ours follow. Revenue is left out for
/// those who may not see it.
#[derive(Serialize)]
pub(super) struct ConversionView {
    conversion_id: u64,
    offer: OfferName,
    affiliate: AffiliateName,
    payout: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Money>,
    conversion_status: &'static str,
    conversion_date: String,
    original_payout: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_revenue: Option<Money>,
    currency: String,
    amount: Option<Money>,
    advertiser_id: u32,
    campaign_id: Option<u32>,
    creative_id: u32,
    event_id: u32,
    click_id: ClickIdText,
    click_date: String,
    unique_id: String,
    order_id: String,
    adv1: String,
    adv2: String,
    adv3: String,
    adv4: String,
    adv5: String,
    sub_id_1: String,
    sub_id_2: String,
    sub_id_3: String,
    sub_id_4: String,
    sub_id_5: String,
    country: String,
    last_updated: String,
    #[serde(flatten)]
    pricing: PricingView,
}

/// Lists conversions by their dates, or from a cursor on.
pub(super) async fn list(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let query = match params.get("cursor") {
        Some(text) => {
            let query = cursor::read(text).ok_or_else(|| BadParameter::invalid("cursor", "not a cursor"))?;
            ConversionQuery { limit: page.limit, ..query }
        }
        None => query(&web, &params, page)?,
    };
    let found = web.app.list_conversions(&caller, query.clone()).await?;
    let last = found.rows.last().filter(|_| found.more);
    let next_cursor = last.map(|row| cursor::write(&query, &row.conversion));
    let conversions =
        found.rows.into_iter().map(|row| Row { conversion: listed_view(&web, row, found.revenue) }).collect();
    Ok(web.listed(page, Conversions { total_rows: found.total, conversions, next_cursor }))
}

fn query(web: &Web, params: &Params, page: Page) -> Result<ConversionQuery, BadParameter> {
    let zone = &web.app.settings().zone;
    let updated_since = params.date("updated_since", zone)?.map(|it| it.start(zone));
    if updated_since.is_none() {
        for name in ["start_date", "end_date"] {
            params.get(name).ok_or_else(|| BadParameter::missing(name))?;
        }
    }
    let (from, until) = range(params, zone)?;
    let sort_default =
        if updated_since.is_some() { ConversionSort::LastUpdated } else { ConversionSort::ConversionDate };
    Ok(ConversionQuery {
        filter: ConversionFilter {
            from,
            until,
            offer_id: params.id("offer_id")?,
            affiliate_id: params.id("affiliate_id")?,
            advertiser_id: params.id("advertiser_id")?,
            statuses: statuses(params, "conversion_status")?,
            updated_since,
            ..ConversionFilter::default()
        },
        sort: params.parse("sort_field")?.unwrap_or(sort_default),
        descending: params.boolean("sort_descending")?.unwrap_or(false),
        start: Start::Row(page.offset),
        limit: page.limit,
    })
}

/// A comma list of statuses.
pub(super) fn statuses(params: &Params, name: &str) -> Result<Vec<ConversionStatus>, BadParameter> {
    let Some(list) = params.get(name) else { return Ok(Vec::new()) };
    list.split(',')
        .map(|word| {
            let word = word.trim().to_ascii_lowercase();
            word.parse().map_err(|error| BadParameter::invalid(name, error))
        })
        .collect()
}

pub(super) fn listed_view(web: &Web, row: ConversionRow, revenue: bool) -> ConversionView {
    let ConversionRow { conversion, offer_name, affiliate_name } = row;
    let shown = |amount| revenue.then_some(Money(amount));
    let pricing = pricing_view(&conversion, revenue);
    let (payout, current_revenue) = (Money(conversion.payout()), shown(conversion.revenue()));
    let Conversion { adv, sub_ids, .. } = conversion;
    let [adv1, adv2, adv3, adv4, adv5] = adv;
    let [sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5] = sub_ids;
    ConversionView {
        conversion_id: conversion.id.0,
        offer: OfferName { offer_id: conversion.offer_id.0, offer_name },
        affiliate: AffiliateName { affiliate_id: conversion.affiliate_id.0, affiliate_name },
        payout,
        revenue: current_revenue,
        conversion_status: conversion.standing.status.name(),
        conversion_date: web.date(conversion.conversion_date),
        original_payout: Money(conversion.price.payout),
        original_revenue: shown(conversion.price.revenue),
        currency: conversion.currency.to_string(),
        amount: conversion.price.amount.map(Money),
        advertiser_id: conversion.advertiser_id.0,
        campaign_id: conversion.campaign_id.map(|id| id.0),
        creative_id: conversion.creative_id.0,
        event_id: conversion.event_id.0,
        click_id: ClickIdText(conversion.click_id),
        click_date: web.date(conversion.click_id.time()),
        unique_id: conversion.unique_id,
        order_id: conversion.order_id,
        adv1,
        adv2,
        adv3,
        adv4,
        adv5,
        sub_id_1,
        sub_id_2,
        sub_id_3,
        sub_id_4,
        sub_id_5,
        country: conversion.country.as_str().to_owned(),
        last_updated: web.date(conversion.last_updated),
        pricing,
    }
}
