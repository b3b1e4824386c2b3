//! What a conversion call carries beside the fields that it is judged by: the order behind it, the
//! customer, another tracker's status; and where it came from.

use std::net::IpAddr;

use crate::json_text::JsonObject;
use crate::order::Order;

/// What a conversion call carries beside what it is judged by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    /// Where the call came from.
    pub origin: Origin,
    /// The advertiser's customer id (`u`), or empty.
    pub user_id: String,
    /// The device key by which an app's install finds its click (`k`), or empty.
    pub device_key: String,
    /// The status word of another tracker, or empty. It never sets ours.
    pub original_status: String,
    /// The order behind the conversion.
    pub order: Option<Order>,
}

/// Where a conversion call came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Which way in it took.
    pub door: Door,
    /// The caller's address, as far as it is kept.
    pub ip_address: Option<IpAddr>,
    /// What was done to the call before it was judged.
    pub remark: Option<Remark>,
}

crate::network::states! {
    /// A way in for conversion calls.
    Door {
        /// `conversion.json`.
        Api = "api",
        /// `record_conversions.json`.
        Batch = "batch",
        /// `p.ashx`, as a pixel or from a server.
        Pixel = "pixel",
        /// A row of an imported file.
        Import = "import",
        /// A row of an advertiser's file that was missing here.
        Reconciliation = "reconciliation",
    }
}

impl Default for Door {
    fn default() -> Self {
        Self::Api
    }
}

/// What was done to a call before it was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remark {
    /// It stated a payout without a key, and the offer does not allow that.
    PayoutIgnored,
}

impl Remark {
    /// In words, as the attempt keeps it.
    pub fn text(self) -> &'static str {
        match self {
            Self::PayoutIgnored => "payout ignored: the offer does not allow it without a key",
        }
    }
}

impl Details {
    /// The canonical JSON of what was sent: fields in a fixed order, absent ones left out; empty where
    /// nothing was sent. The origin is not part of it.
    pub fn to_json(&self) -> String {
        let mut object = JsonObject::new();
        object.text("user_id", &self.user_id);
        object.text("device_key", &self.device_key);
        object.text("original_status", &self.original_status);
        object.plain("order", self.order.as_ref().map(Order::to_json));
        let text = object.finish();
        if text == "{}" { String::new() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doors_name_is_read_as_it_is_written() {
        for door in Door::ALL {
            assert_eq!(door.name().parse(), Ok(*door));
        }
        assert!("window".parse::<Door>().is_err());
    }

    #[test]
    fn the_json_holds_what_was_sent_and_nothing_else() {
        assert_eq!(Details::default().to_json(), "");
        let details = Details {
            origin: Origin { door: Door::Pixel, ..Origin::default() },
            user_id: "customer \"7\"".into(),
            original_status: "hold".into(),
            order: Some(Order::default()),
            ..Details::default()
        };
        let expected = r#"{"user_id":"customer \"7\"","original_status":"hold","order":{}}"#;
        assert_eq!(details.to_json(), expected);
    }
}
