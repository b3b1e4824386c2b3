//! What is on record, in words: what became of a click or a conversion call, and why nothing did. Nothing is
//! decided here; answers, texts and pages say the same because they all take their words from here.

mod call;
mod click;
mod money;
mod pasted;
mod postback;

pub use call::of_outcome;
pub use click::{Kept, NoClick, of_disposition, of_rule, why_no_click};
pub use money::{of_cap, of_price_rule, of_source, of_status};
pub use pasted::Pasted;
pub use postback::{TryCount, of_delivery, of_obstacle, of_try};

/// The longest list of conditions that is told whole, in characters: a rule may have 500 countries.
const CONDITIONS_CHARS_MAX: usize = 400;

/// What something on record means, and what can be done where that is not what was meant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meaning {
    /// What happened: the end of a sentence, without its full stop.
    pub what: String,
    /// What to do about it, as a sentence; empty where nothing needs to be done.
    pub remedy: String,
}

impl Meaning {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// Conditions as one text, cut where it grows too long.
fn joined<'c>(conditions: impl Iterator<Item = (&'c str, String)>) -> String {
    let all: Vec<_> = conditions.map(|(target, values)| format!("{target} is {values}")).collect();
    let text = all.join(" and ");
    if text.chars().count() <= CONDITIONS_CHARS_MAX {
        return text;
    }
    let cut: String = text.chars().take(CONDITIONS_CHARS_MAX).collect();
    format!("{cut}…")
}
