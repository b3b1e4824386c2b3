//! The network as a file: what each kind of thing is called there, told apart by, and made and changed with.
//! Its fields are those of the API, so the file says nothing the API does not explain.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use anyhow::{Context as _, bail, ensure};
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json};
use toml::{Table, Value as Toml};

use super::api::Api;

/// Rows asked for at a time.
const PAGE: usize = 500;

/// A thing's fields.
pub(super) type Fields = Map<String, Json>;

/// A kind of thing in the network.
#[derive(Debug)]
pub(super) struct Kind {
    /// What its tables are called, and the endpoint that makes it.
    pub noun: &'static str,
    /// The endpoint that lists it.
    pub list: &'static str,
    /// Its number, where it has one of its own.
    pub id: Option<&'static str>,
    /// What it is called, where it has a name.
    pub name: Option<&'static str>,
    /// What tells it from others of its kind, beside its number.
    pub key: &'static [&'static str],
    /// Fields that are numbers of other things, and of what kind.
    pub references: &'static [(&'static str, &'static str)],
    /// What the API tells and nobody sets.
    pub told: &'static [&'static str],
    /// What can be changed and not be made with.
    pub changed: &'static [&'static str],
    /// What takes it out of use.
    pub off: Option<(&'static str, &'static str)>,
}

/// All kinds, each after those it refers to; offers refer to each other.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        noun: "advertiser",
        list: "advertisers",
        id: Some("advertiser_id"),
        name: Some("advertiser_name"),
        key: &["advertiser_name"],
        references: &[],
        told: &[],
        changed: &[],
        off: Some(("advertiser_status", "inactive")),
    },
    Kind {
        noun: "affiliate",
        list: "affiliates",
        id: Some("affiliate_id"),
        name: Some("affiliate_name"),
        key: &["affiliate_name"],
        references: &[],
        told: &[],
        changed: &[],
        off: Some(("affiliate_status", "inactive")),
    },
    Kind {
        noun: "offer",
        list: "offers",
        id: Some("offer_id"),
        name: Some("offer_name"),
        key: &["advertiser_id", "offer_name"],
        references: &[("advertiser_id", "advertiser"), ("redirect_offer_id", "offer")],
        told: &["creative_id"],
        changed: &[],
        off: Some(("offer_status", "inactive")),
    },
    Kind {
        noun: "creative",
        list: "creatives",
        id: Some("creative_id"),
        name: Some("creative_name"),
        key: &["offer_id", "creative_name"],
        references: &[("offer_id", "offer")],
        told: &[],
        changed: &[],
        off: Some(("creative_status", "deleted")),
    },
    Kind {
        noun: "landing_page",
        list: "landing_pages",
        id: Some("landing_page_id"),
        name: Some("landing_page_name"),
        key: &["offer_id", "landing_page_name"],
        references: &[("offer_id", "offer")],
        told: &[],
        changed: &[],
        off: Some(("landing_page_status", "deleted")),
    },
    Kind {
        noun: "event",
        list: "events",
        id: Some("event_id"),
        name: Some("event_name"),
        key: &["advertiser_id", "event_name"],
        references: &[("advertiser_id", "advertiser")],
        told: &[],
        changed: &[],
        off: Some(("event_status", "inactive")),
    },
    Kind {
        noun: "campaign",
        list: "campaigns",
        id: Some("campaign_id"),
        name: None,
        key: &["affiliate_id", "offer_id"],
        references: &[
            ("affiliate_id", "affiliate"),
            ("offer_id", "offer"),
            ("creative_id", "creative"),
            ("redirect_offer_id", "offer"),
        ],
        told: &["tracking_link", "offer_name", "affiliate_name"],
        changed: &[],
        off: Some(("campaign_status", "deleted")),
    },
    Kind {
        noun: "offer_event",
        list: "offer_events",
        id: None,
        name: None,
        key: &["offer_id", "event_id", "campaign_id"],
        references: &[("offer_id", "offer"), ("event_id", "event"), ("campaign_id", "campaign")],
        told: &[],
        changed: &[],
        off: Some(("enabled", "false")),
    },
    Kind {
        noun: "price_rule",
        list: "price_rules",
        id: Some("price_rule_id"),
        name: None,
        key: &["offer_id", "campaign_id", "position"],
        references: &[("offer_id", "offer"), ("campaign_id", "campaign"), ("event", "event")],
        told: &["price_rule_version"],
        changed: &[],
        off: Some(("price_rule_status", "deleted")),
    },
    Kind {
        noun: "tier_price",
        list: "tier_prices",
        id: None,
        name: None,
        key: &["offer_id", "tier"],
        references: &[("offer_id", "offer")],
        told: &[],
        changed: &[],
        off: None,
    },
    Kind {
        noun: "exchange_rate",
        list: "exchange_rates",
        id: None,
        name: None,
        key: &["currency", "effective_date"],
        references: &[],
        told: &[],
        changed: &[],
        off: None,
    },
    Kind {
        noun: "rule",
        list: "rules",
        id: Some("rule_id"),
        name: None,
        key: &["offer_id", "campaign_id", "position"],
        references: &[("offer_id", "offer"), ("campaign_id", "campaign"), ("redirect_offer_id", "offer")],
        told: &["rule_version"],
        changed: &[],
        off: Some(("rule_status", "deleted")),
    },
    Kind {
        noun: "cap",
        list: "caps",
        id: Some("cap_id"),
        name: None,
        key: &["offer_id", "campaign_id", "event_id", "cap_type", "interval"],
        references: &[("offer_id", "offer"), ("campaign_id", "campaign"), ("event_id", "event")],
        told: &["used"],
        changed: &["cap_status"],
        off: Some(("cap_status", "deleted")),
    },
    Kind {
        noun: "affiliate_postback",
        list: "affiliate_postbacks",
        id: Some("postback_id"),
        name: None,
        key: &["affiliate_id", "offer_id", "campaign_id", "event_id", "postback_url"],
        references: &[
            ("affiliate_id", "affiliate"),
            ("offer_id", "offer"),
            ("campaign_id", "campaign"),
            ("event_id", "event"),
        ],
        told: &["postback_type", "is_signed", "signing_secret"],
        changed: &[],
        off: Some(("postback_status", "inactive")),
    },
    Kind {
        noun: "webhook",
        list: "webhooks",
        id: Some("webhook_id"),
        name: None,
        key: &["advertiser_id", "offer_id", "event_id", "webhook_url"],
        references: &[("advertiser_id", "advertiser"), ("offer_id", "offer"), ("event_id", "event")],
        told: &["is_signed", "signing_secret"],
        changed: &[],
        off: Some(("webhook_status", "inactive")),
    },
];

impl Kind {
    /// The kind of that noun.
    pub(super) fn of(noun: &str) -> Option<&'static Self> {
        KINDS.iter().find(|it| it.noun == noun)
    }

    /// Whether a field is the API's own, and not set by anybody.
    pub(super) fn is_told(&self, field: &str) -> bool {
        field == "date_created" || self.told.contains(&field) || self.id == Some(field)
    }

    /// What things of this kind are told apart by.
    pub(super) fn key_of(&self, fields: &Fields) -> Vec<String> {
        self.key.iter().map(|field| text(fields.get(*field))).collect()
    }

    /// Its number.
    pub(super) fn id_of(&self, fields: &Fields) -> Option<u64> {
        self.id.and_then(|field| fields.get(field)).and_then(Json::as_u64)
    }

    /// How it is spoken of.
    pub(super) fn title(&self, fields: &Fields) -> String {
        let noun = self.noun.replace('_', " ");
        let id = self.id_of(fields).map(|id| format!(" {id}")).unwrap_or_default();
        let what = match self.name {
            Some(name) => format!("\"{}\"", text(fields.get(name))),
            None => self
                .key
                .iter()
                .filter(|field| !text(fields.get(**field)).is_empty())
                .map(|field| format!("{field}={}", text(fields.get(*field))))
                .collect::<Vec<_>>()
                .join(" "),
        };
        format!("{noun}{id} ({what})")
    }
}

/// A value as forms send it; empty where there is none.
pub(super) fn text(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(values)) => values.iter().map(|it| text(Some(it))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

/// Whether two texts say the same: numbers by what they come to.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let number = |text: &str| Decimal::from_str(text).ok();
    a == b || number(a).zip(number(b)).is_some_and(|(a, b)| a == b)
}

/// Everything of a kind that the network has.
pub(super) fn list(api: &Api, kind: &Kind) -> anyhow::Result<Vec<Fields>> {
    let mut found = Vec::new();
    loop {
        let query = [("start_at_row", found.len().to_string()), ("row_limit", PAGE.to_string())];
        let answer = api.get(kind.list, &query)?.map_err(|told| anyhow::anyhow!(told))?;
        let total = answer["total_rows"].as_u64().context("the server's answer has no total_rows")?;
        let rows = answer.as_object().into_iter().flatten().find_map(|(_, value)| value.as_array());
        let rows = rows.context("the server's answer has no list")?;
        found.extend(rows.iter().filter_map(Json::as_object).map(own).cloned());
        if rows.is_empty() || found.len() as u64 >= total {
            return Ok(found);
        }
    }
}

/// The fields of a row: some lists have them in an object of their own.
fn own(row: &Fields) -> &Fields {
    let mut values = row.values();
    match (values.next(), values.next()) {
        (Some(Json::Object(fields)), None) => fields,
        _ => row,
    }
}

/// The network as a file.
pub(super) fn write(network: &BTreeMap<&'static str, Vec<Fields>>) -> anyhow::Result<String> {
    let mut file = String::from(
        "# A network, as `crumb apply` reads it. Fields are those of the API; a number of another thing may be its name\n\
         # in quotes. Signing secrets are not in it.\n",
    );
    for kind in KINDS {
        for fields in network.get(kind.noun).into_iter().flatten() {
            let mut table = Table::new();
            for (name, value) in fields {
                // What an offer's first creative is called by its number tells which one that is.
                let is_kept = !kind.is_told(name)
                    || kind.id == Some(name)
                    || (kind.noun == "offer" && name == "creative_id");
                if is_kept && let Some(value) = toml_of(value) {
                    table.insert(name.clone(), value);
                }
            }
            let one = Table::from_iter([(kind.noun.to_owned(), Toml::Array(vec![Toml::Table(table)]))]);
            file.push('\n');
            file.push_str(&toml::to_string(&one).context("the network cannot be written as TOML")?);
        }
    }
    Ok(file)
}

/// A value as TOML; none for what is not set.
fn toml_of(value: &Json) -> Option<Toml> {
    match value {
        Json::Null | Json::Object(_) => None,
        Json::Bool(is) => Some(Toml::Boolean(*is)),
        Json::String(text) => Some(Toml::String(text.clone())),
        Json::Number(number) => match number.as_i64().filter(|_| !number.to_string().contains('.')) {
            Some(whole) => Some(Toml::Integer(whole)),
            // Exact, whatever a float would make of it.
            None => Some(Toml::String(number.to_string())),
        },
        Json::Array(values) => Some(Toml::Array(values.iter().filter_map(toml_of).collect())),
    }
}

/// A file's things, in the order of kinds.
pub(super) fn read(file: &str) -> anyhow::Result<Vec<(&'static Kind, Fields)>> {
    let tables: Table = toml::from_str(file)?;
    let mut things = Vec::new();
    let known: BTreeSet<_> = KINDS.iter().map(|it| it.noun).collect();
    if let Some(unknown) = tables.keys().find(|it| !known.contains(it.as_str())) {
        bail!(
            "[[{unknown}]] is nothing a network has: use {}",
            KINDS.iter().map(|it| it.noun).collect::<Vec<_>>().join(", ")
        );
    }
    for kind in KINDS {
        let Some(entries) = tables.get(kind.noun) else { continue };
        let entries = entries
            .as_array()
            .with_context(|| format!("{0} is a list of tables: write [[{0}]]", kind.noun))?;
        for entry in entries {
            let entry = entry
                .as_table()
                .with_context(|| format!("{0} is a list of tables: write [[{0}]]", kind.noun))?;
            let mut fields = Fields::new();
            for (name, value) in entry {
                let value = json_of(value).with_context(|| format!("[[{}]] {name}", kind.noun))?;
                fields.insert(name.clone(), value);
            }
            for field in kind.key.iter().filter(|_| kind.name.is_some()) {
                ensure!(fields.contains_key(*field), "[[{}]] has no {field}", kind.noun);
            }
            things.push((kind, fields));
        }
    }
    Ok(things)
}

fn json_of(value: &Toml) -> anyhow::Result<Json> {
    Ok(match value {
        Toml::String(text) => Json::String(text.clone()),
        Toml::Integer(number) => Json::from(*number),
        Toml::Float(number) => Json::String(number.to_string()),
        Toml::Boolean(is) => Json::Bool(*is),
        Toml::Datetime(at) => Json::String(at.to_string()),
        Toml::Array(values) => Json::Array(values.iter().map(json_of).collect::<anyhow::Result<_>>()?),
        Toml::Table(_) => bail!("a text, a number, true, false or a list of these is expected"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_after_those_they_refer_to() {
        for (at, kind) in KINDS.iter().enumerate() {
            for (field, noun) in kind.references {
                let other = KINDS.iter().position(|it| it.noun == *noun).expect("a kind");
                assert!(
                    other < at || (kind.noun, *field) == ("offer", "redirect_offer_id"),
                    "{} {field}",
                    kind.noun
                );
            }
        }
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        assert!(is_same("18", "18.00") && is_same("a", "a") && is_same("0.5", "0.50"));
        assert!(!is_same("18", "18.01") && !is_same("a", "A") && !is_same("", "0"));
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let fields = serde_json::json!({
            "offer_id": 1, "offer_name": "A \"quoted\" name\n", "advertiser_id": 1, "payout": "0.0125", "country": ["US", "CA"],
            "one_per_click": true,
        });
        let fields = fields.as_object().expect("an object").clone();
        let network = BTreeMap::from([("offer", vec![fields.clone()])]);
        let file = write(&network).expect("written");
        let [(kind, found)] = &read(&file).expect("read")[..] else { panic!("one thing: {file}") };
        assert_eq!((kind.noun, found), ("offer", &fields));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for (file, named) in [
            ("[[offers]]", "[[offers]] is nothing a network has"),
            ("offer = 1", "offer is a list of tables"),
            ("[[offer]]\noffer_name = \"x\"", "[[offer]] has no advertiser_id"),
            ("[[affiliate]]\naffiliate_name = {}", "[[affiliate]] affiliate_name"),
            ("[[", "TOML parse error"),
        ] {
            let error = read(file).expect_err(file).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
