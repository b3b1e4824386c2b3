//! The parameter names of CAKE and of other trackers, and which field each one means. Names ignore
//! case. Where several name one field, the first in the field's list wins.

use crate::tokens::numbered;

/// A field that an inbound conversion call can carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallField {
    /// Which click.
    ClickId,
    /// Which offer.
    OfferId,
    /// The advertiser's transaction id.
    UniqueId,
    /// The advertiser's order reference.
    OrderId,
    /// What the affiliate gets.
    Payout,
    /// What the advertiser owes.
    Revenue,
    /// The sale's total.
    Amount,
    /// CAKE's `p`: the amount where a percentage applies, else the revenue.
    Received,
    /// When it happened.
    ConversionDate,
    /// What kind of conversion, by id or name.
    Event,
    /// An advertiser field, 0 to 4.
    Adv(u8),
    /// Whose offer, where none is named.
    AdvertiserId,
    /// The advertiser's customer.
    UserId,
    /// What an app's install finds its click by.
    DeviceKey,
    /// Another tracker's word for how the conversion stands.
    Status,
}

impl CallField {
    /// The names it goes by, the strongest first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::ClickId => &["click_id", "r", "clickid", "cid", "subid", "sid", "cnv_id", "dub_id"],
            Self::OfferId => &["offer_id", "o"],
            Self::UniqueId => &["unique_id", "t", "tid", "txid", "invoiceid", "oid"],
            Self::OrderId => &["order_id"],
            Self::Payout => &["payout", "ap"],
            Self::Revenue => &["revenue"],
            Self::Amount => &["amount"],
            Self::Received => &["p"],
            Self::ConversionDate => &["conversion_date"],
            Self::Event => &["e", "event_id", "adv_event_id", "goal_id", "et", "eventname"],
            Self::Adv(0) => &["adv1", "adv_sub"],
            Self::Adv(1) => &["adv2"],
            Self::Adv(2) => &["adv3"],
            Self::Adv(3) => &["adv4"],
            Self::Adv(_) => &["adv5"],
            Self::AdvertiserId => &["advertiser_id", "a"],
            Self::UserId => &["u"],
            Self::DeviceKey => &["k"],
            Self::Status => &["status", "cnv_status"],
        }
    }
}

/// How many parameters of Binom's there are that name an event themselves: `event1` and so on.
const NUMBERED_EVENTS: u8 = 30;

/// The names of Binom's event parameters.
pub fn numbered_events() -> impl Iterator<Item = String> {
    (1..=NUMBERED_EVENTS).map(|number| format!("event{number}"))
}

/// `transaction_id` is the click id (Everflow, TUNE) when no other name gives one; beside one it is
/// the advertiser's transaction id (Prosper202).
const TRANSACTION_ID: &str = "transaction_id";

/// Finds a field's value: the name it was given under, and the value. `get` looks a name up,
/// ignoring case, and knows only names that were sent with a value.
pub fn find<'a>(field: CallField, get: impl Fn(&str) -> Option<&'a str>) -> Option<(&'static str, &'a str)> {
    let named = |field: CallField| field.names().iter().find_map(|name| Some((*name, get(name)?)));
    let transaction = || get(TRANSACTION_ID).map(|value| (TRANSACTION_ID, value));
    match field {
        CallField::ClickId => named(field).or_else(transaction),
        CallField::UniqueId => named(field).or_else(|| named(CallField::ClickId).and_then(|_| transaction())),
        _ => named(field),
    }
}

/// Which sub id a link's parameter means, 0 to 4. `source` is left to the caller: it is the first
/// sub id only where no other name gives one.
pub fn sub_id_index(name: &str) -> Option<u8> {
    match name {
        "sub_id" | "aff_sub" => return Some(0),
        "c5" => return None,
        _ => {}
    }
    ["s", "sub", "aff_sub", "sub_id_", "t", "c"].into_iter().find_map(|prefix| numbered(name, prefix))
}

/// How strongly a name stands for its sub id: CAKE's own first. Lower is stronger.
pub fn sub_id_rank(name: &str) -> usize {
    let families: [&[&str]; 6] = [&["s"], &["sub"], &["aff_sub"], &["sub_id_", "sub_id"], &["t"], &["c"]];
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    families.iter().position(|family| family.contains(&stem)).unwrap_or(families.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(field: CallField, sent: &[(&str, &'static str)]) -> Option<&'static str> {
        find(field, |name| sent.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
            .map(|(_, value)| value)
    }

    #[test]
    fn cakes_own_name_wins_over_the_others() {
        assert_eq!(value(CallField::ClickId, &[("cid", "b"), ("click_id", "a")]), Some("a"));
        assert_eq!(value(CallField::ClickId, &[("cnv_id", "b"), ("clickid", "a")]), Some("a"));
        assert_eq!(value(CallField::UniqueId, &[("txid", "b"), ("t", "a")]), Some("a"));
    }

    #[test]
    fn transaction_id_has_two_readings() {
        assert_eq!(value(CallField::ClickId, &[("transaction_id", "a")]), Some("a"));
        assert_eq!(value(CallField::UniqueId, &[("transaction_id", "a")]), None);
        let both = [("transaction_id", "order"), ("subid", "click")];
        assert_eq!(value(CallField::ClickId, &both), Some("click"));
        assert_eq!(value(CallField::UniqueId, &both), Some("order"));
    }

    #[test]
    fn sub_ids_are_known_in_every_dialect_up_to_five() {
        for name in ["s3", "sub3", "aff_sub3", "sub_id_3", "t3", "c3"] {
            assert_eq!(sub_id_index(name), Some(2), "{name}");
        }
        for name in ["s0", "s6", "c5", "c", "s", "sub6", "x1", "s11"] {
            assert_eq!(sub_id_index(name), None, "{name}");
        }
        assert!(sub_id_rank("s1") < sub_id_rank("sub1") && sub_id_rank("sub1") < sub_id_rank("aff_sub"));
        assert!(sub_id_rank("sub_id_1") < sub_id_rank("t1"));
    }
}
