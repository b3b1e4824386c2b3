//! The counters, as Prometheus reads them. Names and meanings: `docs/operations.md`.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::deliver::DeliveryCounters;
use crate::upkeep::UpkeepCounters;

/// All counters of a running product.
pub struct Metrics {
    registry: Registry,
    /// Clicks answered with their landing page.
    pub clicks_accepted: Counter,
    /// Clicks recorded and sent elsewhere.
    pub clicks_refused: Counter,
    /// Links that could not be attributed to an affiliate and an offer.
    pub clicks_unattributable: Counter,
    /// Clicks turned away because they could not be made durable.
    pub clicks_unavailable: Counter,
    /// Impressions counted.
    pub impressions: Counter,
    /// Impressions of kinds that had no room in memory.
    pub impressions_dropped: Counter,
    /// Conversions recorded.
    pub conversions_recorded: Counter,
    /// Conversion calls that repeated a recorded one.
    pub conversions_repeated: Counter,
    /// Conversion calls refused.
    pub conversions_refused: Counter,
    /// Adjustments somebody made.
    pub adjustments: Counter,
    /// Conversions approved by themselves.
    pub conversions_approved: Counter,
    /// Attempts to approve what is due that failed.
    pub approval_failures: Counter,
    /// Calls of `p.ashx` beyond the limit of their address.
    pub pixel_calls_limited: Counter,
    /// Segments sealed since the start.
    pub segments_sealed: Counter,
    /// Attempts to seal a segment that failed.
    pub seal_failures: Counter,
    /// Quiet connections asked to leave, to make room for others.
    pub connections_dismissed: Counter,
    /// Connections at the moment.
    pub connections: Gauge,
    /// What became of sealed segments.
    pub(crate) upkeep: UpkeepCounters,
    /// What became of deliveries.
    pub(crate) deliveries: DeliveryCounters,
    /// Clicks in memory, not yet in a segment.
    pub recent_clicks: Gauge,
    /// Records in the journal made durable since the start.
    pub journal_records: Gauge,
    /// Batches those records shared.
    pub journal_batches: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("crumb");
        let mut counter = |name: &str, help: &str| {
            let counter: Counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let clicks_accepted = counter("clicks_accepted", "Clicks sent to their landing page");
        let clicks_refused = counter("clicks_refused", "Clicks recorded and sent elsewhere");
        let clicks_unattributable = counter("clicks_unattributable", "Links of no known affiliate or offer");
        let clicks_unavailable = counter("clicks_unavailable", "Clicks that could not be made durable");
        let impressions = counter("impressions", "Impressions counted");
        let impressions_dropped = counter("impressions_dropped", "Impressions that had no room in memory");
        let conversions_recorded = counter("conversions_recorded", "Conversions recorded");
        let conversions_repeated =
            counter("conversions_repeated", "Conversion calls answered with the original");
        let conversions_refused = counter("conversions_refused", "Conversion calls refused");
        let adjustments = counter("adjustments", "Adjustments of conversions that somebody made");
        let conversions_approved =
            counter("conversions_approved", "Conversions approved by themselves when their time had come");
        let approval_failures = counter("approval_failures", "Failed attempts to approve what is due");
        let pixel_calls_limited =
            counter("pixel_calls_limited", "Calls of p.ashx beyond the limit of their address");
        let segments_sealed = counter("segments_sealed", "Segments sealed since the start");
        let seal_failures = counter("seal_failures", "Failed attempts to seal a segment");
        let connections_dismissed =
            counter("connections_dismissed", "Quiet connections asked to leave, to make room for others");
        let upkeep = UpkeepCounters {
            joined: counter("segments_joined", "Segments that became part of a larger one"),
            blanked: counter("segments_blanked", "Segments whose visitors' data was blanked with age"),
            dropped: counter("segments_dropped", "Segments dropped with age"),
            erased: counter("clicks_erased", "Clicks whose visitor's data was erased"),
            cubes_made: counter("cubes_made", "Cubes of segments made"),
            cubes_damaged: counter("cubes_damaged", "Cubes found damaged or of another version"),
            failures: counter("upkeep_failures", "Failed pieces of work on sealed segments"),
        };
        let (delivered, failed_tries, exhausted, cancelled, delivery_failures) = (
            counter("deliveries_delivered", "Deliveries that their receivers have taken"),
            counter("delivery_tries_failed", "Tries of deliveries that failed"),
            counter("deliveries_exhausted", "Deliveries whose tries were used up: they are held"),
            counter("deliveries_cancelled", "Deliveries that nobody wants any more"),
            counter(
                "delivery_failures",
                "Failures of our own while delivering; what they concern is tried again",
            ),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let connections = gauge("connections", "Connections at the moment");
        let recent_clicks = gauge("recent_clicks", "Clicks in memory, not yet in a segment");
        let journal_records = gauge("journal_records", "Journal records made durable since the start");
        let journal_batches = gauge("journal_batches", "Batches those records shared");
        let deliveries = DeliveryCounters {
            delivered,
            failed_tries,
            exhausted,
            cancelled,
            failures: delivery_failures,
            in_flight: gauge("deliveries_in_flight", "Deliveries whose receivers are being called"),
            due: gauge("deliveries_due", "Deliveries to be tried now or later"),
            held: gauge("deliveries_held", "Deliveries that wait for somebody to replay them"),
            lag: gauge("deliveries_lag_seconds", "How long the oldest delivery has been due"),
            paused: gauge("receivers_paused", "Receivers left alone for a while, since they keep failing"),
        };
        Self {
            registry,
            clicks_accepted,
            clicks_refused,
            clicks_unattributable,
            clicks_unavailable,
            impressions,
            impressions_dropped,
            conversions_recorded,
            conversions_repeated,
            conversions_refused,
            adjustments,
            conversions_approved,
            approval_failures,
            pixel_calls_limited,
            segments_sealed,
            seal_failures,
            connections_dismissed,
            connections,
            upkeep,
            deliveries,
            recent_clicks,
            journal_records,
            journal_batches,
        }
    }
}

impl crate::App {
    /// Everything counted, as Prometheus text.
    pub fn metrics_text(&self) -> String {
        let stats = self.journal.stats();
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.recent_clicks.set(gauge(self.archive.recent_rows()));
        self.metrics.journal_records.set(gauge(stats.records));
        self.metrics.journal_batches.set(gauge(stats.batches));
        let mut text = String::new();
        encode(&mut text, &self.metrics.registry).expect("writing to a string");
        text
    }
}
