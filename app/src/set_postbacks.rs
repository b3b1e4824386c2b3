//! Making and changing postbacks and webhooks. Whom they call, and what they say, is checked before it is
//! saved; and once more, address by address, each time it is called.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::access::Caller;
use domain::body_template::{BodyTemplate, BodyType};
use domain::conversion_request::BadParameter;
use domain::example::Example;
use domain::ids::PostbackId;
use domain::network_change::{CreatePostback, EntityKind, PostbackChange};
use domain::postback::{Postback, PostbackMethod, Secret};
use domain::tokens::UrlTemplate;
use jiff::SignedDuration;
use serde_json::Value;

use crate::compose::SECRET_PREFIX;
use crate::{App, ChangeError};

/// How long the secret before the present one signs too.
const OLD_SECRET_SIGNS: SignedDuration = SignedDuration::from_hours(24);

impl App {
    /// Creates a postback or a webhook; with a secret of its own where it is to be signed.
    pub async fn create_postback(
        &self,
        caller: &Caller,
        create: CreatePostback,
        is_signed: bool,
    ) -> Result<Postback, ChangeError> {
        caller.may_administer()?;
        let kind = match create.method {
            PostbackMethod::Webhook => EntityKind::Webhook,
            _ => EntityKind::Postback,
        };
        self.check_texts(kind, Some(&create.url), create.body.as_ref())?;
        let secret = is_signed.then(|| self.make_secret());
        let (create, now) = (CreatePostback { secret, ..create }, self.clock.now());
        self.change(caller, move |ledger| ledger.create_postback(create, now)).await
    }

    /// Changes a postback or a webhook of that kind. A new secret signs from now on; the one before it too,
    /// for a day.
    pub async fn update_postback(
        &self,
        caller: &Caller,
        kind: EntityKind,
        id: PostbackId,
        change: PostbackChange,
        rotates: bool,
    ) -> Result<Postback, ChangeError> {
        caller.may_administer()?;
        self.check_texts(kind, change.url.as_ref(), change.body.as_ref().and_then(Option::as_ref))?;
        let until = self.clock.now().saturating_add(OLD_SECRET_SIGNS).unwrap_or(jiff::Timestamp::MAX);
        let secret = rotates.then(|| (self.make_secret(), until));
        let change = PostbackChange { kind: Some(kind), secret, ..change };
        self.change(caller, move |ledger| ledger.update_postback(id, change)).await
    }

    /// Refuses a URL that nobody may be called by, and a body that would not be JSON.
    pub(crate) fn check_texts(
        &self,
        kind: EntityKind,
        url: Option<&UrlTemplate>,
        body: Option<&BodyTemplate>,
    ) -> Result<(), ChangeError> {
        let (example, zone) = (Example::default(), &self.settings.zone);
        let values = example.values(zone);
        if let Some(url) = url {
            let parameter = format!("{}_url", kind.name());
            let called = url.expand(|token| values.get(token));
            outbound::check_url(&called, &self.settings.outbound.allow_private)
                .map_err(|problem| ChangeError::BadParameter(BadParameter::invalid(&parameter, problem)))?;
        }
        if let Some(body) = body.filter(|it| it.body_type() == BodyType::Json) {
            let problem = |error| BadParameter::invalid("postback_body", format!("not JSON: {error}"));
            serde_json::from_str::<Value>(&body.expand(|token| values.get(token)))
                .map_err(|error| ChangeError::BadParameter(problem(error)))?;
        }
        Ok(())
    }

    /// 192 random bits, as the Standard Webhooks specification writes secrets.
    fn make_secret(&self) -> Secret {
        let random: Vec<u8> = (0..3).flat_map(|_| self.chance.draw().to_be_bytes()).collect();
        Secret(format!("{SECRET_PREFIX}{}", STANDARD.encode(random)))
    }
}
