//! The paths of lists over everything there is.

/// A range that no date of this century is outside of.
const EVER: &str = "start_date=2000-01-01&end_date=2099-12-31";

/// A page of clicks.
pub fn clicks(offset: usize, limit: usize, offer_id: Option<u64>) -> String {
    let offer = offer_id.map(|id| format!("&offer_id={id}")).unwrap_or_default();
    format!("/api/2/click.json?{EVER}&start_at_row={offset}&row_limit={limit}{offer}")
}

/// A page of one delivery of that status, for its count.
pub fn deliveries(status: &str) -> String {
    format!("/api/2/postback_deliveries.json?{EVER}&row_limit=1&delivery_status={status}")
}

/// A page of one conversion, for its count.
pub fn conversions() -> String {
    format!("/api/2/conversions.json?{EVER}&row_limit=1")
}
