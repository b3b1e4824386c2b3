//! The rows under a report's figures: clicks, and conversions as CAKE's conversion report has them.

use app::ConversionRow;
use axum::extract::State;
use domain::archive_query::ClickSearch;
use domain::conversion_query::{ConversionFilter, ConversionQuery, ConversionSort, Start};
use domain::conversion_request::BadParameter;
use serde::Serialize;

use crate::Web;
use crate::extract::Keyed;

use super::super::clicks::{ClickView, view};
use super::super::view::{Answer, ClickIdText, Money};
use super::{ROWS_MAX, request};

#[derive(Serialize)]
struct Under<T> {
    response: Response<T>,
}

#[derive(Serialize)]
struct Response<T> {
    data: T,
    total_rows: u64,
}

#[derive(Serialize)]
struct Clicks {
    clicks: Vec<ClickView>,
}

/// Lists clicks by whatever reports can filter them by.
pub(in crate::api) async fn clicks(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let zone = request::zone(&params, &web.app.settings().zone)?;
    let (from, until) = request::range(&params, &zone)?;
    let filters = request::filters(&params)?;
    if let Some(filter) = filters.iter().find(|it| !it.attribute.is_of_clicks()) {
        return Err(BadParameter::invalid(filter.attribute.field(), "clicks have none").into());
    }
    let search = ClickSearch { from, until, filters };
    let currency = params.parse("currency")?;
    let limit = page.limit as usize;
    let found = web.app.search_clicks(&caller, search, currency, page.offset, limit).await?;
    let clicks = found.rows.into_iter().map(|row| view(&web, row)).collect();
    Ok(web.listed(page, Under { response: Response { data: Clicks { clicks }, total_rows: found.total } }))
}

#[derive(Serialize)]
struct Conversions {
    conversions: Vec<ConversionView>,
}

/// A conversion as CAKE's report has it, field by field in order; ours follow.
#[derive(Serialize)]
struct ConversionView {
    conversion_id: u64,
    conversion_date: String,
    offer_id: u32,
    affiliate_id: u32,
    payout: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Money>,
    conversion_status: &'static str,
    unique_id: String,
    offer_name: String,
    affiliate_name: String,
    advertiser_id: u32,
    campaign_id: Option<u32>,
    creative_id: u32,
    event_id: u32,
    currency: String,
    click_id: ClickIdText,
    click_date: String,
    approval_date: Option<String>,
    country: String,
    device: &'static str,
    os: String,
    browser: String,
    referrer_host: String,
    disposition: &'static str,
    sub_id_1: String,
    sub_id_2: String,
    sub_id_3: String,
    sub_id_4: String,
    sub_id_5: String,
    price_rule: String,
}

/// Lists conversions by whatever reports can filter them by, and by any of their clocks.
pub(in crate::api) async fn conversions(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    let page = params.page(ROWS_MAX)?;
    let zone = request::zone(&params, &web.app.settings().zone)?;
    let (from, until) = request::range(&params, &zone)?;
    let query = ConversionQuery {
        filter: ConversionFilter {
            clock: request::clock(&params)?,
            from: Some(from),
            until: Some(until),
            attributes: request::filters(&params)?,
            currency: params.parse("currency")?,
            ..ConversionFilter::default()
        },
        sort: params.parse("sort_field")?.unwrap_or(ConversionSort::ConversionDate),
        descending: params.boolean("sort_descending")?.unwrap_or(false),
        start: Start::Row(page.offset),
        limit: page.limit,
    };
    let found = web.app.list_conversions(&caller, query).await?;
    let conversions = found.rows.into_iter().map(|row| conversion(&web, row, found.revenue)).collect();
    let response = Response { data: Conversions { conversions }, total_rows: found.total };
    Ok(web.listed(page, Under { response }))
}

fn conversion(web: &Web, row: ConversionRow, revenue: bool) -> ConversionView {
    let ConversionRow { conversion, offer_name, affiliate_name } = row;
    let price_rule = domain::report::price_rule_name(conversion.price.payout_source);
    let (payout, owed) = (conversion.payout(), conversion.revenue());
    let [sub_id_1, sub_id_2, sub_id_3, sub_id_4, sub_id_5] = conversion.sub_ids;
    ConversionView {
        conversion_id: conversion.id.0,
        conversion_date: web.date(conversion.conversion_date),
        offer_id: conversion.offer_id.0,
        affiliate_id: conversion.affiliate_id.0,
        payout: Money(payout),
        revenue: revenue.then_some(Money(owed)),
        conversion_status: conversion.standing.status.name(),
        unique_id: conversion.unique_id,
        offer_name,
        affiliate_name,
        advertiser_id: conversion.advertiser_id.0,
        campaign_id: conversion.campaign_id.map(|id| id.0),
        creative_id: conversion.creative_id.0,
        event_id: conversion.event_id.0,
        currency: conversion.currency.to_string(),
        click_id: ClickIdText(conversion.click_id),
        click_date: web.date(conversion.click_id.time()),
        approval_date: conversion.approved_at.map(|at| web.date(at)),
        country: conversion.country.as_str().to_owned(),
        device: conversion.device.name(),
        os: conversion.os,
        browser: conversion.browser,
        referrer_host: conversion.referrer_host,
        disposition: conversion.disposition.name(),
        sub_id_1,
        sub_id_2,
        sub_id_3,
        sub_id_4,
        sub_id_5,
        price_rule,
    }
}
