//! Whether the books are right. Each check is one question whose every row is something wrong: what it
//! stands in, and the problem, in words. Amounts are told in millionths, as they are kept.

use super::Book;
use crate::LedgerError;
use crate::database::{Database, Record, single, values};
use crate::verify::{Finding, VerifyBook};

/// The checks, by their stable names.
const CHECKS: &[(&str, &str)] = &[
    (
        "lines_add_up",
        "SELECT 'conversion ' || conversion_id || ', booking ' || booking AS place, \
         'it has ' || count(*) || ' lines that add up to ' || sum(amount) || ' instead of three to 0' AS problem \
         FROM entries GROUP BY offer_id, conversion_id, booking HAVING count(*) <> 3 OR sum(amount) <> 0",
    ),
    (
        "lines_match_worth",
        "SELECT 'conversion ' || conversions.conversion_id AS place, \
         'it is worth ' || payout || ' to the affiliate and ' || revenue || ' from the advertiser, and its lines say ' \
         || coalesce(owed, 0) || ' and ' || coalesce(due, 0) AS problem \
         FROM conversions LEFT JOIN (SELECT offer_id, conversion_id, \
         sum(CASE WHEN account = 'affiliate_payable' THEN -amount ELSE 0 END) AS owed, \
         sum(CASE WHEN account = 'advertiser_receivable' THEN amount ELSE 0 END) AS due \
         FROM entries GROUP BY offer_id, conversion_id) AS summed \
         ON summed.offer_id = conversions.offer_id AND summed.conversion_id = conversions.conversion_id \
         WHERE coalesce(owed, 0) <> payout OR coalesce(due, 0) <> revenue",
    ),
    (
        "lines_belong",
        "SELECT 'conversion ' || entries.conversion_id || ', booking ' || entries.booking || ', ' || account AS place, \
         CASE WHEN conversions.conversion_id IS NULL THEN 'there is no such conversion' \
         ELSE 'party ' || party_id || ' in ' || entries.currency || ' is not the conversion''s' END AS problem \
         FROM entries LEFT JOIN conversions ON conversions.offer_id = entries.offer_id \
         AND conversions.conversion_id = entries.conversion_id \
         WHERE conversions.conversion_id IS NULL OR entries.currency <> conversions.currency \
         OR party_id <> CASE account WHEN 'advertiser_receivable' THEN conversions.advertiser_id \
         WHEN 'affiliate_payable' THEN conversions.affiliate_id ELSE 0 END",
    ),
    (
        "worth_matches_status",
        "SELECT 'conversion ' || conversion_id AS place, 'it is ' || status || ' at a price of ' || price_payout \
         || ' and ' || price_revenue || ', and says it is worth ' || payout || ' and ' || revenue AS problem \
         FROM conversions WHERE status NOT IN ('pending', 'approved', 'rejected', 'reversed', 'ignored') \
         OR payout <> CASE WHEN status IN ('pending', 'approved') THEN price_payout ELSE 0 END \
         OR revenue <> CASE WHEN status IN ('pending', 'approved') THEN price_revenue ELSE 0 END",
    ),
    (
        "adjustments_are_all_there",
        "SELECT 'conversion ' || conversions.conversion_id AS place, 'it says it has had ' || adjustments \
         || ' adjustments, and ' || coalesce(there, 0) || ' are there' AS problem \
         FROM conversions LEFT JOIN (SELECT offer_id, conversion_id, count(*) AS there, max(booking) AS last \
         FROM adjustments GROUP BY offer_id, conversion_id) AS made \
         ON made.offer_id = conversions.offer_id AND made.conversion_id = conversions.conversion_id \
         WHERE coalesce(there, 0) <> adjustments OR coalesce(last, 0) <> adjustments",
    ),
    (
        "adjustments_follow_each_other",
        "SELECT 'conversion ' || later.conversion_id || ', adjustment ' || later.booking AS place, \
         'it begins where the one before did not end' AS problem \
         FROM adjustments AS later JOIN adjustments AS earlier ON earlier.offer_id = later.offer_id \
         AND earlier.conversion_id = later.conversion_id AND earlier.booking = later.booking - 1 \
         WHERE earlier.to_status <> later.from_status OR earlier.to_payout <> later.from_payout \
         OR earlier.to_revenue <> later.from_revenue",
    ),
    (
        "adjustments_lead_from_the_price_to_the_standing",
        "SELECT 'conversion ' || conversions.conversion_id AS place, \
         'its adjustments do not lead from its price at recording to where it stands' AS problem \
         FROM conversions LEFT JOIN adjustments AS first ON first.offer_id = conversions.offer_id \
         AND first.conversion_id = conversions.conversion_id AND first.booking = 1 \
         LEFT JOIN adjustments AS last ON last.offer_id = conversions.offer_id \
         AND last.conversion_id = conversions.conversion_id AND last.booking = conversions.adjustments \
         WHERE coalesce(first.from_payout, price_payout) <> original_payout \
         OR coalesce(first.from_revenue, price_revenue) <> original_revenue \
         OR coalesce(last.to_status, conversions.status) <> conversions.status \
         OR coalesce(last.to_payout, price_payout) <> price_payout \
         OR coalesce(last.to_revenue, price_revenue) <> price_revenue",
    ),
    (
        "changes_are_all_there",
        "SELECT 'conversion ' || conversions.conversion_id AS place, 'it has had ' || adjustments \
         || ' adjustments since its recording, and ' || coalesce(there, 0) || ' changes of it are there' AS problem \
         FROM conversions LEFT JOIN (SELECT offer_id, conversion_id, count(*) AS there, \
         count(DISTINCT booking) AS bookings, min(booking) AS first, max(booking) AS last \
         FROM changes GROUP BY offer_id, conversion_id) AS made \
         ON made.offer_id = conversions.offer_id AND made.conversion_id = conversions.conversion_id \
         WHERE coalesce(there, 0) <> adjustments + 1 OR bookings <> there OR first <> 0 OR last <> adjustments",
    ),
    (
        "changes_belong",
        "SELECT 'change ' || change_id AS place, 'the conversion or adjustment that it is about is not on record, \
         or was made at another time' AS problem \
         FROM changes LEFT JOIN conversions ON conversions.offer_id = changes.offer_id \
         AND conversions.conversion_id = changes.conversion_id \
         LEFT JOIN adjustments AS made ON made.offer_id = changes.offer_id \
         AND made.conversion_id = changes.conversion_id AND made.booking = changes.booking \
         WHERE conversions.conversion_id IS NULL \
         OR changed_at <> CASE WHEN changes.booking = 0 THEN recorded_at ELSE coalesce(made_at, changed_at - 1) END",
    ),
    (
        "changes_are_numbered_without_gaps",
        "SELECT 'change ' || change_id AS place, 'the one before has the number ' || previous AS problem \
         FROM (SELECT change_id, lag(change_id, 1, CAST(0 AS BIGINT)) OVER (ORDER BY change_id) AS previous \
         FROM changes) AS numbered WHERE change_id <> previous + 1 \
         UNION ALL SELECT 'version ' || name, 'it says that ' || version || ' changes were made, and the last has the \
         number ' || last FROM versions, (SELECT coalesce(max(change_id), 0) AS last FROM changes) AS newest \
         WHERE name = 'changes' AND version <> last",
    ),
    (
        "changes_come_in_the_order_of_their_bookings",
        "SELECT 'change ' || change_id AS place, 'conversion ' || conversion_id || ', booking ' || booking \
         || ', comes before an earlier booking' AS problem FROM (SELECT change_id, conversion_id, booking, \
         lag(change_id) OVER (PARTITION BY offer_id, conversion_id ORDER BY booking) AS previous FROM changes) \
         AS in_order WHERE previous > change_id",
    ),
    (
        "approvals_have_their_date",
        "SELECT 'conversion ' || conversions.conversion_id AS place, \
         'when it says it was first approved is not when it was, or it never was' AS problem \
         FROM conversions LEFT JOIN adjustments AS first ON first.offer_id = conversions.offer_id \
         AND first.conversion_id = conversions.conversion_id AND first.booking = 1 \
         WHERE approved_at IS DISTINCT FROM CASE \
         WHEN coalesce(first.from_status, conversions.status) = 'approved' THEN conversion_date \
         ELSE (SELECT made_at FROM adjustments AS later WHERE later.offer_id = conversions.offer_id \
         AND later.conversion_id = conversions.conversion_id AND later.to_status = 'approved' \
         ORDER BY booking LIMIT 1) END",
    ),
    (
        "attempts_are_there",
        "SELECT 'conversion ' || conversions.conversion_id AS place, \
         'the call that it came from is not on record' AS problem \
         FROM conversions LEFT JOIN (SELECT DISTINCT conversion_id FROM attempts WHERE outcome = 'recorded') AS calls \
         ON calls.conversion_id = conversions.conversion_id WHERE calls.conversion_id IS NULL",
    ),
    (
        "price_rules_are_there",
        "SELECT 'conversion ' || conversion_id AS place, \
         'the version of a price rule that it names is not on record' AS problem FROM conversions \
         WHERE (payout_rule_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM price_rule_versions \
         WHERE price_rule_id = payout_rule_id AND version = payout_rule_version)) \
         OR (revenue_rule_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM price_rule_versions \
         WHERE price_rule_id = revenue_rule_id AND version = revenue_rule_version))",
    ),
    (
        "parties_are_there",
        "SELECT 'conversion ' || conversion_id AS place, \
         'its offer, advertiser or affiliate is not on record, or the offer is another advertiser''s' AS problem \
         FROM conversions LEFT JOIN offers ON offers.offer_id = conversions.offer_id \
         LEFT JOIN affiliates ON affiliates.affiliate_id = conversions.affiliate_id \
         WHERE affiliates.affiliate_id IS NULL OR coalesce(offers.advertiser_id, 0) <> conversions.advertiser_id",
    ),
    (
        "statements_equal_their_lines",
        "SELECT 'statement ' || statements.statement_id AS place, 'it says ' || lines || ' lines and ' || total \
         || ', and has ' || coalesce(there, 0) || ' and ' || coalesce(summed, 0) AS problem \
         FROM statements LEFT JOIN (SELECT statement_id, count(*) AS there, sum(amount) AS summed FROM entries \
         WHERE statement_id IS NOT NULL GROUP BY statement_id) AS stated \
         ON stated.statement_id = statements.statement_id \
         WHERE coalesce(there, 0) <> lines OR coalesce(summed, 0) <> total",
    ),
    (
        "statement_lines_belong",
        "SELECT 'conversion ' || conversion_id || ', booking ' || booking || ', ' || entries.account AS place, \
         'it is on statement ' || entries.statement_id || ', where it does not belong' AS problem \
         FROM entries LEFT JOIN statements ON statements.statement_id = entries.statement_id \
         WHERE entries.statement_id IS NOT NULL AND (statements.statement_id IS NULL \
         OR statements.account <> entries.account OR statements.party_id <> entries.party_id \
         OR statements.currency <> entries.currency OR entries.effective >= statements.until)",
    ),
    (
        "statements_follow_each_other",
        "SELECT 'statement ' || statement_id AS place, 'it does not begin where the one before ended' AS problem \
         FROM statements WHERE coalesce(starts, -1) <> coalesce((SELECT max(earlier.until) \
         FROM statements AS earlier WHERE earlier.account = statements.account \
         AND earlier.party_id = statements.party_id AND earlier.currency = statements.currency \
         AND earlier.until < statements.until), -1)",
    ),
    (
        "cap_counters_equal_their_counts",
        "SELECT 'cap ' || cap_counters.cap_id || ', window from ' || cap_counters.window_from AS place, \
         'it has taken ' || used || ', and its conversions count for ' || (baseline + coalesce(counted, 0)) AS problem \
         FROM cap_counters LEFT JOIN (SELECT offer_id, cap_id, window_from, sum(measure) AS counted FROM cap_counts \
         GROUP BY offer_id, cap_id, window_from) AS summed ON summed.offer_id = cap_counters.offer_id \
         AND summed.cap_id = cap_counters.cap_id AND summed.window_from = cap_counters.window_from \
         WHERE used <> baseline + coalesce(counted, 0)",
    ),
    (
        "roll_ups_equal_their_conversions",
        "SELECT 'offer ' || offer_id || ', affiliate ' || affiliate_id || ', hour ' || hour || ', ' || status AS place, \
         'it differs from its conversions by ' || sum(conversions) || ' of them, ' || sum(payout) || ' and ' \
         || sum(revenue) AS problem FROM (SELECT offer_id, hour, affiliate_id, campaign_id, creative_id, event_id, \
         status, currency, conversions, payout, revenue FROM rollups UNION ALL \
         SELECT offer_id, conversion_date - (conversion_date % 3600000000 + 3600000000) % 3600000000, affiliate_id, \
         coalesce(campaign_id, 0), creative_id, event_id, status, currency, -1, -payout, -revenue FROM conversions) \
         AS both_sides GROUP BY offer_id, hour, affiliate_id, campaign_id, creative_id, event_id, status, currency \
         HAVING sum(conversions) <> 0 OR sum(payout) <> 0 OR sum(revenue) <> 0",
    ),
    (
        "counts_equal_their_conversions",
        "SELECT 'offer ' || offer_id || ', day ' || day || ', ' || status AS place, \
         'it differs from its conversions by ' || sum(conversions) AS problem FROM (SELECT offer_id, day, \
         status, conversions FROM conversion_counts UNION ALL SELECT offer_id, \
         conversion_date - (conversion_date % 86400000000 + 86400000000) % 86400000000, status, -1 FROM conversions) \
         AS both_sides GROUP BY offer_id, day, status HAVING sum(conversions) <> 0",
    ),
    (
        "deliveries_belong",
        "SELECT 'delivery ' || deliveries.conversion_id || '-' || booking || '-' || deliveries.postback_id AS place, \
         CASE WHEN conversions.conversion_id IS NULL THEN 'there is no such conversion' \
         WHEN postbacks.postback_id IS NULL THEN 'there is no such postback' \
         ELSE 'its affiliate is not the conversion''s' END AS problem \
         FROM deliveries LEFT JOIN conversions ON conversions.offer_id = deliveries.offer_id \
         AND conversions.conversion_id = deliveries.conversion_id \
         LEFT JOIN postbacks ON postbacks.postback_id = deliveries.postback_id \
         WHERE conversions.conversion_id IS NULL OR postbacks.postback_id IS NULL \
         OR deliveries.affiliate_id <> conversions.affiliate_id",
    ),
    (
        "deliveries_are_all_there",
        "SELECT 'conversion ' || conversions.conversion_id AS place, 'it says it has caused ' || deliveries \
         || ' deliveries, and ' || coalesce(there, 0) || ' are there' AS problem \
         FROM conversions LEFT JOIN (SELECT offer_id, conversion_id, count(*) AS there \
         FROM deliveries GROUP BY offer_id, conversion_id) AS caused \
         ON caused.offer_id = conversions.offer_id AND caused.conversion_id = conversions.conversion_id \
         WHERE coalesce(there, 0) <> deliveries",
    ),
    (
        "deliveries_tell_what_their_cause_left",
        "SELECT 'delivery ' || deliveries.conversion_id || '-' || deliveries.booking || '-' || postback_id AS place, \
         'it tells that the conversion was ' || conversion_status || ' at ' || deliveries.payout || ' and ' \
         || deliveries.revenue || ', which its cause did not leave' AS problem \
         FROM deliveries JOIN conversions ON conversions.offer_id = deliveries.offer_id \
         AND conversions.conversion_id = deliveries.conversion_id \
         LEFT JOIN adjustments AS cause ON cause.offer_id = deliveries.offer_id \
         AND cause.conversion_id = deliveries.conversion_id AND cause.booking = deliveries.booking \
         LEFT JOIN adjustments AS first ON first.offer_id = deliveries.offer_id \
         AND first.conversion_id = deliveries.conversion_id AND first.booking = 1 \
         WHERE CASE WHEN deliveries.booking = 0 \
         THEN conversion_status <> coalesce(first.from_status, conversions.status) \
         OR deliveries.payout <> coalesce(first.from_payout, price_payout) \
         OR deliveries.revenue <> coalesce(first.from_revenue, price_revenue) \
         ELSE cause.booking IS NULL OR conversion_status <> cause.to_status \
         OR deliveries.payout <> cause.to_payout OR deliveries.revenue <> cause.to_revenue END",
    ),
    (
        "deliveries_have_a_state",
        "SELECT 'delivery ' || conversion_id || '-' || booking || '-' || postback_id AS place, \
         'it is ' || status || CASE WHEN lease IS NULL THEN ', and not being tried' ELSE ', and being tried' END \
         AS problem FROM deliveries WHERE status NOT IN ('due', 'delivered', 'held', 'cancelled') \
         OR (status <> 'due' AND lease IS NOT NULL) OR (lease IS NULL AND leased_by IS NOT NULL) \
         OR (lease IS NOT NULL AND leased_by IS NULL)",
    ),
    (
        "tries_are_all_there",
        "SELECT 'delivery ' || deliveries.conversion_id || '-' || deliveries.booking || '-' || deliveries.postback_id \
         AS place, 'it is ' || status || ' after ' || tries || ' tries, ' || round || ' of them in this round, and ' \
         || coalesce(there, 0) || ' are there' AS problem \
         FROM deliveries LEFT JOIN (SELECT offer_id, conversion_id, booking, postback_id, count(*) AS there \
         FROM delivery_tries GROUP BY offer_id, conversion_id, booking, postback_id) AS made \
         ON made.offer_id = deliveries.offer_id AND made.conversion_id = deliveries.conversion_id \
         AND made.booking = deliveries.booking AND made.postback_id = deliveries.postback_id \
         WHERE tries > coalesce(there, 0) OR round > tries OR (status = 'delivered' AND coalesce(there, 0) = 0)",
    ),
    (
        "tries_belong",
        "SELECT 'delivery ' || delivery_tries.conversion_id || '-' || delivery_tries.booking || '-' \
         || delivery_tries.postback_id AS place, 'it was tried, and there is no such delivery' AS problem \
         FROM delivery_tries LEFT JOIN deliveries ON deliveries.offer_id = delivery_tries.offer_id \
         AND deliveries.conversion_id = delivery_tries.conversion_id \
         AND deliveries.booking = delivery_tries.booking AND deliveries.postback_id = delivery_tries.postback_id \
         WHERE deliveries.conversion_id IS NULL",
    ),
];

impl<D: Database> VerifyBook for Book<D> {
    fn verify(&self, finding: &mut dyn FnMut(Finding)) -> Result<u64, LedgerError> {
        self.database.read(|session| {
            for (check, question) in CHECKS {
                let sql = format!("-- {check}\n{question}");
                session.each(&sql, values![], &mut |record: &Record| {
                    let row = record.of(check);
                    finding(Finding { check, row: row.get("place")?, problem: row.get("problem")? });
                    Ok(())
                })?;
            }
            let mut rows = 0;
            for table in [
                "conversions",
                "attempts",
                "adjustments",
                "changes",
                "entries",
                "statements",
                "deliveries",
                "delivery_tries",
            ] {
                let sql = format!("-- count_{table}\nSELECT count(*) FROM {table}");
                rows += single::<u64>(session, &sql, values![])?;
            }
            Ok(rows)
        })
    }
}
