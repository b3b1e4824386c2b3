//! What stands where a value should: a macro that the sender's software never replaced. Taken for a
//! value, `t=TRANSACTION_ID` would make every sale after the first a duplicate.

/// What macros are called in other people's instructions, in lower case and without separators.
const WORDS: &[&str] = &[
    "advertisertransactionid",
    "clickid",
    "conversionid",
    "customerid",
    "deviceid",
    "invoiceid",
    "leadid",
    "orderamount",
    "orderid",
    "ordernumber",
    "ordertotal",
    "reqsessid",
    "requestid",
    "requestsessionid",
    "saleamount",
    "subid",
    "transactionid",
    "uniqueid",
    "userid",
];

/// Whether a value is an unreplaced placeholder: a macro's name such as `TRANSACTION_ID`, in any case, or
/// any name in a macro's brackets (`#tid#`, `{order.id}`, `[[subid]]`).
pub fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    let value = value.strip_prefix('$').unwrap_or(value);
    let macros = [("#", "#"), ("{", "}"), ("[[", "]]")];
    if macros.iter().any(|pair| inside(value, *pair).is_some_and(is_name)) {
        return true;
    }
    let others = [("[", "]"), ("<", ">"), ("%", "%")];
    let bare = others.iter().find_map(|pair| inside(value, *pair)).unwrap_or(value);
    is_word(bare)
}

fn inside<'v>(value: &'v str, (open, close): (&str, &str)) -> Option<&'v str> {
    value.strip_prefix(open)?.strip_suffix(close)
}

/// Letters with digits, underscores, dots, spaces and filters: no JSON, and no GUID in braces.
fn is_name(text: &str) -> bool {
    let text = inside(text, ("{", "}")).unwrap_or(text).trim();
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b' ' | b'|'))
}

fn is_word(text: &str) -> bool {
    /// `INSERT_YOUR_CUSTOMER_ID_HERE` without its underscores is 24 letters.
    const BYTES_MAX: usize = 64;
    if text.len() > BYTES_MAX || !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return false;
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.')).collect();
    let plain = plain.to_ascii_lowercase();
    let mut word = plain.strip_suffix("here").unwrap_or(&plain);
    for before in ["insert", "replacewith", "your"] {
        word = word.strip_prefix(before).unwrap_or(word);
    }
    WORDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_replaced_is_a_placeholder() {
        for value in [
            "TRANSACTION_ID",
            "transaction_id",
            "TransactionId",
            "ORDER-ID",
            "Order ID",
            " CLICK_ID ",
            "[ORDER_ID]",
            "<Transaction ID>",
            "%ORDER_ID%",
            "$ORDER_ID",
            "YOUR_TRANSACTION_ID",
            "INSERT_YOUR_ORDER_ID_HERE",
            "#tid#",
            "#S2#",
            "{transaction_id}",
            "{anything_else}",
            "${orderId}",
            "{{ order.id }}",
            "{{order.id | escape}}",
            "[[subid]]",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn values_are_values() {
        for value in [
            "",
            "ORD-98765",
            "TRANSACTION_ID_7",
            "transaction",
            "id",
            "tid",
            "#1001",
            "#",
            "##",
            "{}",
            "{550e8400-e29b-41d4-a716-446655440000}",
            "{a50e8400-e29b-41d4-a716-446655440000}",
            "{\"a\":1}",
            "[1001]",
            "[[1001]]",
            "100%",
            "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "ORDER_ID=7",
            "漢字",
            &"x".repeat(5000),
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
