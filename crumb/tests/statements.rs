//! Lines, balances and statements: what is closed stays as it is, and what comes later is on the next.

use domain::access::{Grant, Scope};
use domain::ids::AffiliateId;
use serde_json::Value;
use testkit::{Answer, Client, TestServer};

const DAY_SECONDS: i64 = 86_400;

fn close(server: &TestServer, params: &[(&str, &str)]) -> Answer {
    server.client.post("statement", params)
}

fn invoice(client: &Client, id: &str) -> Value {
    client.get("invoice", &[("invoice_id", id)]).success()
}

/// The invoice as a file of that kind.
fn file(client: &Client, kind: &str, id: &str) -> Answer {
    client.path(&format!("/api/2/invoice.{kind}?api_key={}&invoice_id={id}", client.key()))
}

fn affiliate(server: &TestServer, name: &str, id: u32) -> Client {
    let grant = Grant { affiliate_id: Some(AffiliateId(id)), ..Grant::of(Scope::Affiliate) };
    server.client_with(name, grant)
}

/// The lines of a conversion as `account amount`.
fn entries(client: &Client, params: &[(&str, &str)]) -> Vec<String> {
    let found = client.get("entries", params).success();
    let rows = found["entries"].as_array().expect("a list");
    rows.iter().map(|it| format!("{} {}", it["account"].as_str().unwrap_or_default(), it["amount"])).collect()
}

fn balance(client: &Client, params: &[(&str, &str)]) -> String {
    let found = client.get("balances", params).success();
    let shown = |it: &Value| format!("{} {} {}", it["balance"], it["pending"], it["invoiced"]);
    found["balances"].as_array().expect("a list").iter().map(shown).collect::<Vec<_>>().join("; ")
}

/// Where the browser that prints may look for anything: nowhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

#[test]
fn a_conversion_stands_on_three_lines_and_a_reversal_on_three_more() {
    let server = TestServer::start();
    server.convert("ORD-1");
    let booked = ["advertiser_receivable 22.00", "affiliate_payable -18.00", "network_margin -4.00"];
    assert_eq!(entries(&server.client, &[]), booked);
    assert_eq!(balance(&server.client, &[("account", "affiliates")]), "18.00 0.00 0.00");
    assert_eq!(balance(&server.client, &[("advertiser_id", "1")]), "22.00 0.00 0.00");
    server.clock.advance_seconds(DAY_SECONDS);
    let reversed = [("conversion_id", "1"), ("conversion_status", "reversed")];
    server.client.post("update_conversion", &reversed).success();
    let back = ["advertiser_receivable -22.00", "affiliate_payable 18.00", "network_margin 4.00"];
    assert_eq!(entries(&server.client, &[("start_date", "2026-06-20")]), back);
    assert_eq!(entries(&server.client, &[("conversion_id", "1")]), [booked, back].concat());
    assert_eq!(balance(&server.client, &[("affiliate_id", "1")]), "0.00 0.00 0.00");
    assert_eq!(balance(&server.client, &[("affiliate_id", "1"), ("date", "2026-06-19")]), "18.00 0.00 0.00");
    let both = server.client.get("balances", &[]).success();
    assert_eq!(both["total_rows"], 2);
    assert_eq!(both["balances"][0]["advertiser_name"], "Acme");
    assert_eq!(both["balances"][1]["affiliate_name"], "MediaBridge Partners");
}

#[test]
fn a_closed_statement_never_changes_and_a_later_reversal_is_a_line_on_the_next() {
    let server = TestServer::start();
    server.convert("ORD-1");
    server.convert("ORD-2");
    server.clock.advance_seconds(DAY_SECONDS);
    let closed = close(&server, &[("affiliate_id", "1"), ("end_date", "2026-06-19")]).success();
    let expected = serde_json::json!({
        "invoice_id": 1, "affiliate_id": 1, "affiliate_name": "MediaBridge Partners",
        "invoice_date": "2026-06-20 14:30:00", "start_date": null, "end_date": "2026-06-19 23:59:59",
        "lines": 2, "currency": "USD",
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(closed["invoice"][name], *value, "{name}");
    }
    assert_eq!(closed["invoice"]["total"].to_string(), "36.00");
    let first = invoice(&server.client, "1");
    let sheet = file(&server.client, "csv", "1").text;
    assert_eq!(first["invoice"], closed["invoice"]);
    assert_eq!((&first["total_rows"], first["lines"].as_array().map(Vec::len)), (&2.into(), Some(2)));
    assert_eq!(first["lines"][0]["amount"].to_string(), "18.00");

    let change = [("conversion_id", "1"), ("conversion_status", "reversed"), ("note", "sent back")];
    let backdated = [&change[..], &[("effective_date", "conversion_date")]].concat();
    server.client.post("update_conversion", &backdated).success();
    assert_eq!(invoice(&server.client, "1"), first);
    assert_eq!(file(&server.client, "csv", "1").text, sheet);
    server.convert("ORD-3");
    server.clock.advance_seconds(DAY_SECONDS);
    let next = close(&server, &[("affiliate_id", "1"), ("end_date", "2026-06-20")]).success();
    assert_eq!(
        (&next["invoice"]["start_date"], &next["invoice"]["lines"]),
        (&"2026-06-20 00:00:00".into(), &2.into())
    );
    assert_eq!(next["invoice"]["total"].to_string(), "0.00");
    let next = invoice(&server.client, "2");
    let line = &next["lines"][0];
    assert_eq!(
        (&line["note"], &line["effective_date"]),
        (&"sent back".into(), &"2026-06-19 14:30:00".into())
    );
    assert_eq!((line["amount"].to_string(), &line["adjustment"]), ("-18.00".to_owned(), &1.into()));
    assert_eq!(invoice(&server.client, "1"), first);
    assert_eq!(balance(&server.client, &[("affiliate_id", "1")]), "36.00 0.00 36.00");
}

#[test]
fn what_is_pending_waits_for_the_statement_after_its_approval() {
    let server = TestServer::start();
    server.client.post("update_offer", &[("offer_id", "1"), ("conversion_approval", "manual")]).success();
    server.convert("ORD-1");
    server.clock.advance_seconds(DAY_SECONDS);
    assert_eq!(balance(&server.client, &[("advertiser_id", "1")]), "22.00 22.00 0.00");
    let day = [("advertiser_id", "1"), ("end_date", "2026-06-19")];
    let empty = close(&server, &day);
    assert_eq!((empty.status, empty.code()), (422, "nothing_to_invoice".to_owned()));
    server
        .client
        .post("update_conversion", &[("conversion_id", "1"), ("conversion_status", "approved")])
        .success();
    let closed = close(&server, &day).success();
    assert_eq!(
        (closed["invoice"]["total"].to_string(), &closed["invoice"]["advertiser_name"]),
        ("22.00".to_owned(), &"Acme".into())
    );
    assert_eq!(balance(&server.client, &[("advertiser_id", "1")]), "22.00 0.00 22.00");
}

#[test]
fn every_refusal_has_its_code() {
    let server = TestServer::start();
    server.convert("ORD-1");
    server.clock.advance_seconds(DAY_SECONDS);
    let check = |params: &[(&str, &str)], status: u16, code: &str, parameter: &str| {
        let answer = close(&server, params);
        let at_fault = answer.json()["error"]["parameter"].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (answer.status, answer.code(), at_fault),
            (status, code.to_owned(), parameter.to_owned()),
            "{params:?}"
        );
    };
    let (party, end) = (("affiliate_id", "1"), ("end_date", "2026-06-19"));
    check(&[end], 400, "missing_parameter", "affiliate_id");
    check(&[party], 400, "missing_parameter", "end_date");
    check(&[party, ("advertiser_id", "1"), end], 400, "invalid_parameter", "advertiser_id");
    check(&[party, end, ("currency", "dollar")], 400, "invalid_parameter", "currency");
    check(&[party, end, ("note", "x")], 400, "invalid_parameter", "note");
    check(&[party, ("end_date", "2026-06-20")], 400, "invalid_parameter", "end_date");
    check(&[("affiliate_id", "9"), end], 404, "affiliate_not_found", "affiliate_id");
    check(&[("advertiser_id", "9"), end], 404, "advertiser_not_found", "advertiser_id");
    check(&[party, end, ("currency", "EUR")], 422, "nothing_to_invoice", "");
    close(&server, &[party, end]).success();
    check(&[party, end], 409, "conflict", "");
    check(&[party, ("end_date", "2026-06-18")], 409, "conflict", "");
    for kind in ["json", "csv", "html"] {
        let unknown = file(&server.client, kind, "9");
        assert_eq!((unknown.status, unknown.code()), (404, "invoice_not_found".to_owned()), "{kind}");
        assert_eq!(file(&server.client, kind, "").code(), "missing_parameter", "{kind}");
    }
    let both = server.client.get("balances", &[party, ("account", "affiliates")]);
    assert_eq!(both.json()["error"]["parameter"], "account");
    assert_eq!(server.client.get("balances", &[("account", "all")]).code(), "invalid_parameter");
}

#[test]
fn lists_of_statements_filter_and_page() {
    let server = TestServer::start();
    for day in ["2026-06-19", "2026-06-20", "2026-06-21"] {
        server.convert(day);
        server.clock.advance_seconds(DAY_SECONDS);
        for party in ["affiliate_id", "advertiser_id"] {
            close(&server, &[(party, "1"), ("end_date", day)]).success();
        }
    }
    let ids = |params: &[(&str, &str)]| -> Vec<u64> {
        let found = server.client.get("invoices", params).success();
        let rows = found["invoices"].as_array().expect("a list");
        rows.iter().map(|it| it["invoice_id"].as_u64().expect("a number")).collect()
    };
    assert_eq!(ids(&[]), [6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(&[("affiliate_id", "1")]), [5, 3, 1]);
    assert_eq!(ids(&[("account", "advertisers"), ("row_limit", "1"), ("start_at_row", "1")]), [4]);
    assert_eq!(ids(&[("start_date", "2026-06-20"), ("end_date", "2026-06-20")]), [4, 3]);
    assert_eq!(ids(&[("affiliate_id", "2")]), [0_u64; 0]);
}

#[test]
fn lines_are_paged_as_json_and_whole_as_a_file() {
    let server = TestServer::start();
    for number in 0..600 {
        server.convert(&format!("ORD-{number}"));
    }
    server.clock.advance_seconds(DAY_SECONDS);
    close(&server, &[("affiliate_id", "1"), ("end_date", "2026-06-19")]).success();
    let page = [("invoice_id", "1"), ("start_at_row", "598"), ("row_limit", "5")];
    let found = server.client.get("invoice", &page).success();
    let ids: Vec<_> =
        found["lines"].as_array().expect("a list").iter().map(|it| &it["conversion_id"]).collect();
    assert_eq!((ids, &found["total_rows"]), (vec![&599.into(), &600.into()], &600.into()));
    let sheet = file(&server.client, "csv", "1");
    assert_eq!(sheet.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(sheet.header("content-disposition"), Some("attachment; filename=\"invoice-1.csv\""));
    assert_eq!(sheet.text.lines().count(), 601);
    assert_eq!(
        sheet.text.lines().nth(600),
        Some("1,600,0,1,2026-06-19 14:30:00,2026-06-19 14:30:00,ORD-599,18.00,USD,")
    );
    assert_eq!(file(&server.client, "html", "1").text.matches("<tr><td>").count(), 600);
}

#[test]
fn what_others_have_sent_is_no_formula_and_no_markup() {
    let server = TestServer::start();
    let hostile = "=HYPERLINK(\"http://x\",\"<script>alert('1')</script>\")";
    server.convert(hostile);
    server.clock.advance_seconds(DAY_SECONDS);
    close(&server, &[("affiliate_id", "1"), ("end_date", "2026-06-19")]).success();
    let sheet = file(&server.client, "csv", "1").text;
    assert!(sheet.contains(",\"'=HYPERLINK(\"\"http://x\"\",\"\"<script>"), "{sheet}");
    let page = file(&server.client, "html", "1");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("content-security-policy"), Some(POLICY));
    assert!(page.text.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"), "{}", page.text);
    for outside in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.text.contains(outside), "{outside}: {}", page.text);
    }
    assert_eq!(invoice(&server.client, "1")["lines"][0]["unique_id"], hostile);
}

#[test]
fn an_affiliate_reads_its_own_money_and_nobody_elses() {
    let server = TestServer::start();
    server.convert("ORD-1");
    server.clock.advance_seconds(DAY_SECONDS);
    for party in ["affiliate_id", "advertiser_id"] {
        close(&server, &[(party, "1"), ("end_date", "2026-06-19")]).success();
    }
    let (partner, stranger) = (affiliate(&server, "partner", 1), affiliate(&server, "stranger", 2));
    assert_eq!(entries(&partner, &[]), ["affiliate_payable -18.00"]);
    assert_eq!(balance(&partner, &[]), "18.00 0.00 18.00");
    assert_eq!(balance(&partner, &[("account", "affiliates")]), "18.00 0.00 18.00");
    assert_eq!(partner.get("invoices", &[]).success()["total_rows"], 1);
    assert_eq!(invoice(&partner, "1")["invoice"]["total"].to_string(), "18.00");
    for endpoint in ["entries", "balances", "invoices"] {
        assert_eq!(stranger.get(endpoint, &[]).success()["total_rows"], 0, "{endpoint}");
        assert_eq!(stranger.get(endpoint, &[("affiliate_id", "1")]).code(), "not_permitted", "{endpoint}");
        assert_eq!(partner.get(endpoint, &[("advertiser_id", "1")]).code(), "not_permitted", "{endpoint}");
    }
    for endpoint in ["balances", "invoices"] {
        let all = partner.get(endpoint, &[("account", "advertisers")]);
        assert_eq!(all.code(), "not_permitted", "{endpoint}");
    }
    for kind in ["json", "csv", "html"] {
        assert_eq!(file(&partner, kind, "1").status, 200, "{kind}");
        assert_eq!(file(&partner, kind, "2").code(), "invoice_not_found", "{kind}");
        assert_eq!(file(&stranger, kind, "1").code(), "invoice_not_found", "{kind}");
    }
    let record = server.client_with("record", Grant::of(Scope::Conversion));
    for endpoint in ["entries", "balances", "invoices", "adjustments", "batches"] {
        assert_eq!(record.get(endpoint, &[]).code(), "not_permitted", "{endpoint}");
    }
}
