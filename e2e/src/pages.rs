//! Walking through lists page by page, as a partner's script would.

use serde_json::Value;

use crate::client::Client;

/// All clicks that match, in pages of so many rows. `question` is the query without the page. Each
/// page must tell the same total, be full but for the last, and go on in order.
pub fn click_pages(api: &Client, question: &str, rows: usize) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let offset = all.len();
        let call = format!("click.json?{question}&start_at_row={offset}&row_limit={rows}");
        let body = api.get(&call).success();
        let total =
            usize::try_from(body["response"]["total_rows"].as_u64().expect("a total")).expect("small");
        let page = body["response"]["clicks"].as_array().expect("a list").clone();
        assert_eq!(page.len(), rows.min(total - offset), "{call}");
        all.extend(page);
        if all.len() == total {
            assert!(all.is_sorted_by(|a, b| place(a) < place(b)), "oldest first, ties by id, none twice");
            return all;
        }
    }
}

fn place(click: &Value) -> (&str, &str) {
    (click["click_date"].as_str().expect("a date"), click["click_id"].as_str().expect("an id"))
}

/// All conversions that match, from cursor to cursor. `question` is the query with its dates.
pub fn conversion_pages(api: &Client, question: &str) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut call = format!("conversions.json?{question}&row_limit=500");
    loop {
        let body = api.get(&call).success();
        let page = body["conversions"].as_array().expect("a list");
        all.extend(page.iter().map(|row| row["conversion"].clone()));
        let Some(cursor) = body["next_cursor"].as_str() else {
            assert_eq!(Some(all.len() as u64), body["total_rows"].as_u64(), "{question}");
            return all;
        };
        call = format!("conversions.json?cursor={cursor}&row_limit=500");
    }
}
