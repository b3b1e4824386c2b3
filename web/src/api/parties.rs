//! Whose money: an affiliate's or an advertiser's, as its two fields.

use domain::conversion_request::BadParameter;
use domain::entry::Account;
use domain::statement::Party;
use serde::Serialize;

use crate::params::Params;

/// A party as the fields of its kind.
#[derive(Serialize)]
pub(super) struct PartyView {
    #[serde(skip_serializing_if = "Option::is_none")]
    affiliate_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affiliate_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advertiser_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advertiser_name: Option<String>,
}

pub(super) fn party_view(party: Party, name: String) -> PartyView {
    let nobody =
        PartyView { affiliate_id: None, affiliate_name: None, advertiser_id: None, advertiser_name: None };
    match party {
        Party::Affiliate(id) => PartyView { affiliate_id: Some(id.0), affiliate_name: Some(name), ..nobody },
        Party::Advertiser(id) => {
            PartyView { advertiser_id: Some(id.0), advertiser_name: Some(name), ..nobody }
        }
    }
}

/// `affiliate_id` or `advertiser_id`.
pub(super) fn party(params: &Params) -> Result<Option<Party>, BadParameter> {
    match (params.id("affiliate_id")?, params.id("advertiser_id")?) {
        (Some(_), Some(_)) => Err(BadParameter::invalid("advertiser_id", "affiliate_id says something else")),
        (Some(id), None) => Ok(Some(Party::Affiliate(id))),
        (None, Some(id)) => Ok(Some(Party::Advertiser(id))),
        (None, None) => Ok(None),
    }
}

/// `account`: all of a kind.
pub(super) fn account(params: &Params) -> Result<Option<Account>, BadParameter> {
    let read = |word: &str| match word {
        "affiliates" => Ok(Account::AffiliatePayable),
        "advertisers" => Ok(Account::AdvertiserReceivable),
        _ => Err(BadParameter::invalid("account", "use affiliates or advertisers")),
    };
    params.get("account").map(read).transpose()
}
