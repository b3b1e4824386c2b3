//! A call of `p.ashx`: a conversion call without a key, from a shop's page or an advertiser's server. Its
//! click is found by its id, by the device, or by what the browser remembers. Every call leaves an
//! attempt, except those beyond the limit of their address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::archive_query::ClickFilter;
use domain::click::Click;
use domain::conversion::{ConversionCall, Refusal};
use domain::conversion_request::{BadParameter, Circumstances, Parameters};
use domain::details::{Door, Origin, Remark};
use domain::ids::{ClickId, KeyId, OfferId};
use domain::network::{Network, Offer};
use domain::pixel_request::{self, ClickBy, PixelRequest, credited};
use domain::postback::{Owner, Postback, PostbackType, fired};
use domain::suppression::Fingerprint;
use domain::token_values::TokenValues;
use jiff::{SignedDuration, Timestamp};

use crate::failure::blocking;
use crate::record_conversion::with_event_named;
use crate::visitors::Cookies;
use crate::{App, Failure, RecordConversionError, RecordedConversion, fingerprints};

/// The key of those who have none.
const NO_KEY: KeyId = KeyId(0);
/// How many clicks are looked through for one of a device, the newest first: an install follows its click
/// within hours, and a stranger's call may not read a whole archive.
const LOOKED_THROUGH_MAX: usize = 1_000_000;
/// How long a call waits until it may look for a device's click: one does so at a time.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// A call of `p.ashx` as it came.
pub struct PixelCall<'p> {
    /// Its parameters, as far as they could be read.
    pub sent: &'p dyn Parameters,
    /// Why they could not be read, where that is so.
    pub problem: Option<BadParameter>,
    /// Path and query.
    pub raw: String,
    /// The caller's address.
    pub address: IpAddr,
    /// The `Cookie` header, where cookies are used.
    pub cookies: String,
    /// Whether a browser waits for the answer, which can carry the affiliate's own pixels.
    pub in_browser: bool,
}

/// A conversion on record, and what its affiliate has the buyer's browser load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedPixel {
    /// The conversion.
    pub recorded: RecordedConversion,
    /// What is handed out: nothing where the call is a repeat.
    pub handed_out: Vec<HandedOut>,
}

/// A postback that the buyer's browser carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandedOut {
    /// As what it is loaded: never a server's.
    pub postback_type: PostbackType,
    /// What is loaded.
    pub url: String,
}

/// A call whose click has been looked for.
struct Located {
    request: PixelRequest,
    click: Option<Click>,
    offer_id: OfferId,
    /// Whom suppression lists may know it by.
    fingerprints: Vec<Fingerprint>,
}

impl App {
    /// Records a call without a key exactly once, for ever, as [`App::record_conversion`] does.
    pub async fn record_pixel(&self, call: PixelCall<'_>) -> Result<RecordedPixel, RecordConversionError> {
        let now = self.clock.now();
        if !self.pixel_limit.take(call.address, now) {
            self.metrics.pixel_calls_limited.inc();
            return Err(RecordConversionError::TooOften);
        }
        let ip_address = self.settings.address_policy.apply(call.address);
        let origin = Origin { door: Door::Pixel, ip_address, remark: None };
        let circumstances = Circumstances { key_id: NO_KEY, now, zone: &self.settings.zone, origin };
        let network = self.network.load_full();
        let (sent, raw, in_browser) = (call.sent, call.raw.clone(), call.in_browser);
        let outcome = match self.locate(&network, call, circumstances).await {
            Ok(located) => self.submit_located(&network, located, in_browser).await,
            Err(error) if error.is_an_answer() => {
                let kept = self.keep_attempt(sent, raw, circumstances, &error).await;
                kept.map_err(RecordConversionError::from).and(Err(error))
            }
            Err(error) => Err(error),
        };
        self.count(outcome.as_ref().ok().map(|it| &it.recorded));
        outcome.map_err(|error| with_event_named(error, sent))
    }

    /// Checks the caller, reads the call and finds its click and its offer.
    async fn locate(
        &self,
        network: &Arc<Network>,
        call: PixelCall<'_>,
        circumstances: Circumstances<'_>,
    ) -> Result<Located, RecordConversionError> {
        let only_from = &self.settings.conversions_only_from;
        if !only_from.is_empty() && !only_from.iter().any(|net| net.contains(&call.address)) {
            return Err(RecordConversionError::AddressNotPermitted);
        }
        let fingerprints = fingerprints::of_call(call.sent);
        let read = || pixel_request::read(call.sent, call.raw, circumstances);
        let request = call.problem.map_or_else(read, Err).map_err(RecordConversionError::BadParameter)?;
        let click = match &request.click {
            ClickBy::Id(id) => self.find_click(id).await?,
            ClickBy::DeviceKey(key) => {
                self.find_click_of_device(network, &request, key, circumstances.now).await?
            }
            ClickBy::Cookie => {
                let cookies = Cookies(&call.cookies);
                self.find_remembered_click(network, &request, cookies, circumstances.now).await?
            }
        };
        let reached = click.as_ref().map(|it| it.reached_offer_id().unwrap_or(it.offer_id));
        // Where not even the offer is known there is nothing to judge by.
        let not_found = RecordConversionError::Refused(Refusal::ClickNotFound);
        let offer_id = request.offer_id.or(reached).ok_or(not_found)?;
        if let (Some(_), Some(advertiser_id)) = (&click, request.advertiser_id)
            && network.offer(offer_id).is_some_and(|it| it.advertiser_id != advertiser_id)
        {
            return Err(RecordConversionError::Refused(Refusal::OfferMismatch));
        }
        Ok(Located { request, click, offer_id, fingerprints })
    }

    async fn submit_located(
        &self,
        network: &Arc<Network>,
        located: Located,
        in_browser: bool,
    ) -> Result<RecordedPixel, RecordConversionError> {
        let Located { request, click, offer_id, fingerprints } = located;
        let click_id = match &request.click {
            ClickBy::Id(id) => id.clone(),
            ClickBy::DeviceKey(_) | ClickBy::Cookie => {
                click.as_ref().map(|it| it.id.to_string()).unwrap_or_default()
            }
        };
        let mut call = ConversionCall { fingerprints, in_browser, ..request.into_call(click_id, offer_id) };
        let allowed = network.offer(offer_id).is_some_and(|it| it.allow_pixel_payout);
        if call.payout.is_some() && !allowed {
            call.payout = None;
            call.details.origin.remark = Some(Remark::PayoutIgnored);
        }
        let address = call.details.origin.ip_address.map(|it| it.to_string()).unwrap_or_default();
        // Most affiliates have none, and their clicks are not kept any longer.
        let has_own = |click: &&Click| in_browser && hands_out(network, click);
        let kept = click.as_ref().filter(has_own).cloned();
        let recorded = self.submit(network, call, click).await?;
        let handed_out = match kept {
            Some(click) if !recorded.repeated => self.handed_out(network, &recorded, &click, &address),
            _ => Vec::new(),
        };
        Ok(RecordedPixel { recorded, handed_out })
    }

    /// What the recording has fired that browsers carry: the same that the ledger has kept as handed out.
    fn handed_out(
        &self,
        network: &Network,
        recorded: &RecordedConversion,
        click: &Click,
        address: &str,
    ) -> Vec<HandedOut> {
        let conversion = &recorded.conversion;
        let zone = &self.settings.zone;
        let values =
            TokenValues { conversion, standing: conversion.standing, click: Some(click), address, zone };
        let fired = fired(network, conversion, None, true);
        let own = fired.iter().filter(|it| it.postback_type.is_for_browsers());
        let url = |it: &Postback| it.url.expand(|token| values.get(token));
        own.map(|it| HandedOut { postback_type: it.postback_type, url: url(it) }).collect()
    }

    /// The newest click of the device that reached the offer, or one of the advertiser's, within its session.
    async fn find_click_of_device(
        &self,
        network: &Arc<Network>,
        request: &PixelRequest,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Click>, Failure> {
        let offers = network.offers().filter(|it| is_of(it, request));
        let session = offers.map(|it| it.session_seconds).max().unwrap_or(0);
        let from =
            now.checked_sub(SignedDuration::from_secs(session.into())).unwrap_or(Timestamp::UNIX_EPOCH);
        let filter = ClickFilter {
            offer_id: request.offer_id,
            before: ClickId::MAX,
            ..ClickFilter::between(from, now)
        };
        let (network, archive, key) = (Arc::clone(network), Arc::clone(&self.archive), key.to_owned());
        let request = request.clone();
        let turn = tokio::time::timeout(LOOK_WITHIN, Arc::clone(&self.device_search).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Failure::Overloaded) };
        blocking(move || {
            // Held until the search has ended, also when nobody waits for it any more.
            let _turn = turn;
            let reached = |click: &Click| click.reached_offer_id().and_then(|id| network.offer(id));
            let is_wanted = |click: &Click| reached(click).is_some_and(|it| is_of(it, &request));
            Ok(archive.find_newest_of_device(&filter, &key, LOOKED_THROUGH_MAX, is_wanted)?)
        })
        .await
    }

    /// The click that the browser's cookies credit: of the offer, or of that one of the advertiser's offers
    /// whose last click is the newest.
    async fn find_remembered_click(
        &self,
        network: &Network,
        request: &PixelRequest,
        cookies: Cookies<'_>,
        now: Timestamp,
    ) -> Result<Option<Click>, Failure> {
        let remembered = cookies.footprints().filter_map(|(offer_id, footprint)| {
            let offer = network.offer(offer_id)?;
            let counts = is_of(offer, request) && footprint.last.time() <= now;
            counts.then_some((offer, footprint))
        });
        let Some((offer, footprint)) = remembered.max_by_key(|(_, footprint)| footprint.last) else {
            return Ok(None);
        };
        self.find_click(&credited(&footprint, offer, now).to_string()).await
    }
}

/// Whether the affiliate of a click has postbacks that browsers carry.
fn hands_out(network: &Network, click: &Click) -> bool {
    let own = network.postbacks_of(Owner::Affiliate(click.affiliate_id));
    own.iter().any(|it| it.postback_type.is_for_browsers())
}

/// Whether an offer is the one that a call names, and of the advertiser it names.
fn is_of(offer: &Offer, request: &PixelRequest) -> bool {
    request.offer_id.is_none_or(|id| id == offer.id)
        && request.advertiser_id.is_none_or(|id| id == offer.advertiser_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Opened, sample};

    struct Sent(&'static [(&'static str, &'static str)]);

    impl Parameters for Sent {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        }
    }

    fn call(sent: &Sent) -> PixelCall<'_> {
        let address = IpAddr::from([203, 0, 113, 7]);
        let (raw, cookies) = (String::new(), String::new());
        PixelCall { sent, problem: None, raw, address, cookies, in_browser: false }
    }

    fn overloaded(outcome: &Result<RecordedPixel, RecordConversionError>) -> bool {
        matches!(outcome, Err(RecordConversionError::Failure(Failure::Overloaded)))
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_devices_click_is_looked_for_others_wait_and_are_told_to_come_back() {
        let opened = sample::open();
        let app = &opened.app;
        let turn = app.device_search.try_acquire().expect("nobody is looking");
        let sent = Sent(&[("o", "1"), ("k", "device")]);
        assert!(overloaded(&app.record_pixel(call(&sent)).await));
        drop(turn);
        let network = app.network.load_full();
        let read = |sent| {
            let origin = Origin::default();
            let zone = &app.settings.zone;
            let circumstances = Circumstances { key_id: NO_KEY, now: Timestamp::UNIX_EPOCH, zone, origin };
            app.locate(&network, call(sent), circumstances)
        };
        assert!(read(&sent).await.is_ok_and(|it| it.click.is_none()), "looked, and found none");
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_wait_in_the_same_bounded_queue_as_calls() {
        let folder = tempfile::tempdir().expect("a folder");
        // Its writer does not run yet, and one may wait.
        let Opened { app, conversion_writer, .. } = sample::open_in(folder.path());
        let sent = Sent(&[]);
        let writer = {
            let mut waits = std::pin::pin!(app.record_pixel(call(&sent)));
            assert!(tokio::time::timeout(Duration::from_secs(1), &mut waits).await.is_err());
            assert!(overloaded(&app.record_pixel(call(&sent)).await));
            let writer = std::thread::spawn(move || conversion_writer.run());
            assert!(matches!(waits.await, Err(RecordConversionError::BadParameter(_))));
            writer
        };
        drop(app);
        writer.join().expect("ends when nobody can send any more");
    }
}
