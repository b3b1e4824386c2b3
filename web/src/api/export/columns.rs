//! The columns of exports: their names in the API, in the order of the lists, and what they hold.

use app::ExportKind;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportType {
    /// A whole number.
    Integer,
    /// A number with so many decimals.
    Decimal {
        /// How many decimals at most.
        scale: i32,
    },
    /// Yes or no.
    Boolean,
    /// A moment.
    Date,
    /// A text, or JSON as a text.
    Text,
}

/// A column of an export. Any of its values may be absent, but for those of the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExportColumn {
    /// Its name in the API.
    pub name: &'static str,
    /// What it holds.
    pub holds: ExportType,
    /// Whether it is left out for those who may not see revenue.
    pub is_revenue: bool,
}

/// What is told of a delivery's last try.
pub(super) const TRY: &[&str] = &["try_date", "http_status", "error", "duration_ms", "response"];

/// The columns of an export, in their order.
pub fn export_columns(kind: ExportKind) -> &'static [ExportColumn] {
    match kind {
        ExportKind::Clicks => CLICKS,
        ExportKind::Conversions => CONVERSIONS,
        ExportKind::Entries => ENTRIES,
        ExportKind::Deliveries => DELIVERIES,
    }
}

/// The columns whose values, joined by a hyphen, are the key that an export goes on after.
pub fn export_key(kind: ExportKind) -> &'static [&'static str] {
    match kind {
        ExportKind::Clicks => &["click_id"],
        ExportKind::Conversions => &["conversion_id"],
        ExportKind::Entries => &["conversion_id", "adjustment", "account"],
        ExportKind::Deliveries => &["delivery_id"],
    }
}

const fn column(name: &'static str, holds: ExportType) -> ExportColumn {
    ExportColumn { name, holds, is_revenue: false }
}

const fn integer(name: &'static str) -> ExportColumn {
    column(name, ExportType::Integer)
}

const fn money(name: &'static str) -> ExportColumn {
    column(name, ExportType::Decimal { scale: 4 })
}

const fn date(name: &'static str) -> ExportColumn {
    column(name, ExportType::Date)
}

const fn text(name: &'static str) -> ExportColumn {
    column(name, ExportType::Text)
}

const fn revenue(column: ExportColumn) -> ExportColumn {
    ExportColumn { is_revenue: true, ..column }
}

const CLICKS: &[ExportColumn] = &[
    text("click_id"),
    date("click_date"),
    integer("offer_id"),
    integer("affiliate_id"),
    text("sub_id_1"),
    text("ip_address"),
    text("country"),
    column("converted", ExportType::Boolean),
    integer("conversion_id"),
    text("sub_id_2"),
    text("sub_id_3"),
    text("sub_id_4"),
    text("sub_id_5"),
    text("disposition"),
    integer("advertiser_id"),
    integer("campaign_id"),
    integer("creative_id"),
    text("user_agent"),
    text("referrer"),
    text("udid"),
    text("redirect_url"),
    integer("landing_page_id"),
    integer("redirect_offer_id"),
    text("region"),
    integer("asn"),
    text("device"),
    text("os"),
    text("browser"),
    text("language"),
    text("visitor_id"),
    text("rules_tried"),
];

const CONVERSIONS: &[ExportColumn] = &[
    integer("conversion_id"),
    integer("offer_id"),
    text("offer_name"),
    integer("affiliate_id"),
    text("affiliate_name"),
    money("payout"),
    revenue(money("revenue")),
    text("conversion_status"),
    date("conversion_date"),
    money("original_payout"),
    revenue(money("original_revenue")),
    text("currency"),
    money("amount"),
    integer("advertiser_id"),
    integer("campaign_id"),
    integer("creative_id"),
    integer("event_id"),
    text("click_id"),
    date("click_date"),
    text("unique_id"),
    text("order_id"),
    text("adv1"),
    text("adv2"),
    text("adv3"),
    text("adv4"),
    text("adv5"),
    text("sub_id_1"),
    text("sub_id_2"),
    text("sub_id_3"),
    text("sub_id_4"),
    text("sub_id_5"),
    text("country"),
    date("last_updated"),
    text("payout_scope"),
    integer("payout_rule_id"),
    integer("payout_rule_version"),
    revenue(text("revenue_scope")),
    revenue(integer("revenue_rule_id")),
    revenue(integer("revenue_rule_version")),
    column("exchange_rate", ExportType::Decimal { scale: 10 }),
    integer("cap_id"),
    text("door"),
];

const ENTRIES: &[ExportColumn] = &[
    integer("conversion_id"),
    integer("adjustment"),
    integer("offer_id"),
    text("account"),
    integer("affiliate_id"),
    integer("advertiser_id"),
    money("amount"),
    text("currency"),
    date("effective_date"),
    date("entry_date"),
    integer("invoice_id"),
];

const DELIVERIES: &[ExportColumn] = &[
    text("delivery_id"),
    integer("conversion_id"),
    integer("postback_id"),
    integer("affiliate_id"),
    integer("offer_id"),
    text("fire_on"),
    text("url"),
    text("delivery_status"),
    date("next_try_date"),
    text("cause"),
    date("caused_date"),
    text("conversion_status"),
    integer("tries"),
    date("try_date"),
    integer("http_status"),
    text("error"),
    integer("duration_ms"),
    text("response"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once_and_every_key_is_of_columns() {
        for kind in ExportKind::ALL {
            let names: Vec<_> = export_columns(kind).iter().map(|it| it.name).collect();
            for name in &names {
                assert_eq!(names.iter().filter(|it| *it == name).count(), 1, "{name}");
            }
            for name in export_key(kind) {
                assert!(names.contains(name), "{name}");
            }
        }
        let mut deliveries = DELIVERIES.iter().map(|it| it.name);
        assert!(TRY.iter().all(|name| deliveries.any(|it| it == *name)), "in this order");
    }
}
