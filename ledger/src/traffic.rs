//! What decides where an offer's clicks go, as the ledger keeps it: creatives, landing pages,
//! targeting rules, caps. They are loaded with the network.

use domain::caps::Cap;
use domain::ids::{CapId, CreativeId, LandingPageId, RuleId};
use domain::network::{Creative, LandingPage};
use domain::network_change::{
    CapChange, CreateCap, CreateCreative, CreateLandingPage, CreateRule, CreativeChange, LandingPageChange,
    RuleChange,
};
use domain::targeting::Rule;
use jiff::Timestamp;

use crate::LedgerError;
use crate::network::Changed;

/// What decides where clicks go. Every change that is made raises the network's version in the same
/// transaction.
pub trait TrafficBook {
    /// Creates a creative.
    fn create_creative(&self, create: CreateCreative, now: Timestamp) -> Changed<Creative>;

    /// Changes what is present in `change`. An offer's default creative stays active.
    fn update_creative(&self, id: CreativeId, change: CreativeChange) -> Changed<Creative>;

    /// Creates a landing page: at most [`LANDING_PAGES_MAX`](domain::network::LANDING_PAGES_MAX) an
    /// offer that are not deleted.
    fn create_landing_page(&self, create: CreateLandingPage, now: Timestamp) -> Changed<LandingPage>;

    /// Changes what is present in `change`.
    fn update_landing_page(&self, id: LandingPageId, change: LandingPageChange) -> Changed<LandingPage>;

    /// Creates a rule in its first version: at most [`RULES_MAX`](domain::targeting::RULES_MAX) an
    /// offer that are not deleted.
    fn create_rule(&self, create: CreateRule, now: Timestamp) -> Changed<Rule>;

    /// Changes what is present in `change`, as a new version. The versions before it are kept.
    fn update_rule(&self, id: RuleId, change: RuleChange, now: Timestamp) -> Changed<Rule>;

    /// A rule as it was in that version.
    fn find_rule_version(&self, id: RuleId, version: u32) -> Result<Option<Rule>, LedgerError>;

    /// Creates a cap: at most [`CAPS_MAX`](domain::caps::CAPS_MAX) an offer that are not deleted.
    fn create_cap(&self, create: CreateCap, now: Timestamp) -> Changed<Cap>;

    /// Changes what is present in `change`.
    fn update_cap(&self, id: CapId, change: CapChange) -> Changed<Cap>;
}
