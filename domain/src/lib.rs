//! Crumb's types and rules. Pure: no IO, no async, no clock, no randomness, no serde. Time and
//! chance come in as arguments; what goes out is a value. `archive` and `ledger` keep these types,
//! `app` decides with them, `web` prints them.
#![deny(clippy::float_arithmetic)]

pub mod access;
pub mod adjustment;
pub mod archive_query;
pub mod attribution;
pub mod body_template;
pub mod caps;
pub mod click;
pub mod conversion;
pub mod conversion_query;
pub mod conversion_request;
pub mod deep_link;
pub mod delivery;
pub mod details;
pub mod dialect;
pub mod entry;
pub mod event;
pub mod example;
pub mod explanation;
pub mod grouping;
pub mod ids;
pub mod impression;
mod json_text;
pub mod lint;
pub mod money;
pub mod network;
pub mod network_change;
pub mod order;
pub mod pixel_request;
pub mod placeholder;
pub mod postback;
pub mod pricing;
pub mod privacy;
pub mod reconciliation;
pub mod report;
pub mod report_query;
pub mod retry;
pub mod routing;
pub mod schedule;
pub mod segment;
pub mod statement;
pub mod status;
pub mod suppression;
pub mod targeting;
pub mod time;
pub mod token_values;
pub mod tokens;
pub mod webhook;
