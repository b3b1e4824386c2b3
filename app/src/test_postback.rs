//! Trying a postback out: what would be called, and what comes of calling it once. Nothing is kept, and
//! nobody takes it for a delivery: its id is a word.

use std::sync::Arc;
use std::time::Duration;

use domain::access::Caller;
use domain::body_template::BodyTemplate;
use domain::click::Click;
use domain::conversion::Conversion;
use domain::delivery::DeliveryCause;
use domain::example::Example;
use domain::ids::{ConversionId, PostbackId};
use domain::network_change::{CreatePostback, EntityKind, Rejected};
use domain::postback::{
    FireOn, Owner, Postback, PostbackConditions, PostbackMethod, PostbackStatus, PostbackType, SuccessRule,
};
use domain::token_values::TokenValues;
use domain::tokens::UrlTemplate;
use jiff::Timestamp;
use outbound::{Answer, Call, Method};

use crate::compose::compose_as;
use crate::failure::blocking;
use crate::list_clicks::turn_of;
use crate::{App, ChangeError, Failure};

/// What stands where deliveries have their id.
const TEST_ID: &str = "test";

/// A postback to try out.
#[derive(Clone, Debug)]
pub struct TestPostback {
    /// Which.
    pub postback: TestedPostback,
    /// The conversion to tell of; none means an example.
    pub conversion_id: Option<ConversionId>,
    /// Whether it is called, or only shown.
    pub sends: bool,
}

/// One that is saved, or one that is not.
#[derive(Clone, Debug)]
pub enum TestedPostback {
    /// The postback or webhook of that number.
    Saved(PostbackId),
    /// As it would be saved.
    Unsaved {
        /// Whom it calls.
        url: UrlTemplate,
        /// How.
        method: PostbackMethod,
        /// What it sends.
        body: Option<BodyTemplate>,
        /// Which answers mean success.
        success: SuccessRule,
    },
}

/// What a postback comes to.
#[derive(Clone, Debug)]
pub struct PostbackTest {
    /// Whether it is a `POST`.
    pub is_post: bool,
    /// Whom it calls.
    pub url: String,
    /// What its headers say, beside what every call has.
    pub headers: Vec<(&'static str, String)>,
    /// What it sends.
    pub body: Option<String>,
    /// What came of calling it, where it was called.
    pub called: Option<CalledTest>,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct CalledTest {
    /// How long it took.
    pub duration: Duration,
    /// The status and the first kilobyte of the answer, or why there is none.
    pub outcome: Result<(u16, String), String>,
    /// Whether a delivery would count as delivered.
    pub is_success: bool,
}

/// Why a postback was not tried out.
#[derive(Debug)]
pub enum TestPostbackError {
    /// There is no such conversion.
    ConversionNotFound,
    /// It could not be saved either.
    Unusable(ChangeError),
}

impl<E: Into<ChangeError>> From<E> for TestPostbackError {
    fn from(error: E) -> Self {
        Self::Unusable(error.into())
    }
}

/// What a test tells of.
struct Told {
    conversion: Conversion,
    click: Option<Click>,
    address: String,
}

impl App {
    /// Makes up the call of a postback, and calls it where that is asked for. Few do so at a time.
    pub async fn test_postback(
        &self,
        caller: &Caller,
        test: TestPostback,
    ) -> Result<PostbackTest, TestPostbackError> {
        caller.may_administer()?;
        let _turn = turn_of(&self.tests).await?;
        let told = match test.conversion_id {
            Some(id) => self.told(id).await?,
            None => example(),
        };
        let postback = self.tested(test.postback, &told.conversion)?;
        let values = TokenValues {
            conversion: &told.conversion,
            standing: told.conversion.standing,
            click: told.click.as_ref(),
            address: &told.address,
            zone: &self.settings.zone,
        };
        let (cause, caused_at) = (DeliveryCause::Recorded, told.conversion.recorded_at);
        let call = compose_as(TEST_ID, &postback, cause, caused_at, &values, self.clock.now());
        let shown = shown(&call);
        if !test.sends {
            return Ok(shown);
        }
        Ok(PostbackTest { called: Some(self.try_out(call, &postback.success).await?), ..shown })
    }

    fn tested(
        &self,
        tested: TestedPostback,
        conversion: &Conversion,
    ) -> Result<Arc<Postback>, TestPostbackError> {
        let (url, method, body, success) = match tested {
            TestedPostback::Saved(id) => {
                let network = self.network.load();
                let missing = ChangeError::Rejected(Rejected::NotFound(EntityKind::Postback));
                return Ok(Arc::clone(network.postback(id).ok_or(missing)?));
            }
            TestedPostback::Unsaved { url, method, body, success } => (url, method, body, success),
        };
        self.check_texts(EntityKind::Postback, Some(&url), body.as_ref())?;
        let create = CreatePostback {
            owner: Owner::Affiliate(conversion.affiliate_id),
            offer_id: None,
            campaign_id: None,
            event_id: None,
            postback_type: PostbackType::Server,
            method,
            url,
            body,
            status: PostbackStatus::Active,
            fire_on: FireOn::Conversion,
            conditions: PostbackConditions::default(),
            delay_seconds: 0,
            success,
            calls_per_second: None,
            secret: None,
        };
        Ok(Arc::new(create.into_postback(PostbackId(0), Timestamp::UNIX_EPOCH)))
    }

    /// A conversion with what tokens ask for beside it, as far as that is still kept.
    async fn told(&self, id: ConversionId) -> Result<Told, TestPostbackError> {
        let ledger = Arc::clone(&self.ledger);
        let found = blocking(move || {
            let Some(conversion) = ledger.find_conversion(id)? else { return Ok(None) };
            let attempts = ledger.list_attempts(&conversion.click_id.to_string())?;
            let own = attempts.into_iter().find(|it| it.conversion_id == Some(id));
            Ok(Some((conversion, own.map(|it| it.address).unwrap_or_default())))
        })
        .await?;
        let (conversion, address) = found.ok_or(TestPostbackError::ConversionNotFound)?;
        let click = self.find_click(&conversion.click_id.to_string()).await?;
        Ok(Told { conversion, click, address })
    }

    /// Calls once. The connection is not kept: deliveries have their own.
    async fn try_out(&self, call: Call, success: &SuccessRule) -> Result<CalledTest, Failure> {
        let options = outbound::Options { idle_connections_max: 0, ..self.settings.outbound.clone() };
        let receivers =
            blocking(move || outbound::Caller::new(options).map_err(|error| Failure::Broken(error.into())))
                .await?;
        let called = receivers.call(call).await;
        let (outcome, is_success) = match called.outcome {
            Ok(Answer { status, body, .. }) => {
                let is_success = success.is_success(status, &body);
                (Ok((status, String::from_utf8_lossy(&body).into_owned())), is_success)
            }
            Err(error) => (Err(format!("{}: {error}", error.code())), false),
        };
        Ok(CalledTest { duration: called.duration, outcome, is_success })
    }
}

fn example() -> Told {
    let example = Example::default();
    Told { conversion: example.conversion, click: Some(example.click), address: example.address }
}

fn shown(call: &Call) -> PostbackTest {
    let content_type = call.body.as_ref().map(|it| ("content-type", it.content_type.to_owned()));
    PostbackTest {
        is_post: call.method == Method::Post,
        url: call.url.clone(),
        headers: content_type.into_iter().chain(call.headers.iter().cloned()).collect(),
        body: call.body.as_ref().map(|it| String::from_utf8_lossy(&it.bytes).into_owned()),
        called: None,
    }
}
