//! The order behind a conversion: CAKE's `ec…` parameters, or line items in JSON. It is stored; the
//! price does not depend on it.

use crate::conversion_request::{BadParameter, Fields, TEXT_CHARS_MAX, amount};
use crate::json_text::{self, JsonObject};
use crate::money::{Amount, Currency};

/// Lines of one order at most: far more than a basket has, few enough to store with its conversion.
pub const LINES_MAX: usize = 200;
/// Coupons of one order at most.
pub const COUPONS_MAX: usize = 20;
/// What separates the values of one parameter.
const SEPARATOR: char = '^';
/// The lists that only make lines together: SKUs, quantities, unit prices, discounts.
const LISTS: [&str; 4] = ["ecsk", "ecqu", "ecpr", "ecld"];

/// An order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Order {
    /// The total (`ect`). JSON items may come without one.
    pub total: Option<Amount>,
    /// The sub-total (`ecst`).
    pub sub_total: Option<Amount>,
    /// The tax (`ectx`).
    pub tax: Option<Amount>,
    /// The shipping (`ecsh`).
    pub shipping: Option<Amount>,
    /// The discount on the whole (`ecd`).
    pub discount: Option<Amount>,
    /// The voucher (`ecv`), or empty.
    pub voucher: String,
    /// The coupons (`ecc`).
    pub coupons: Vec<String>,
    /// The currency it was paid in (`eccu`).
    pub currency: Option<Currency>,
    /// The country it goes to (`ecco`), as sent, or empty.
    pub country: String,
    /// The region it goes to (`ecrg`), as sent, or empty.
    pub region: String,
    /// What was bought.
    pub lines: Vec<OrderLine>,
}

/// One line of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderLine {
    /// The article.
    pub sku: String,
    /// How many.
    pub quantity: Amount,
    /// The price of one.
    pub price: Amount,
    /// The discount on the line.
    pub discount: Amount,
}

/// A line item as JSON had it, its values as texts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SentItem {
    /// `sku`
    pub sku: Option<String>,
    /// `quantity`; one where it is missing.
    pub quantity: Option<String>,
    /// `price`
    pub price: Option<String>,
    /// `discount`; none where it is missing.
    pub discount: Option<String>,
}

impl Order {
    /// The canonical JSON: fields in a fixed order, absent ones left out.
    pub fn to_json(&self) -> String {
        let mut object = JsonObject::new();
        object.plain("total", self.total);
        object.plain("sub_total", self.sub_total);
        object.plain("tax", self.tax);
        object.plain("shipping", self.shipping);
        object.plain("discount", self.discount);
        object.text("voucher", &self.voucher);
        object.list("coupons", self.coupons.iter().map(|it| json_text::text(it)));
        object.text("currency", self.currency.as_ref().map_or("", Currency::as_str));
        object.text("country", &self.country);
        object.text("region", &self.region);
        object.list("lines", self.lines.iter().map(OrderLine::to_json));
        object.finish()
    }
}

impl OrderLine {
    fn to_json(&self) -> String {
        let mut object = JsonObject::new();
        object.text("sku", &self.sku);
        object.plain("quantity", Some(self.quantity));
        object.plain("price", Some(self.price));
        object.plain("discount", Some(self.discount));
        object.finish()
    }
}

/// Reads the order a call carries. CAKE's lists go before JSON items; with any of CAKE's fields the
/// total is required.
pub(crate) fn read(fields: &Fields<'_>) -> Result<Option<Order>, BadParameter> {
    let lines = lists(fields)?;
    let has_lists = lines.is_some();
    let lines = lines.map_or_else(|| items(fields.items()), Ok)?;
    let money = |name| fields.named(name).and_then(amount);
    let order = Order {
        total: money("ect")?,
        sub_total: money("ecst")?,
        tax: money("ectx")?,
        shipping: money("ecsh")?,
        discount: money("ecd")?,
        voucher: fields.text("ecv")?,
        coupons: coupons(fields)?,
        currency: currency(fields)?,
        country: fields.text("ecco")?,
        region: fields.text("ecrg")?,
        lines,
    };
    if order == Order::default() {
        return Ok(None);
    }
    let has_fields = Order { lines: Vec::new(), ..order.clone() } != Order::default();
    if order.total.is_none() && (has_fields || has_lists) {
        return Err(BadParameter::missing("ect"));
    }
    Ok(Some(order))
}

fn currency(fields: &Fields<'_>) -> Result<Option<Currency>, BadParameter> {
    let found = fields.named("eccu")?;
    found.map(|(name, value)| value.parse().map_err(|error| BadParameter::invalid(name, error))).transpose()
}

fn coupons(fields: &Fields<'_>) -> Result<Vec<String>, BadParameter> {
    let Some((name, value)) = fields.named("ecc")? else { return Ok(Vec::new()) };
    let coupons: Vec<&str> = value.split(SEPARATOR).filter(|it| !it.is_empty()).collect();
    if coupons.len() > COUPONS_MAX {
        return Err(BadParameter::invalid(name, format!("at most {COUPONS_MAX} coupons")));
    }
    coupons.into_iter().map(|it| within(name, it)).collect()
}

/// The lines of the four lists; none where none of them was sent.
fn lists(fields: &Fields<'_>) -> Result<Option<Vec<OrderLine>>, BadParameter> {
    let [skus, quantities, prices, discounts] = LISTS.map(|name| fields.named(name));
    let sent = [skus?, quantities?, prices?, discounts?];
    if sent.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut lists = Vec::with_capacity(LISTS.len());
    for (name, found) in LISTS.into_iter().zip(sent) {
        let (_, list) = found.ok_or_else(|| BadParameter::missing(name))?;
        let list: Vec<&str> = list.split(SEPARATOR).collect();
        if list.len() > LINES_MAX {
            return Err(BadParameter::invalid(name, format!("at most {LINES_MAX} lines")));
        }
        lists.push((name, list));
    }
    let lines = lists[0].1.len();
    if let Some((name, _)) = lists.iter().find(|(_, list)| list.len() != lines) {
        let problem = format!("{} have the same number of values", LISTS.join(", "));
        return Err(BadParameter::invalid(name, problem));
    }
    let number = |list: usize, line: usize| {
        let (name, values) = &lists[list];
        amount(Some((name, values[line])))?.ok_or_else(|| BadParameter::missing(name))
    };
    let line = |line: usize| {
        Ok(OrderLine {
            sku: within(LISTS[0], lists[0].1[line])?,
            quantity: number(1, line)?,
            price: number(2, line)?,
            // Whoever grants no discount on a line leaves its place empty.
            discount: if lists[3].1[line].is_empty() { Amount::ZERO } else { number(3, line)? },
        })
    };
    (0..lines).map(line).collect::<Result<_, _>>().map(Some)
}

fn items(items: &[SentItem]) -> Result<Vec<OrderLine>, BadParameter> {
    if items.len() > LINES_MAX {
        return Err(BadParameter::invalid("items", format!("at most {LINES_MAX} items")));
    }
    items.iter().enumerate().map(|(index, item)| line(index, item)).collect()
}

fn line(index: usize, item: &SentItem) -> Result<OrderLine, BadParameter> {
    let name = |field: &str| format!("items[{index}].{field}");
    let required = |field: &str, value: &Option<String>| {
        let sent = value.as_deref().filter(|it| !it.is_empty());
        sent.map(str::to_owned).ok_or_else(|| BadParameter::missing(&name(field)))
    };
    let number =
        |field: &str, value: &str| value.parse().map_err(|error| BadParameter::invalid(&name(field), error));
    Ok(OrderLine {
        sku: within(&name("sku"), &required("sku", &item.sku)?)?,
        quantity: number("quantity", item.quantity.as_deref().unwrap_or("1"))?,
        price: number("price", &required("price", &item.price)?)?,
        discount: number("discount", item.discount.as_deref().unwrap_or("0"))?,
    })
}

fn within(name: &str, value: &str) -> Result<String, BadParameter> {
    if value.chars().count() > TEXT_CHARS_MAX {
        return Err(BadParameter::invalid(name, format!("at most {TEXT_CHARS_MAX} characters")));
    }
    if value.contains('\0') {
        return Err(BadParameter::invalid(name, "a text has no NUL character"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversion_request::tests::Sent;

    fn order(sent: &[(&str, &str)]) -> Result<Option<Order>, BadParameter> {
        read(&Fields::of(&Sent(sent, &[])))
    }

    fn json(sent: &[(&str, &str)]) -> String {
        order(sent).expect("valid").expect("an order").to_json()
    }

    fn item(sku: &str, price: &str) -> SentItem {
        SentItem { sku: Some(sku.into()), price: Some(price.into()), ..SentItem::default() }
    }

    #[test]
    fn every_field_of_cakes_is_read() {
        assert_eq!(order(&[("p", "61")]), Ok(None));
        assert_eq!(json(&[("ect", "69.80")]), r#"{"total":69.80}"#);
        let sent = [
            ("ecsk", "A-1^B,2"),
            ("ecqu", "1^2.5"),
            ("ecpr", "9.99^5"),
            ("ecld", "^0.5"),
            ("ect", "20"),
            ("ecst", "18"),
            ("ectx", "2"),
            ("ecsh", "1"),
            ("ecd", "1"),
            ("ecv", "gift \"7\""),
            ("ecc", "SPRING^^VIP"),
            ("eccu", "eur"),
            ("ecco", "Österreich"),
            ("ecrg", "Wien"),
        ];
        let expected = r#"{"total":20.00,"sub_total":18.00,"tax":2.00,"shipping":1.00,"discount":1.00,
            "voucher":"gift \"7\"","coupons":["SPRING","VIP"],"currency":"EUR","country":"Österreich","region":"Wien",
            "lines":[{"sku":"A-1","quantity":1.00,"price":9.99,"discount":0.00},
            {"sku":"B,2","quantity":2.50,"price":5.00,"discount":0.50}]}"#;
        assert_eq!(json(&sent), expected.lines().map(str::trim).collect::<String>());
    }

    #[test]
    fn json_items_are_lines_without_a_total() {
        let items = [item("A", "9.99"), SentItem { quantity: Some("3".into()), ..item("B^C", "1") }];
        let found = read(&Fields::of(&Sent(&[], &items))).expect("valid").expect("an order");
        let expected = r#"{"lines":[{"sku":"A","quantity":1.00,"price":9.99,"discount":0.00},
            {"sku":"B^C","quantity":3.00,"price":1.00,"discount":0.00}]}"#;
        assert_eq!(found.to_json(), expected.lines().map(str::trim).collect::<String>());
        let lists = [("ecsk", "X"), ("ecqu", "1"), ("ecpr", "1"), ("ecld", "0"), ("ect", "1")];
        let found = read(&Fields::of(&Sent(&lists, &items))).expect("valid").expect("an order");
        assert_eq!(found.lines.len(), 1, "CAKE's own lists go first");
        assert_eq!(read(&Fields::of(&Sent(&[("ecv", "gift")], &items))), Err(BadParameter::missing("ect")));
    }

    #[test]
    fn what_cannot_be_an_order_is_named() {
        let check = |sent: &[(&str, &str)], message: &str| {
            assert_eq!(order(sent).expect_err(message).message(), message);
        };
        let lists = [("ecsk", "A^B"), ("ecqu", "1^2"), ("ecpr", "1^2"), ("ecld", "0^0")];
        let with = |name: &'static str, value: &'static str| {
            let kept = lists.into_iter().filter(|(known, _)| *known != name);
            kept.chain([(name, value)].into_iter().filter(|it| !it.1.is_empty())).collect::<Vec<_>>()
        };
        check(&lists, "ect is required");
        check(&[("ecst", "1")], "ect is required");
        for name in LISTS {
            check(&with(name, ""), &format!("{name} is required"));
        }
        check(&with("ecqu", "1"), "ecqu: ecsk, ecqu, ecpr, ecld have the same number of values");
        check(&with("ecpr", "1^x"), "ecpr: not an amount: use a plain decimal number such as 18.00");
        check(&with("ecqu", "^1"), "ecqu: not an amount: use a plain decimal number such as 18.00");
        check(&[("ect", "-1")], "ect: an amount may not be negative");
        check(&[("eccu", "euro")], "eccu: not a currency: use three letters as in ISO 4217, such as USD");
        check(&[("ecv", &"x".repeat(501))], "ecv: at most 500 characters");
        check(&[("ecc", &"x".repeat(501))], "ecc: at most 500 characters");
        check(&[("ecc", &"x^".repeat(21))], "ecc: at most 20 coupons");
        check(&[("ecsk", "a\0")], "ecsk: a text has no NUL character");
        let many = "1^".repeat(200) + "1";
        let lists = LISTS.map(|name| (name, many.as_str()));
        check(&lists, "ecsk: at most 200 lines");
    }

    #[test]
    fn an_item_that_cannot_be_a_line_is_named_by_its_place() {
        let check = |item: SentItem, message: &str| {
            let items = [self::item("A", "1"), item];
            let refused = read(&Fields::of(&Sent(&[], &items))).expect_err(message);
            assert_eq!(refused.message(), message);
        };
        check(SentItem::default(), "items[1].sku is required");
        check(SentItem { sku: Some("B".into()), ..SentItem::default() }, "items[1].price is required");
        check(item("B", "-1"), "items[1].price: an amount may not be negative");
        check(item("B\0", "1"), "items[1].sku: a text has no NUL character");
        let many = vec![item("A", "1"); LINES_MAX + 1];
        let refused = read(&Fields::of(&Sent(&[], &many))).expect_err("too many");
        assert_eq!(refused.message(), "items: at most 200 items");
    }
}
