//! Saying what was found to one reader: the answer in a few sentences (`summary`), and the whole of it
//! (`chapters`).

mod chapters;
mod summary;

use domain::access::View;
use domain::entry::Entry;
use domain::explanation::{Meaning, of_cap, of_outcome};
use domain::ids::{AdvertiserId, AffiliateId, CapId, OfferId};
use domain::network::Network;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::Attempt;

use super::gather::Found;
use super::{Explain, ExplainError};

/// A part of the whole: what it is about, and what there is to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chapter {
    /// What it is about.
    pub title: String,
    /// Sentences, in order.
    pub lines: Vec<String>,
}

/// Says things to one reader.
pub(super) struct Teller<'t> {
    pub(super) asked: &'t Explain,
    pub(super) network: &'t Network,
    pub(super) zone: &'t TimeZone,
    pub(super) view: View,
    pub(super) now: Timestamp,
}

impl Teller<'_> {
    /// Why nothing is known.
    pub(super) fn unknown(&self, found: &Found) -> ExplainError {
        let Explain { delivery_id, attempt_id, conversion_id, unique_id, .. } = self.asked;
        if let Some(id) = delivery_id {
            return ExplainError::Unknown(format!("there is no delivery {id}"));
        }
        if let Some(id) = attempt_id {
            return ExplainError::Unknown(format!("there is no attempt {id}"));
        }
        if let Some(id) = conversion_id {
            return ExplainError::UnknownConversion(format!("there is no conversion {id}"));
        }
        match (found.no_click, unique_id) {
            (Some(why), _) => {
                ExplainError::UnknownClick(format!("no call names that click, and {}", why.meaning().what))
            }
            (None, Some(_)) => {
                ExplainError::UnknownConversion("no call with that unique_id ever came".to_owned())
            }
            (None, None) => ExplainError::UnknownConversion(
                "no conversion has that order_id; a refused call is found by its click_id or unique_id"
                    .to_owned(),
            ),
        }
    }

    /// What became of a call.
    pub(super) fn outcome(&self, attempt: &Attempt) -> Meaning {
        self.shown(of_outcome(&attempt.outcome, &attempt.reason))
    }

    /// What is to be done is for those who run the network.
    fn shown(&self, meaning: Meaning) -> Meaning {
        if self.view.revenue { meaning } else { Meaning { remedy: String::new(), ..meaning } }
    }

    fn date(&self, at: Timestamp) -> String {
        domain::time::print(at, self.zone)
    }

    fn offer(&self, id: OfferId) -> String {
        named("offer", id.0, self.network.offer(id).map(|it| &*it.name))
    }

    fn affiliate(&self, id: AffiliateId) -> String {
        named("affiliate", id.0, self.network.affiliate(id).map(|it| &*it.name))
    }

    fn advertiser(&self, id: AdvertiserId) -> String {
        named("advertiser", id.0, self.network.advertiser(id).map(|it| &*it.name))
    }

    fn cap(&self, id: CapId) -> String {
        match self.network.cap(id).filter(|_| self.view.revenue) {
            Some(cap) => format!("cap {id} ({}, as it is now)", of_cap(cap)),
            None => format!("cap {id}"),
        }
    }
}

fn named(noun: &str, id: u32, name: Option<&str>) -> String {
    name.map_or_else(|| format!("{noun} {id}"), |name| format!("{noun} {id} ({name})"))
}

/// A sentence, and another one with what to do.
fn sentence(text: &str, remedy: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let gap = if remedy.is_empty() { "" } else { " " };
    format!("{first}{}.{gap}{remedy}", letters.as_str())
}

/// `affiliate_payable -18.00 USD`.
fn amount(line: &Entry) -> String {
    format!("{} {} {}", line.line.account.name(), line.line.amount, line.currency)
}
