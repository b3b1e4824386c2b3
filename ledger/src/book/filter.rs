//! Conditions put together from what was asked for.

use crate::database::Value;

/// Conditions that must all hold, and the values they stand on.
#[derive(Default)]
pub(super) struct Where {
    conditions: Vec<String>,
    pub(super) values: Vec<Value<'static>>,
}

impl Where {
    /// The placeholder of a value.
    pub(super) fn value(&mut self, value: impl Into<Value<'static>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// A condition that ends with a value.
    pub(super) fn and(&mut self, comparison: &str, value: impl Into<Value<'static>>) {
        let place = self.value(value);
        self.conditions.push(format!("{comparison} {place}"));
    }

    /// The same, where there is a value.
    pub(super) fn and_some(&mut self, comparison: &str, value: Option<impl Into<Value<'static>>>) {
        if let Some(value) = value {
            self.and(comparison, value);
        }
    }

    /// A condition as it is.
    pub(super) fn push(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// The clause; empty where nothing is asked.
    pub(super) fn sql(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.conditions.join(" AND "))
        }
    }
}
