//! Changes to the network: what creating an entity takes, and what an update may alter. An absent
//! field stays as it is; there are no sentinels.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::body_template::BodyTemplate;
use crate::caps::{AtCap, Cap, CapStatus, CapType, Interval};
use crate::deep_link::HostPattern;
use crate::event::{Event, EventType};
use crate::ids::{AdvertiserId, AffiliateId, CampaignId, CreativeId, EventId, OfferId, PostbackId};
use crate::money::{Amount, Currency};
use crate::network::{
    Advertiser, Affiliate, Approval, Attribution, Campaign, CampaignStatus, Creative, LandingPage,
    MediaStatus, Offer, OfferStatus, PartyStatus, Redirect,
};
use crate::postback::{
    FireOn, Owner, Postback, PostbackConditions, PostbackMethod, PostbackStatus, PostbackType, Secret,
    Signing, SuccessRule, Unsuitable,
};
use crate::pricing::{PriceCondition, PriceRule, PriceType, Rate};
use crate::schedule::Schedule;
use crate::status::ConversionStatus;
use crate::targeting::{Condition, Rule, RuleStatus, RuleType};
use crate::time::Zone;
use crate::tokens::UrlTemplate;

/// A kind of entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntityKind {
    /// An advertiser.
    Advertiser,
    /// An offer.
    Offer,
    /// An affiliate.
    Affiliate,
    /// A campaign.
    Campaign,
    /// A creative.
    Creative,
    /// A landing page.
    LandingPage,
    /// A targeting rule.
    Rule,
    /// A cap.
    Cap,
    /// An event.
    Event,
    /// A price rule.
    PriceRule,
    /// A postback.
    Postback,
    /// A webhook.
    Webhook,
}

impl EntityKind {
    /// Its name, as in `offer_id` and `offer_not_found`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Advertiser => "advertiser",
            Self::Offer => "offer",
            Self::Affiliate => "affiliate",
            Self::Campaign => "campaign",
            Self::Creative => "creative",
            Self::LandingPage => "landing_page",
            Self::Rule => "rule",
            Self::Cap => "cap",
            Self::Event => "event",
            Self::PriceRule => "price_rule",
            Self::Postback => "postback",
            Self::Webhook => "webhook",
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejected {
    /// Something it names does not exist.
    NotFound(EntityKind),
    /// The creative belongs to another offer.
    CreativeOfOtherOffer,
    /// The affiliate runs the offer already, in this campaign.
    CampaignExists(CampaignId),
    /// The campaign runs another offer.
    CampaignOfOtherOffer,
    /// There is no offer of the redirect's number.
    RedirectNotFound,
    /// An offer would redirect to itself.
    RedirectsToItself,
    /// The offer has as many of these as it may have.
    TooMany(EntityKind),
    /// The default creative of an offer can be neither paused nor deleted.
    DefaultCreative,
    /// What is to happen at the cap does not suit what it counts.
    UnsuitableAtCap,
    /// A cap on what is counted one by one has a limit that is no whole number.
    UnevenLimit,
    /// A rule of this kind would ask for nothing.
    NoConditions(EntityKind),
    /// A price rule would say no price.
    NoPrice,
    /// The advertiser has an event of that name already.
    EventExists(EventId),
    /// The event is another advertiser's.
    EventOfOtherAdvertiser,
    /// The campaign is another affiliate's.
    CampaignOfOtherAffiliate,
    /// The offer is another advertiser's.
    OfferOfOtherAdvertiser,
    /// The terms of a postback do not go together.
    Unsuitable(Unsuitable),
}

/// A new advertiser.
#[derive(Clone, Debug)]
pub struct CreateAdvertiser {
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: PartyStatus,
}

/// A change to an advertiser.
#[derive(Clone, Debug, Default)]
pub struct AdvertiserChange {
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub status: Option<PartyStatus>,
}

impl AdvertiserChange {
    /// Applies what is present.
    pub fn apply(self, advertiser: &mut Advertiser) {
        set(&mut advertiser.name, self.name);
        set(&mut advertiser.status, self.status);
    }
}

/// A new affiliate.
#[derive(Clone, Debug)]
pub struct CreateAffiliate {
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: PartyStatus,
    /// Its tier.
    pub tier: Option<String>,
}

/// A change to an affiliate.
#[derive(Clone, Debug, Default)]
pub struct AffiliateChange {
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub status: Option<PartyStatus>,
    /// Its tier; an inner none takes it away.
    pub tier: Option<Option<String>>,
}

impl AffiliateChange {
    /// Applies what is present.
    pub fn apply(self, affiliate: &mut Affiliate) {
        set(&mut affiliate.name, self.name);
        set(&mut affiliate.status, self.status);
        set(&mut affiliate.tier, self.tier);
    }
}

/// A new offer. Its default creative is made with it.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in the API")]
#[derive(Clone, Debug)]
pub struct CreateOffer {
    /// Its name.
    pub name: String,
    /// Whose offer it is.
    pub advertiser_id: AdvertiserId,
    /// The landing page.
    pub url: UrlTemplate,
    /// Its state.
    pub status: OfferStatus,
    /// What the affiliate gets.
    pub payout: Rate,
    /// What the advertiser owes.
    pub revenue: Rate,
    /// The currency of its amounts.
    pub currency: Currency,
    /// How long after its click a conversion is taken.
    pub session_seconds: u32,
    /// What becomes of a conversion when it is recorded.
    pub approval: Approval,
    /// Only one conversion for each click.
    pub one_per_click: bool,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: bool,
    /// Whether affiliates may name the destination themselves.
    pub allow_deep_link: bool,
    /// Where such a destination may lie.
    pub deep_link_hosts: Vec<HostPattern>,
    /// Before then it takes no clicks.
    pub starts: Option<Timestamp>,
    /// From then on it takes nothing.
    pub expires: Option<Timestamp>,
    /// The hours in which it takes clicks.
    pub schedule: Option<Schedule>,
    /// The time zone of its schedule and its caps.
    pub zone: Option<Zone>,
    /// Where the clicks go that it does not take.
    pub redirect: Option<Redirect>,
    /// Where a visitor goes who has converted already.
    pub thank_you_url: Option<UrlTemplate>,
    /// Which of a visitor's clicks is credited.
    pub attribution: Attribution,
    /// The same visitor again within so many seconds is a duplicate.
    pub throw_out_seconds: Option<u32>,
    /// A pending conversion is approved by itself so many seconds after it was recorded.
    pub approval_delay_seconds: Option<u32>,
    /// A conversion sooner after its click than this is refused, in seconds.
    pub min_conversion_seconds: Option<u32>,
    /// A conversion later after its click than this is refused, in seconds.
    pub max_conversion_seconds: Option<u32>,
    /// Whether a keyless call may state the payout.
    pub allow_pixel_payout: bool,
}

/// How long after its click a conversion is taken where nothing else is said: 30 days, as in CAKE.
pub const SESSION_SECONDS_DEFAULT: u32 = 720 * 3600;

impl CreateOffer {
    /// An offer with nothing said beyond what must be: active, worth nothing, in US dollars.
    pub fn new(name: impl Into<String>, advertiser_id: AdvertiserId, url: UrlTemplate) -> Self {
        Self {
            name: name.into(),
            advertiser_id,
            url,
            status: OfferStatus::Active,
            payout: Rate::cpa(Amount::ZERO),
            revenue: Rate::cpa(Amount::ZERO),
            currency: Currency::USD,
            session_seconds: SESSION_SECONDS_DEFAULT,
            approval: Approval::Auto,
            one_per_click: false,
            allow_duplicates: false,
            allow_deep_link: false,
            deep_link_hosts: Vec::new(),
            starts: None,
            expires: None,
            schedule: None,
            zone: None,
            redirect: None,
            thank_you_url: None,
            attribution: Attribution::FirstTouch,
            throw_out_seconds: None,
            approval_delay_seconds: None,
            min_conversion_seconds: None,
            max_conversion_seconds: None,
            allow_pixel_payout: false,
        }
    }

    /// The offer it becomes.
    pub fn into_offer(self, id: OfferId, creative_id: CreativeId, created: Timestamp) -> Offer {
        Offer {
            id,
            name: self.name,
            status: self.status,
            advertiser_id: self.advertiser_id,
            url: self.url,
            creative_id,
            payout: self.payout,
            revenue: self.revenue,
            currency: self.currency,
            session_seconds: self.session_seconds,
            approval: self.approval,
            one_per_click: self.one_per_click,
            allow_duplicates: self.allow_duplicates,
            allow_deep_link: self.allow_deep_link,
            deep_link_hosts: self.deep_link_hosts,
            starts: self.starts,
            expires: self.expires,
            schedule: self.schedule,
            zone: self.zone,
            redirect: self.redirect,
            thank_you_url: self.thank_you_url,
            attribution: self.attribution,
            throw_out_seconds: self.throw_out_seconds,
            approval_delay_seconds: self.approval_delay_seconds,
            min_conversion_seconds: self.min_conversion_seconds,
            max_conversion_seconds: self.max_conversion_seconds,
            allow_pixel_payout: self.allow_pixel_payout,
            created,
        }
    }
}

/// A change to an offer. Its advertiser and currency never change: money hangs on them.
#[derive(Clone, Debug, Default)]
pub struct OfferChange {
    /// Its name.
    pub name: Option<String>,
    /// The landing page.
    pub url: Option<UrlTemplate>,
    /// Its state.
    pub status: Option<OfferStatus>,
    /// How the payout is read.
    pub payout_type: Option<PriceType>,
    /// The payout's number.
    pub payout: Option<Amount>,
    /// How the revenue is read.
    pub revenue_type: Option<PriceType>,
    /// The revenue's number.
    pub revenue: Option<Amount>,
    /// How long after its click a conversion is taken.
    pub session_seconds: Option<u32>,
    /// What becomes of a conversion when it is recorded.
    pub approval: Option<Approval>,
    /// Only one conversion for each click.
    pub one_per_click: Option<bool>,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: Option<bool>,
    /// Whether affiliates may name the destination themselves.
    pub allow_deep_link: Option<bool>,
    /// Where such a destination may lie.
    pub deep_link_hosts: Option<Vec<HostPattern>>,
    /// Before then it takes no clicks; here and below an inner none takes the value away.
    pub starts: Option<Option<Timestamp>>,
    /// From then on it takes nothing.
    pub expires: Option<Option<Timestamp>>,
    /// The hours in which it takes clicks.
    pub schedule: Option<Option<Schedule>>,
    /// The time zone of its schedule and its caps.
    pub zone: Option<Option<Zone>>,
    /// Where the clicks go that it does not take.
    pub redirect: Option<Option<Redirect>>,
    /// Where a visitor goes who has converted already.
    pub thank_you_url: Option<Option<UrlTemplate>>,
    /// Which of a visitor's clicks is credited.
    pub attribution: Option<Attribution>,
    /// The same visitor again within so many seconds is a duplicate.
    pub throw_out_seconds: Option<Option<u32>>,
    /// A pending conversion is approved by itself so many seconds after it was recorded.
    pub approval_delay_seconds: Option<Option<u32>>,
    /// A conversion sooner after its click than this is refused, in seconds.
    pub min_conversion_seconds: Option<Option<u32>>,
    /// A conversion later after its click than this is refused, in seconds.
    pub max_conversion_seconds: Option<Option<u32>>,
    /// Whether a keyless call may state the payout.
    pub allow_pixel_payout: Option<bool>,
}

impl OfferChange {
    /// Applies what is present.
    pub fn apply(self, offer: &mut Offer) {
        set(&mut offer.name, self.name);
        set(&mut offer.url, self.url);
        set(&mut offer.status, self.status);
        set(&mut offer.payout.price_type, self.payout_type);
        set(&mut offer.payout.number, self.payout);
        set(&mut offer.revenue.price_type, self.revenue_type);
        set(&mut offer.revenue.number, self.revenue);
        set(&mut offer.session_seconds, self.session_seconds);
        set(&mut offer.approval, self.approval);
        set(&mut offer.one_per_click, self.one_per_click);
        set(&mut offer.allow_duplicates, self.allow_duplicates);
        set(&mut offer.allow_deep_link, self.allow_deep_link);
        set(&mut offer.deep_link_hosts, self.deep_link_hosts);
        set(&mut offer.starts, self.starts);
        set(&mut offer.expires, self.expires);
        set(&mut offer.schedule, self.schedule);
        set(&mut offer.zone, self.zone);
        set(&mut offer.redirect, self.redirect);
        set(&mut offer.thank_you_url, self.thank_you_url);
        set(&mut offer.attribution, self.attribution);
        set(&mut offer.throw_out_seconds, self.throw_out_seconds);
        set(&mut offer.approval_delay_seconds, self.approval_delay_seconds);
        set(&mut offer.min_conversion_seconds, self.min_conversion_seconds);
        set(&mut offer.max_conversion_seconds, self.max_conversion_seconds);
        set(&mut offer.allow_pixel_payout, self.allow_pixel_payout);
    }
}

/// A new campaign.
#[derive(Clone, Debug)]
pub struct CreateCampaign {
    /// The offer.
    pub offer_id: OfferId,
    /// The affiliate.
    pub affiliate_id: AffiliateId,
    /// Its state.
    pub status: CampaignStatus,
    /// The creative of its link; by default the offer's.
    pub creative_id: Option<CreativeId>,
    /// Its own payout.
    pub payout: Option<Amount>,
    /// Its own revenue.
    pub revenue: Option<Amount>,
    /// From then on it takes no clicks.
    pub expires: Option<Timestamp>,
    /// Where its refused clicks go.
    pub redirect: Option<Redirect>,
}

/// A change to a campaign.
#[derive(Clone, Debug, Default)]
pub struct CampaignChange {
    /// Its state.
    pub status: Option<CampaignStatus>,
    /// The creative of its link.
    pub creative_id: Option<CreativeId>,
    /// Its own payout; an inner none lets it follow the offer again.
    pub payout: Option<Option<Amount>>,
    /// Its own revenue; an inner none lets it follow the offer again.
    pub revenue: Option<Option<Amount>>,
    /// From then on it takes no clicks; an inner none takes the date away.
    pub expires: Option<Option<Timestamp>>,
    /// Where its refused clicks go; an inner none leaves that to the offer.
    pub redirect: Option<Option<Redirect>>,
}

impl CampaignChange {
    /// Applies what is present.
    pub fn apply(self, campaign: &mut Campaign) {
        set(&mut campaign.status, self.status);
        set(&mut campaign.creative_id, self.creative_id);
        set(&mut campaign.payout, self.payout);
        set(&mut campaign.revenue, self.revenue);
        set(&mut campaign.expires, self.expires);
        set(&mut campaign.redirect, self.redirect);
    }
}

/// A new creative.
#[derive(Clone, Debug)]
pub struct CreateCreative {
    /// Whose it is.
    pub offer_id: OfferId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: MediaStatus,
    /// A landing page of its own.
    pub url: Option<UrlTemplate>,
}

/// A change to a creative.
#[derive(Clone, Debug, Default)]
pub struct CreativeChange {
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub status: Option<MediaStatus>,
    /// A landing page of its own; an inner none lets it follow the offer again.
    pub url: Option<Option<UrlTemplate>>,
}

impl CreativeChange {
    /// Applies what is present.
    pub fn apply(self, creative: &mut Creative) {
        set(&mut creative.name, self.name);
        set(&mut creative.status, self.status);
        set(&mut creative.url, self.url);
    }
}

/// A new landing page.
#[derive(Clone, Debug)]
pub struct CreateLandingPage {
    /// Whose it is.
    pub offer_id: OfferId,
    /// Its name.
    pub name: String,
    /// The page.
    pub url: UrlTemplate,
    /// Its share of the visitors, beside the others' weights.
    pub weight: u32,
    /// Its state.
    pub status: MediaStatus,
}

/// A change to a landing page.
#[derive(Clone, Debug, Default)]
pub struct LandingPageChange {
    /// Its name.
    pub name: Option<String>,
    /// The page.
    pub url: Option<UrlTemplate>,
    /// Its share of the visitors.
    pub weight: Option<u32>,
    /// Its state.
    pub status: Option<MediaStatus>,
}

impl LandingPageChange {
    /// Applies what is present.
    pub fn apply(self, page: &mut LandingPage) {
        set(&mut page.name, self.name);
        set(&mut page.url, self.url);
        set(&mut page.weight, self.weight);
        set(&mut page.status, self.status);
    }
}

/// A new targeting rule, in its first version.
#[derive(Clone, Debug)]
pub struct CreateRule {
    /// The offer; none where the campaign says it.
    pub offer_id: Option<OfferId>,
    /// Only the clicks of this campaign, which must be the offer's.
    pub campaign_id: Option<CampaignId>,
    /// Its place among the rules; by default after all others.
    pub position: Option<u32>,
    /// What it does.
    pub rule_type: RuleType,
    /// Its state.
    pub status: RuleStatus,
    /// Whom it describes.
    pub conditions: Vec<Condition>,
    /// Where those go whom it keeps out.
    pub redirect: Option<Redirect>,
}

/// A change to a targeting rule: it gets a new version, and the one before is kept.
#[derive(Clone, Debug, Default)]
pub struct RuleChange {
    /// Its place among the rules.
    pub position: Option<u32>,
    /// What it does.
    pub rule_type: Option<RuleType>,
    /// Its state.
    pub status: Option<RuleStatus>,
    /// Conditions by target: these replace the rule's condition of the same target.
    pub conditions: Vec<Condition>,
    /// Targets no longer asked for.
    pub without: Vec<&'static str>,
    /// Where those go whom it keeps out; an inner none leaves that to campaign and offer.
    pub redirect: Option<Option<Redirect>>,
}

impl RuleChange {
    /// Applies what is present, as a new version. The caller refuses a rule left without conditions.
    pub fn apply(self, rule: &mut Rule) {
        let replaced: Vec<_> = self.conditions.iter().map(Condition::target).chain(self.without).collect();
        rule.conditions.retain(|condition| !replaced.contains(&condition.target()));
        rule.conditions.extend(self.conditions);
        set(&mut rule.position, self.position);
        set(&mut rule.rule_type, self.rule_type);
        set(&mut rule.status, self.status);
        set(&mut rule.redirect, self.redirect);
        rule.version += 1;
    }
}

/// A new cap.
#[derive(Clone, Debug)]
pub struct CreateCap {
    /// The offer; none where the campaign says it.
    pub offer_id: Option<OfferId>,
    /// Only this campaign's.
    pub campaign_id: Option<CampaignId>,
    /// Only conversions of this event.
    pub event_id: Option<EventId>,
    /// What it counts.
    pub cap_type: CapType,
    /// When it begins anew.
    pub interval: Interval,
    /// How much it takes.
    pub limit: Amount,
    /// What happens then.
    pub at_cap: AtCap,
}

/// A change to a cap. What it counts and whose it is never changes.
#[derive(Clone, Debug, Default)]
pub struct CapChange {
    /// When it begins anew.
    pub interval: Option<Interval>,
    /// How much it takes.
    pub limit: Option<Amount>,
    /// What happens then.
    pub at_cap: Option<AtCap>,
    /// Its state.
    pub status: Option<CapStatus>,
}

impl CapChange {
    /// Applies what is present.
    pub fn apply(self, cap: &mut Cap) {
        set(&mut cap.interval, self.interval);
        set(&mut cap.limit, self.limit);
        set(&mut cap.at_cap, self.at_cap);
        set(&mut cap.status, self.status);
    }
}

/// A new postback or webhook.
#[derive(Clone, Debug)]
pub struct CreatePostback {
    /// Whose it is.
    pub owner: Owner,
    /// Only conversions on this offer.
    pub offer_id: Option<OfferId>,
    /// Only conversions of this campaign.
    pub campaign_id: Option<CampaignId>,
    /// Only conversions of this event.
    pub event_id: Option<EventId>,
    /// How it travels.
    pub postback_type: PostbackType,
    /// How the receiver is called.
    pub method: PostbackMethod,
    /// Whom it calls.
    pub url: UrlTemplate,
    /// What it sends beside the URL.
    pub body: Option<BodyTemplate>,
    /// Its state.
    pub status: PostbackStatus,
    /// What makes it fire.
    pub fire_on: FireOn,
    /// What must be true besides.
    pub conditions: PostbackConditions,
    /// How long after its cause it is sent, in seconds.
    pub delay_seconds: u32,
    /// Which answers mean success.
    pub success: SuccessRule,
    /// How many calls a second its receiver takes.
    pub calls_per_second: Option<u32>,
    /// What its calls are signed with.
    pub secret: Option<Secret>,
}

impl CreatePostback {
    /// A postback with nothing said beyond what must be: active, called at once by `GET` for every conversion.
    pub fn new(owner: Owner, url: UrlTemplate) -> Self {
        Self {
            owner,
            offer_id: None,
            campaign_id: None,
            event_id: None,
            postback_type: PostbackType::Server,
            method: PostbackMethod::Get,
            url,
            body: None,
            status: PostbackStatus::Active,
            fire_on: FireOn::Conversion,
            conditions: PostbackConditions::default(),
            delay_seconds: 0,
            success: SuccessRule::default(),
            calls_per_second: None,
            secret: None,
        }
    }

    /// The postback it becomes.
    pub fn into_postback(self, id: PostbackId, created: Timestamp) -> Postback {
        let Self { owner, offer_id, campaign_id, event_id, postback_type, method, url, body, status, .. } =
            self;
        let Self { fire_on, conditions, delay_seconds, success, calls_per_second, secret, .. } = self;
        let signing = Signing { secret, old: None };
        Postback {
            id,
            owner,
            offer_id,
            campaign_id,
            event_id,
            postback_type,
            method,
            url,
            body,
            status,
            fire_on,
            conditions,
            delay_seconds,
            success,
            calls_per_second,
            signing,
            created,
        }
    }
}

/// A change to a postback or webhook. Whose it is, and which conversions it tells of, never changes.
#[derive(Clone, Debug, Default)]
pub struct PostbackChange {
    /// What it must be to be found: a postback or a webhook; none takes either.
    pub kind: Option<EntityKind>,
    /// How it travels.
    pub postback_type: Option<PostbackType>,
    /// How the receiver is called.
    pub method: Option<PostbackMethod>,
    /// Whom it calls.
    pub url: Option<UrlTemplate>,
    /// What it sends beside the URL.
    pub body: Option<Option<BodyTemplate>>,
    /// Its state.
    pub status: Option<PostbackStatus>,
    /// What makes it fire.
    pub fire_on: Option<FireOn>,
    /// Its status is one of these.
    pub statuses: Option<Vec<ConversionStatus>>,
    /// Its payout is at least this.
    pub min_payout: Option<Option<Amount>>,
    /// Only for so many of a hundred conversions.
    pub share_percent: Option<Option<u8>>,
    /// How long after its cause it is sent, in seconds.
    pub delay_seconds: Option<u32>,
    /// The status codes that mean success.
    pub success_codes: Option<Vec<RangeInclusive<u16>>>,
    /// A text that an answer must contain.
    pub success_text: Option<Option<String>>,
    /// How many calls a second its receiver takes.
    pub calls_per_second: Option<Option<u32>>,
    /// What its calls are signed with from now on; the secret before it signs too until then.
    pub secret: Option<(Secret, Timestamp)>,
}

impl PostbackChange {
    /// Applies what is present.
    pub fn apply(self, postback: &mut Postback) {
        set(&mut postback.postback_type, self.postback_type);
        set(&mut postback.method, self.method);
        set(&mut postback.url, self.url);
        // A body stays with the method it was written for.
        let body_type = postback.method.body_type();
        postback.body = postback.body.take().filter(|it| Some(it.body_type()) == body_type);
        set(&mut postback.body, self.body);
        set(&mut postback.status, self.status);
        set(&mut postback.fire_on, self.fire_on);
        set(&mut postback.conditions.statuses, self.statuses);
        set(&mut postback.conditions.min_payout, self.min_payout);
        set(&mut postback.conditions.share_percent, self.share_percent);
        set(&mut postback.delay_seconds, self.delay_seconds);
        set(&mut postback.success.codes, self.success_codes);
        set(&mut postback.success.text, self.success_text);
        set(&mut postback.calls_per_second, self.calls_per_second);
        if let Some((secret, until)) = self.secret {
            let signing = &mut postback.signing;
            signing.old = signing.secret.replace(secret).map(|old| (old, until));
        }
    }
}

/// A new event.
#[derive(Clone, Debug)]
pub struct CreateEvent {
    /// Whose it is.
    pub advertiser_id: AdvertiserId,
    /// Its name.
    pub name: String,
    /// What it means.
    pub event_type: EventType,
    /// Its state.
    pub status: PartyStatus,
    /// What the affiliate gets, where neither campaign nor offer says anything.
    pub payout: Rate,
    /// What the advertiser owes, where neither campaign nor offer says anything.
    pub revenue: Rate,
    /// Only one conversion for each click.
    pub one_per_click: bool,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: bool,
}

impl CreateEvent {
    /// The event it becomes.
    pub fn into_event(self, id: EventId, created: Timestamp) -> Event {
        Event {
            id,
            advertiser_id: self.advertiser_id,
            name: self.name,
            event_type: self.event_type,
            status: self.status,
            payout: self.payout,
            revenue: self.revenue,
            one_per_click: self.one_per_click,
            allow_duplicates: self.allow_duplicates,
            created,
        }
    }
}

/// A change to an event. Whose it is never changes.
#[derive(Clone, Debug, Default)]
pub struct EventChange {
    /// Its name.
    pub name: Option<String>,
    /// What it means.
    pub event_type: Option<EventType>,
    /// Its state.
    pub status: Option<PartyStatus>,
    /// How the payout is read.
    pub payout_type: Option<PriceType>,
    /// The payout's number.
    pub payout: Option<Amount>,
    /// How the revenue is read.
    pub revenue_type: Option<PriceType>,
    /// The revenue's number.
    pub revenue: Option<Amount>,
    /// Only one conversion for each click.
    pub one_per_click: Option<bool>,
    /// A click may convert again without a `unique_id`.
    pub allow_duplicates: Option<bool>,
}

impl EventChange {
    /// Applies what is present.
    pub fn apply(self, event: &mut Event) {
        set(&mut event.name, self.name);
        set(&mut event.event_type, self.event_type);
        set(&mut event.status, self.status);
        set(&mut event.payout.price_type, self.payout_type);
        set(&mut event.payout.number, self.payout);
        set(&mut event.revenue.price_type, self.revenue_type);
        set(&mut event.revenue.number, self.revenue);
        set(&mut event.one_per_click, self.one_per_click);
        set(&mut event.allow_duplicates, self.allow_duplicates);
    }
}

/// A new price rule, in its first version.
#[derive(Clone, Debug)]
pub struct CreatePriceRule {
    /// The offer; none where the campaign says it.
    pub offer_id: Option<OfferId>,
    /// Only the conversions of this campaign, which must be the offer's.
    pub campaign_id: Option<CampaignId>,
    /// Its place among the rules; by default after all others.
    pub position: Option<u32>,
    /// Its state.
    pub status: RuleStatus,
    /// Which conversions it prices.
    pub conditions: Vec<PriceCondition>,
    /// What the affiliate gets.
    pub payout: Option<Rate>,
    /// What the advertiser owes.
    pub revenue: Option<Rate>,
}

/// A change to a price rule: it gets a new version, and the one before is kept.
#[derive(Clone, Debug, Default)]
pub struct PriceRuleChange {
    /// Its place among the rules.
    pub position: Option<u32>,
    /// Its state.
    pub status: Option<RuleStatus>,
    /// Conditions by target: these replace the rule's condition of the same target.
    pub conditions: Vec<PriceCondition>,
    /// Targets no longer asked for.
    pub without: Vec<&'static str>,
    /// What the affiliate gets.
    pub payout: RateChange,
    /// What the advertiser owes.
    pub revenue: RateChange,
}

/// A change to one side of a price that need not say anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateChange {
    /// How the number is read.
    pub price_type: Option<PriceType>,
    /// The number; an inner none says nothing about this side any more.
    pub number: Option<Option<Amount>>,
}

impl RateChange {
    /// Applies what is present. A number that comes to a side without one is an amount, unless it says else.
    fn apply(self, rate: &mut Option<Rate>) {
        match self.number {
            Some(None) => *rate = None,
            Some(Some(number)) => rate.get_or_insert(Rate::cpa(number)).number = number,
            None => {}
        }
        if let Some(rate) = rate {
            set(&mut rate.price_type, self.price_type);
        }
    }
}

impl PriceRuleChange {
    /// Applies what is present, as a new version. The caller refuses a rule left without conditions or price.
    pub fn apply(self, rule: &mut PriceRule) {
        let replaced: Vec<_> =
            self.conditions.iter().map(PriceCondition::target).chain(self.without).collect();
        rule.conditions.retain(|condition| !replaced.contains(&condition.target()));
        rule.conditions.extend(self.conditions);
        set(&mut rule.position, self.position);
        set(&mut rule.status, self.status);
        self.payout.apply(&mut rule.payout);
        self.revenue.apply(&mut rule.revenue);
        rule.version += 1;
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_of_a_price_changes_by_number_and_by_type() {
        use PriceType::{Cpa, Revshare};
        let amount = |text: &str| text.parse::<Amount>().expect("an amount");
        let rate = |price_type, text: &str| Some(Rate { price_type, number: amount(text) });
        let check = |before: Option<Rate>, price_type, number: Option<Option<&str>>, after: Option<Rate>| {
            let mut found = before;
            RateChange { price_type, number: number.map(|it| it.map(amount)) }.apply(&mut found);
            assert_eq!(found, after, "{before:?} {price_type:?} {number:?}");
        };
        check(rate(Revshare, "70"), None, None, rate(Revshare, "70"));
        check(rate(Revshare, "70"), None, Some(Some("60")), rate(Revshare, "60"));
        check(rate(Revshare, "70"), Some(Cpa), None, rate(Cpa, "70"));
        check(rate(Revshare, "70"), Some(Cpa), Some(Some("9")), rate(Cpa, "9"));
        check(rate(Revshare, "70"), None, Some(None), None);
        check(None, None, Some(Some("9")), rate(Cpa, "9"));
        check(None, Some(Revshare), Some(Some("9")), rate(Revshare, "9"));
        check(None, Some(Revshare), None, None);
    }
}
