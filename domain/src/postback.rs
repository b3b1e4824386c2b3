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
        let code =
            |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code)).ok_or(BadCodes);
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
        let PostbackConditions { statuses, min_payout, share_percent } = &self.conditions;
        self.status == PostbackStatus::Active
            && self.fire_on.fires(before, after)
            && (in_browser || !self.postback_type.is_for_browsers())
            && self.offer_id.is_none_or(|it| it == conversion.offer_id)
            && self.campaign_id.is_none_or(|it| Some(it) == conversion.campaign_id)
            && self.event_id.is_none_or(|it| it == conversion.event_id)
            && (statuses.is_empty() || statuses.contains(&after.status))
            && min_payout.is_none_or(|min| after.worth().payout >= min)
            && share_percent.is_none_or(|share| self.is_in_share(conversion, share))
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
