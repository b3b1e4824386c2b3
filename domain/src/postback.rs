//! Postbacks: the calls that tell affiliates what became of their conversions, and the webhooks that tell
//! advertisers and the network itself. Which of them a cause fires is decided here, from the conversion
//! alone, so that it is decided the same everywhere and for ever.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use crate::adjustment::Standing;
use crate::body_template::{BodyTemplate, BodyType};
use crate::conversion::Conversion;
use crate::ids::{AdvertiserId, AffiliateId, CampaignId, EventId, OfferId, PostbackId};
use crate::money::Amount;
use crate::network::Network;
use crate::network_change::EntityKind;
use crate::status::ConversionStatus;
use crate::tokens::{Token, UrlTemplate};

/// The longest time a postback may be held back on purpose, in seconds: thirty days.
pub const DELAY_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Postbacks and webhooks that one owner may have: each is weighed on every conversion.
pub const POSTBACKS_MAX: usize = 1000;
/// The most calls a second that may be set for a receiver.
pub const CALLS_PER_SECOND_MAX: u32 = 100_000;
/// The longest text that an answer may be asked to contain, in bytes: far less than is kept of one.
pub const SUCCESS_TEXT_BYTES_MAX: usize = 200;
/// Ranges of status codes that a receiver may be said to succeed with.
const SUCCESS_RANGES_MAX: usize = 20;

crate::network::states! {
    /// What makes a postback fire.
    FireOn {
        /// A conversion is recorded, unless as rejected or ignored.
        Conversion = "conversion",
        /// It becomes approved, also at once.
        Approval = "approval",
        /// It becomes rejected.
        Rejection = "rejection",
        /// It becomes reversed.
        Reversal = "reversal",
        /// Its status or an amount changes after it was recorded.
        Change = "change",
        /// It is recorded, whatever as, or changes.
        All = "all",
    }
    /// How a postback travels, by CAKE's names.
    PostbackType {
        /// We call the receiver.
        Server = "Server-to-Server",
        /// The buyer's browser opens it in a frame.
        Iframe = "iFrame",
        /// The buyer's browser loads it as an image.
        Image = "Image",
        /// The buyer's browser loads it as a script.
        Script = "JavaScript",
    }
    /// How a receiver is called.
    PostbackMethod {
        /// `GET`: the URL says everything.
        Get = "get",
        /// `POST` with a form.
        PostForm = "post_form",
        /// `POST` with JSON.
        PostJson = "post_json",
        /// `POST` with an event as the Standard Webhooks specification has it.
        Webhook = "webhook",
    }
    /// The state of a postback.
    PostbackStatus {
        /// It fires.
        Active = "active",
        /// It does not, and what it still had to deliver is cancelled.
        Inactive = "inactive",
    }
}

impl PostbackType {
    /// CAKE's number of it, `postback_type_id`.
    pub fn number(self) -> u8 {
        match self {
            Self::Server => 1,
            Self::Iframe => 2,
            Self::Image => 3,
            Self::Script => 4,
        }
    }

    /// The one of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.number() == number)
    }

    /// Whether the buyer's browser carries it, handed out in the answer of our own pixel.
    pub fn is_for_browsers(self) -> bool {
        self != Self::Server
    }
}

impl PostbackMethod {
    /// What kind of body may be saved for it; none where it sends none, or one of its own.
    pub fn body_type(self) -> Option<BodyType> {
        match self {
            Self::PostForm => Some(BodyType::Form),
            Self::PostJson => Some(BodyType::Json),
            Self::Get | Self::Webhook => None,
        }
    }
}

impl FireOn {
    /// Whether it fires when a conversion comes to stand so. `before` is none when it is recorded.
    pub fn fires(self, before: Option<Standing>, after: Standing) -> bool {
        use ConversionStatus::{Approved, Ignored, Rejected, Reversed};
        let becomes = |status| after.status == status && before.is_none_or(|it| it.status != status);
        match self {
            Self::Conversion => before.is_none() && !matches!(after.status, Rejected | Ignored),
            Self::Approval => becomes(Approved),
            Self::Rejection => becomes(Rejected),
            Self::Reversal => becomes(Reversed),
            Self::Change => before.is_some_and(|before| before != after),
            Self::All => before != Some(after),
        }
    }
}

/// Whose postback it is: who is told, and what they may know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// An affiliate, told of its own conversions, without their revenue.
    Affiliate(AffiliateId),
    /// An advertiser, told of its own conversions, without their payout.
    Advertiser(AdvertiserId),
    /// The network itself, told everything.
    Network,
}

/// Who is called: a number made of host and port. Deliveries to one receiver share its limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Receiver(pub i64);

impl Receiver {
    /// The receiver of a URL: host and port by the 64-bit FNV-1a hash, which stays the same in every
    /// version of this program. Two receivers with the same number only share limits.
    pub fn of(url: &UrlTemplate) -> Self {
        let hash = url.authority().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash.cast_signed())
    }
}

/// A secret that calls are signed with. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What calls are signed with: the secret, and for a while the one before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signing {
    /// The secret; none means that calls are not signed.
    pub secret: Option<Secret>,
    /// The secret before it, and until when it signs too.
    pub old: Option<(Secret, Timestamp)>,
}

/// Which answers of a receiver mean that it has understood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SuccessRule {
    /// The status codes; none means 200 to 299.
    pub codes: Vec<RangeInclusive<u16>>,
    /// A text that the first kilobyte of the answer must contain too.
    pub text: Option<String>,
}

/// Why a text is no list of status codes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a list of status codes: use numbers from 100 to 599 and ranges, such as 200,300-399")]
pub struct BadCodes;

impl SuccessRule {
    /// Reads a list such as `200,300-399`; empty means 200 to 299.
    pub fn parse_codes(text: &str) -> Result<Vec<RangeInclusive<u16>>, BadCodes> {
        let code = |text: &str| {
            let digits = Some(text.trim()).filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
            let code = digits.and_then(|it| it.parse().ok());
            code.filter(|code| (100..=599).contains(code)).ok_or(BadCodes)
        };
        let range = |text: &str| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            let range = code(from)?..=code(to)?;
            if range.is_empty() { Err(BadCodes) } else { Ok(range) }
        };
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let ranges: Vec<_> = text.split(',').map(range).collect::<Result<_, _>>()?;
        if ranges.len() > SUCCESS_RANGES_MAX { Err(BadCodes) } else { Ok(ranges) }
    }

    /// The codes as [`SuccessRule::parse_codes`] reads them.
    pub fn codes_text(&self) -> String {
        let text = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (from, to) if from == to => from.to_string(),
            (from, to) => format!("{from}-{to}"),
        };
        self.codes.iter().map(text).collect::<Vec<_>>().join(",")
    }

    /// Whether an answer means success.
    pub fn is_success(&self, status: u16, body: &[u8]) -> bool {
        let is_code = match &self.codes[..] {
            [] => (200..300).contains(&status),
            codes => codes.iter().any(|range| range.contains(&status)),
        };
        is_code && self.text.as_ref().is_none_or(|text| String::from_utf8_lossy(body).contains(text))
    }
}

/// What must be true of a conversion for a postback to fire.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PostbackConditions {
    /// Its status is one of these; none means any.
    pub statuses: Vec<ConversionStatus>,
    /// Its payout is at least this.
    pub min_payout: Option<Amount>,
    /// Only for so many of a hundred conversions, 1 to 100; none means all.
    pub share_percent: Option<u8>,
}

/// A postback or a webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Postback {
    /// Its number.
    pub id: PostbackId,
    /// Whose it is.
    pub owner: Owner,
    /// Only conversions on this offer; none means all.
    pub offer_id: Option<OfferId>,
    /// Only conversions of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Only conversions of this event.
    pub event_id: Option<EventId>,
    /// How it travels.
    pub postback_type: PostbackType,
    /// How the receiver is called.
    pub method: PostbackMethod,
    /// Whom it calls, with tokens.
    pub url: UrlTemplate,
    /// What it sends beside the URL; none means what its method sends by itself.
    pub body: Option<BodyTemplate>,
    /// Its state.
    pub status: PostbackStatus,
    /// What makes it fire.
    pub fire_on: FireOn,
    /// What must be true besides.
    pub conditions: PostbackConditions,
    /// How long after its cause it is sent, in seconds, 0 to [`DELAY_SECONDS_MAX`].
    pub delay_seconds: u32,
    /// Which answers mean success.
    pub success: SuccessRule,
    /// How many calls a second its receiver takes; none means as many as the setting says.
    pub calls_per_second: Option<u32>,
    /// What its calls are signed with.
    pub signing: Signing,
    /// When it was created.
    pub created: Timestamp,
}

/// Why the terms of a postback do not go together.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unsuitable {
    /// A body, and a method that sends none of that kind.
    #[error("only post_form and post_json send a body")]
    Body,
    /// A browser only loads what it is handed.
    #[error("a browser carries it: only get is possible")]
    BrowserMethod,
    /// A browser waits for nothing but the answer that records the conversion.
    #[error("a browser carries it: only conversion and approval are possible")]
    BrowserFireOn,
    /// The same.
    #[error("a browser carries it: no delay is possible")]
    BrowserDelay,
    /// What a browser is handed it could sign for anybody.
    #[error("a browser carries it: it cannot be signed")]
    BrowserSigned,
    /// An advertiser's URL asks for what the affiliate gets.
    #[error("an advertiser is not told the payout")]
    PayoutToAdvertiser,
}

/// What keeps a postback from firing, in the order it is looked at: of several the first is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Obstacle {
    /// It is switched off.
    Inactive,
    /// It is for another offer.
    OtherOffer,
    /// It is for another campaign.
    OtherCampaign,
    /// It is for another event.
    OtherEvent,
    /// What happened is not what it fires on.
    OtherCause,
    /// A browser carries it, and none waited.
    NoBrowser,
    /// It is not for conversions that stand so.
    OtherStatus,
    /// The payout is below its minimum.
    PayoutTooLow,
    /// The conversion is not in its share.
    OutsideShare,
}

impl Postback {
    /// Whether it is a postback or a webhook.
    pub fn kind(&self) -> EntityKind {
        if self.method == PostbackMethod::Webhook { EntityKind::Webhook } else { EntityKind::Postback }
    }

    /// Refuses terms that do not go together.
    pub fn check(&self) -> Result<(), Unsuitable> {
        let body_type = self.body.as_ref().map(BodyTemplate::body_type);
        if body_type.is_some() && body_type != self.method.body_type() {
            return Err(Unsuitable::Body);
        }
        if matches!(self.owner, Owner::Advertiser(_)) && self.url.has(Token::Payout) {
            return Err(Unsuitable::PayoutToAdvertiser);
        }
        if !self.postback_type.is_for_browsers() {
            return Ok(());
        }
        match self.fire_on {
            _ if self.method != PostbackMethod::Get => Err(Unsuitable::BrowserMethod),
            FireOn::Rejection | FireOn::Reversal | FireOn::Change | FireOn::All => {
                Err(Unsuitable::BrowserFireOn)
            }
            _ if self.delay_seconds > 0 => Err(Unsuitable::BrowserDelay),
            _ if self.signing.secret.is_some() => Err(Unsuitable::BrowserSigned),
            FireOn::Conversion | FireOn::Approval => Ok(()),
        }
    }

    /// Whether it is active and a conversion that comes to stand so fires it. `before` is none when the
    /// conversion is recorded; `in_browser` whether a browser waits for the answer that records it.
    pub fn fires(
        &self,
        conversion: &Conversion,
        before: Option<Standing>,
        after: Standing,
        in_browser: bool,
    ) -> bool {
        self.obstacle(conversion, before, after, in_browser).is_none()
    }

    /// What keeps a conversion that comes to stand so from firing it; none where it fires.
    pub fn obstacle(
        &self,
        conversion: &Conversion,
        before: Option<Standing>,
        after: Standing,
        in_browser: bool,
    ) -> Option<Obstacle> {
        let PostbackConditions { statuses, min_payout, share_percent } = &self.conditions;
        if self.status != PostbackStatus::Active {
            Some(Obstacle::Inactive)
        } else if self.offer_id.is_some_and(|it| it != conversion.offer_id) {
            Some(Obstacle::OtherOffer)
        } else if self.campaign_id.is_some_and(|it| Some(it) != conversion.campaign_id) {
            Some(Obstacle::OtherCampaign)
        } else if self.event_id.is_some_and(|it| it != conversion.event_id) {
            Some(Obstacle::OtherEvent)
        } else if !self.fire_on.fires(before, after) {
            Some(Obstacle::OtherCause)
        } else if !in_browser && self.postback_type.is_for_browsers() {
            Some(Obstacle::NoBrowser)
        } else if !statuses.is_empty() && !statuses.contains(&after.status) {
            Some(Obstacle::OtherStatus)
        } else if min_payout.is_some_and(|min| after.worth().payout < min) {
            Some(Obstacle::PayoutTooLow)
        } else if share_percent.is_some_and(|share| !self.is_in_share(conversion, share)) {
            Some(Obstacle::OutsideShare)
        } else {
            None
        }
    }

    /// The same conversions of a hundred for every cause, and others for every postback.
    fn is_in_share(&self, conversion: &Conversion, percent: u8) -> bool {
        // SplitMix64's finalizer: neighbouring numbers come out unrelated.
        let mut bits = conversion.click_id.random_bits()
            ^ (u64::from(self.id.0) << 40)
            ^ u64::from(conversion.event_id.0);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % 100 < u64::from(percent)
    }
}

/// Who is told when a conversion comes to stand as it does: the postbacks it fires, by number.
pub fn fired(
    network: &Network,
    conversion: &Conversion,
    before: Option<Standing>,
    in_browser: bool,
) -> Vec<Arc<Postback>> {
    let owners = [
        Owner::Affiliate(conversion.affiliate_id),
        Owner::Advertiser(conversion.advertiser_id),
        Owner::Network,
    ];
    let all = owners.iter().flat_map(|owner| network.postbacks_of(*owner));
    let mut fired: Vec<_> = all
        .filter(|it| it.fires(conversion, before, conversion.standing, in_browser))
        .map(Arc::clone)
        .collect();
    fired.sort_unstable_by_key(|it| it.id);
    fired
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::adjustment::Worth;
    use crate::example::Example;
    use crate::ids::{ClickId, ConversionId};
    use crate::network::sample;
    use crate::network_change::CreatePostback;

    fn postback() -> Postback {
        let own = Owner::Affiliate(AffiliateId(7));
        let create =
            CreatePostback { fire_on: FireOn::All, ..CreatePostback::new(own, url("https://aff.example/")) };
        create.into_postback(PostbackId(1), Timestamp::UNIX_EPOCH)
    }

    fn url(text: &str) -> UrlTemplate {
        UrlTemplate::parse_called(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn standing(status: ConversionStatus, payout: &str) -> Standing {
        let amount = payout.parse().expect("an amount");
        Standing { status, price: Worth { payout: amount, revenue: amount } }
    }

    #[test]
    fn what_fires_is_decided_by_where_a_conversion_stood_and_stands() {
        use ConversionStatus::{Approved, Ignored, Pending, Rejected, Reversed};
        use FireOn::{All, Approval, Change, Conversion, Rejection, Reversal};
        let check = |before: Option<ConversionStatus>, after: ConversionStatus, fires: &[FireOn]| {
            let before = before.map(|status| standing(status, "18"));
            let found: Vec<_> =
                FireOn::ALL.iter().filter(|it| it.fires(before, standing(after, "18"))).copied().collect();
            assert_eq!(found, fires, "{before:?} {after:?}");
        };
        check(None, Pending, &[Conversion, All]);
        check(None, Approved, &[Conversion, Approval, All]);
        check(None, Rejected, &[Rejection, All]);
        check(None, Reversed, &[Conversion, Reversal, All]);
        check(None, Ignored, &[All]);
        check(Some(Pending), Approved, &[Approval, Change, All]);
        check(Some(Pending), Rejected, &[Rejection, Change, All]);
        check(Some(Rejected), Approved, &[Approval, Change, All]);
        check(Some(Approved), Reversed, &[Reversal, Change, All]);
        check(Some(Reversed), Approved, &[Approval, Change, All]);
        check(Some(Approved), Pending, &[Change, All]);
        check(Some(Pending), Ignored, &[Change, All]);
        for same in ConversionStatus::ALL {
            check(Some(same), same, &[]);
        }
    }

    #[test]
    fn an_amount_that_changes_is_a_change_and_no_second_approval() {
        let (before, after) =
            (standing(ConversionStatus::Approved, "18"), standing(ConversionStatus::Approved, "19"));
        let found: Vec<_> = FireOn::ALL.iter().filter(|it| it.fires(Some(before), after)).collect();
        assert_eq!(found, [&FireOn::Change, &FireOn::All]);
    }

    #[test]
    fn each_condition_keeps_a_postback_from_firing() {
        let conversion = Example::default().conversion;
        let fires = |postback: &Postback, after: Standing, in_browser: bool| {
            postback.fires(&conversion, None, after, in_browser)
        };
        let now = conversion.standing;
        assert!(fires(&postback(), now, false));
        let other = |change: fn(&mut Postback)| {
            let mut postback = postback();
            change(&mut postback);
            postback
        };
        for (change, meets) in [
            ((|it| it.status = PostbackStatus::Inactive) as fn(&mut Postback), false),
            (|it| it.offer_id = Some(OfferId(12)), true),
            (|it| it.offer_id = Some(OfferId(13)), false),
            (|it| it.campaign_id = Some(CampaignId(21)), true),
            (|it| it.campaign_id = Some(CampaignId(22)), false),
            (|it| it.event_id = Some(EventId(1)), true),
            (|it| it.event_id = Some(EventId(2)), false),
            (|it| it.conditions.statuses = vec![ConversionStatus::Pending, ConversionStatus::Approved], true),
            (|it| it.conditions.statuses = vec![ConversionStatus::Pending], false),
            (|it| it.conditions.min_payout = "18".parse().ok(), true),
            (|it| it.conditions.min_payout = "18.0001".parse().ok(), false),
            (|it| it.fire_on = FireOn::Rejection, false),
        ] {
            let changed = other(change);
            assert_eq!(fires(&changed, now, false), meets, "{changed:?}");
        }
        let paid = other(|it| it.conditions.min_payout = "0.01".parse().ok());
        assert!(
            !fires(&paid, standing(ConversionStatus::Rejected, "18"), false),
            "worth nothing as it stands"
        );
        let no_campaign = Conversion { campaign_id: None, ..conversion.clone() };
        assert!(!other(|it| it.campaign_id = Some(CampaignId(21))).fires(&no_campaign, None, now, false));
        let image = other(|it| it.postback_type = PostbackType::Image);
        assert!(fires(&image, now, true) && !fires(&image, now, false));
        assert!(fires(&postback(), now, true), "a browser does not keep a server's from firing");
    }

    /// The conversion of a click with these random bits.
    fn of_click(random: u64) -> Conversion {
        let click_id = ClickId::from_bytes(u128::from(random).to_be_bytes());
        Conversion { click_id, ..Example::default().conversion }
    }

    #[test]
    fn a_share_is_about_right_and_grows_with_its_percentage() {
        let conversions: Vec<_> = (0..10_000).map(|it| of_click(it * 0x9e37_79b9)).collect();
        for percent in [1, 10, 50, 99, 100] {
            let taken = conversions.iter().filter(|it| postback().is_in_share(it, percent)).count();
            let expected = usize::from(percent) * 100;
            assert!(taken.abs_diff(expected) <= 150, "{percent}: {taken}");
            let other = Postback { id: PostbackId(2), ..postback() };
            let both = conversions
                .iter()
                .filter(|it| postback().is_in_share(it, percent) && other.is_in_share(it, percent))
                .count();
            let expected = usize::from(percent) * usize::from(percent);
            assert!(both.abs_diff(expected) <= 150, "others for every postback: {percent}: {both}");
        }
        for it in &conversions {
            assert!(!postback().is_in_share(it, 10) || postback().is_in_share(it, 11));
        }
    }

    #[test]
    fn a_share_is_of_the_same_conversions_for_ever() {
        let taken: String =
            (0..32).map(|it| if postback().is_in_share(&of_click(it), 50) { '1' } else { '0' }).collect();
        assert_eq!(taken, "10111001001100100101011111000000");
        let mut later = of_click(3);
        (later.id, later.standing) = (ConversionId(9), standing(ConversionStatus::Reversed, "1"));
        assert_eq!(postback().is_in_share(&later, 50), postback().is_in_share(&of_click(3), 50));
    }

    #[test]
    fn whoever_has_to_do_with_a_conversion_is_told_in_the_order_of_the_numbers() {
        let mut entities = sample::entities();
        let owners = [
            (6, Owner::Affiliate(AffiliateId(4))),
            (1, Owner::Network),
            (3, Owner::Advertiser(AdvertiserId(1))),
            (2, Owner::Affiliate(AffiliateId(4))),
            (4, Owner::Affiliate(AffiliateId(5))),
            (5, Owner::Advertiser(AdvertiserId(2))),
        ];
        for (id, owner) in owners {
            entities.postbacks.push(Postback { id: PostbackId(id), owner, ..postback() });
        }
        entities.postbacks.push(Postback {
            id: PostbackId(7),
            status: PostbackStatus::Inactive,
            ..entities.postbacks[0].clone()
        });
        let network = Network::new(entities);
        let conversion = Conversion {
            affiliate_id: AffiliateId(4),
            advertiser_id: AdvertiserId(1),
            ..Example::default().conversion
        };
        let ids = |before| {
            let fired = fired(&network, &conversion, before, false);
            fired.iter().map(|it| it.id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids(None), [1, 2, 3, 6]);
        assert_eq!(ids(Some(conversion.standing)), [0_u32; 0], "nothing has changed");
    }

    #[test]
    fn a_receiver_is_its_scheme_host_and_port() {
        let of = |text: &str| Receiver::of(&url(text));
        let known = of("https://aff.example/in?c={click_id}");
        assert_eq!(known, Receiver(-705_157_935_550_739_526), "the same in every version");
        for same in ["https://AFF.example:443", "https://aff.example/#{s1}", "https://aff.example?x={s1}"] {
            assert_eq!(of(same), known, "{same}");
        }
        for other in ["http://aff.example/", "https://aff.example:8443/", "https://b.aff.example/"] {
            assert_ne!(of(other), known, "{other}");
        }
    }

    #[test]
    fn terms_that_do_not_go_together_are_refused() {
        let check = |change: fn(&mut Postback), expected: Result<(), Unsuitable>| {
            let mut postback = Postback { fire_on: FireOn::Conversion, ..postback() };
            change(&mut postback);
            assert_eq!(postback.check(), expected, "{postback:?}");
        };
        let body = |text, body_type| BodyTemplate::parse(text, body_type).ok();
        check(|_| {}, Ok(()));
        for postback_type in [PostbackType::Iframe, PostbackType::Image, PostbackType::Script] {
            let of_type = |change: fn(&mut Postback)| {
                let mut it = Postback { postback_type, fire_on: FireOn::Conversion, ..postback() };
                change(&mut it);
                it.check()
            };
            assert_eq!(of_type(|_| {}), Ok(()));
            assert_eq!(of_type(|it| it.fire_on = FireOn::Approval), Ok(()));
            for fire_on in [FireOn::Rejection, FireOn::Reversal, FireOn::Change, FireOn::All] {
                let it = Postback { postback_type, fire_on, ..postback() };
                assert_eq!(it.check(), Err(Unsuitable::BrowserFireOn));
            }
            let method = of_type(|it| it.method = PostbackMethod::PostForm);
            assert_eq!(method, Err(Unsuitable::BrowserMethod));
            assert_eq!(of_type(|it| it.delay_seconds = 1), Err(Unsuitable::BrowserDelay));
            let signed = of_type(|it| it.signing.secret = Some(Secret(String::new())));
            assert_eq!(signed, Err(Unsuitable::BrowserSigned));
        }
        for (method, body, expected) in [
            (PostbackMethod::Get, body("a=1", BodyType::Form), Err(Unsuitable::Body)),
            (PostbackMethod::PostForm, body("{}", BodyType::Json), Err(Unsuitable::Body)),
            (PostbackMethod::Webhook, body("{}", BodyType::Json), Err(Unsuitable::Body)),
            (PostbackMethod::PostForm, body("a=1", BodyType::Form), Ok(())),
            (PostbackMethod::PostJson, body("{}", BodyType::Json), Ok(())),
            (PostbackMethod::PostJson, None, Ok(())),
        ] {
            let it = Postback { method, body, ..postback() };
            assert_eq!(it.check(), expected, "{it:?}");
        }
        check(|it| it.url = url("https://x.example/?p={payout}"), Ok(()));
        check(
            |it| {
                it.owner = Owner::Advertiser(AdvertiserId(1));
                it.url = url("https://x.example/?p={payout}");
            },
            Err(Unsuitable::PayoutToAdvertiser),
        );
    }

    #[test]
    fn every_postback_type_has_a_number() {
        for postback_type in PostbackType::ALL {
            assert_eq!(PostbackType::from_number(postback_type.number()), Some(*postback_type));
        }
        assert_eq!((PostbackType::from_number(0), PostbackType::from_number(5)), (None, None));
    }

    #[test]
    fn a_secret_does_not_print() {
        let signing = Signing { secret: Some(Secret("whsec_s3cret".to_owned())), old: None };
        assert!(!format!("{signing:?}").contains("s3cret"));
    }

    #[test]
    fn an_answer_is_a_success_by_its_code_and_its_text() {
        let rule = |codes: &str, text: Option<&str>| SuccessRule {
            codes: SuccessRule::parse_codes(codes).expect("codes"),
            text: text.map(str::to_owned),
        };
        for (codes, text, status, body, expected) in [
            ("", None, 200, "", true),
            ("", None, 299, "", true),
            ("", None, 199, "", false),
            ("", None, 300, "", false),
            ("302", None, 302, "", true),
            ("302", None, 200, "", false),
            ("200, 300-399", None, 399, "", true),
            ("200,300-399", None, 201, "", false),
            ("", Some("OK"), 200, "all OK", true),
            ("", Some("OK"), 200, "ok", false),
            ("", Some("OK"), 500, "OK", false),
        ] {
            let found = rule(codes, text).is_success(status, body.as_bytes());
            assert_eq!(found, expected, "{codes:?} {text:?} {status} {body:?}");
        }
        assert!(rule("", Some("OK")).is_success(200, b"\xff\xfeOK\xff"), "whatever else there is");
    }

    #[test]
    fn what_is_no_list_of_codes_is_refused() {
        for text in [
            ",",
            "200,",
            ",200",
            "200,,300",
            "abc",
            "99",
            "600",
            "-1",
            "+200",
            "300-200",
            "200-",
            "-200",
            "200-300-400",
            "2 00",
            "٢٠٠",
            "200;300",
            "99999999999",
        ] {
            assert_eq!(SuccessRule::parse_codes(text), Err(BadCodes), "{text:?}");
        }
        let many = |count| vec!["200"; count].join(",");
        assert!(SuccessRule::parse_codes(&many(SUCCESS_RANGES_MAX)).is_ok());
        assert_eq!(SuccessRule::parse_codes(&many(SUCCESS_RANGES_MAX + 1)), Err(BadCodes));
    }

    proptest! {
        #[test]
        fn codes_are_read_back_as_they_were(
            ends in proptest::collection::vec((100..=599_u16, 100..=599_u16), 0..=SUCCESS_RANGES_MAX),
        ) {
            let codes: Vec<_> = ends.into_iter().map(|(a, b)| a.min(b)..=a.max(b)).collect();
            let rule = SuccessRule { codes: codes.clone(), text: None };
            prop_assert_eq!(SuccessRule::parse_codes(&rule.codes_text()), Ok(codes));
        }

        #[test]
        fn no_text_makes_the_reader_of_codes_panic(text in "\\PC{0,40}") {
            let _ = SuccessRule::parse_codes(&text);
        }
    }
}
