//! The one place that knows status codes: every failure becomes the API's envelope.

use std::any::Any;

use app::{
    ADJUSTED_MAX, AcceptReconciliationError, AdjustConversionError, AdjustConversionsError, ChangeError,
    CloseStatementError, ExplainError, ExportError, Failure, ImportError, NotClosed, ReconcileError,
    RecordClickError, RecordConversionError, ReportError, TestPostbackError, UndoBatchError,
};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use domain::access::NotPermitted;
use domain::adjustment::Unadjustable;
use domain::conversion::Refusal;
use domain::conversion_request::BadParameter;
use domain::ids::{CapId, ConversionId};
use domain::network::DEFAULT_EVENT;
use domain::network_change::{EntityKind, Rejected};
use domain::postback::Unsuitable;
use domain::pricing::PRICE_TARGETS;
use domain::routing::Unattributable;
use domain::targeting::TARGETS;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use serde::Serialize;

/// Seconds after which trying again makes sense.
pub(crate) const RETRY_AFTER: &str = "1";
/// What `request_status` says of a failure.
pub(crate) const ERROR: &str = "Error";

/// A failure as the API tells it.
#[derive(Debug, Default)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    parameter: Option<String>,
    conversion_id: Option<ConversionId>,
    cap_id: Option<CapId>,
    request_id: Option<String>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    request_status: &'static str,
    error: ErrorView<'a>,
    message: &'a str,
}

/// A failure as it stands in an answer.
#[derive(Serialize)]
pub(crate) struct ErrorView<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cap_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), ..Self::default() }
    }

    /// As it stands in an answer.
    pub(crate) fn view(&self) -> ErrorView<'_> {
        ErrorView {
            code: self.code,
            message: &self.message,
            parameter: self.parameter.as_deref(),
            conversion_id: self.conversion_id.map(|id| id.0),
            cap_id: self.cap_id.map(|id| id.0),
            request_id: self.request_id.as_deref(),
        }
    }

    /// Why, for those who do not read JSON.
    pub(crate) fn reason(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }

    /// The stable code alone.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The status of an answer that has no other for a refusal than 200: 429 or 503 where trying again
    /// helps, the call not having been taken at all.
    pub(crate) fn status_of_pixel(&self) -> StatusCode {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => self.status,
            status if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        }
    }

    /// No key, or none of ours.
    pub(crate) fn invalid_api_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key")
    }

    /// Nothing is at this path.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not Found")
    }

    /// There is no such statement, or none that the caller may see.
    pub(crate) fn invoice_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "invoice_not_found", "Invoice Not Found")
    }

    /// There is no such reconciliation, or none any more.
    pub(crate) fn reconciliation_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "reconciliation_not_found", "Reconciliation Not Found")
    }

    /// There is no such conversion.
    fn conversion_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "conversion_not_found", "Conversion Not Found")
    }

    /// The path takes other methods.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed")
    }

    /// Something about the request is over a bound.
    pub(crate) fn too_large(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "too_large", message)
    }

    /// The body did not arrive in time, or broke off.
    pub(crate) fn body_missing() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body did not arrive")
    }

    /// A body of a kind nobody reads here.
    pub(crate) fn unsupported_body() -> Self {
        let message = "a body is application/json or application/x-www-form-urlencoded";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_body", message)
    }

    /// A body that is to be a file, and says it is something else.
    pub(crate) fn unsupported_file() -> Self {
        let message = "the body is the file itself; send it as text/csv";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_body", message)
    }

    /// There is no entity of the number that `parameter` gives.
    fn entity_not_found(kind: EntityKind, parameter: &str) -> Self {
        let (code, message) = match kind {
            EntityKind::Advertiser => ("advertiser_not_found", "Advertiser Not Found"),
            EntityKind::Offer => ("offer_not_found", "Offer Not Found"),
            EntityKind::Affiliate => ("affiliate_not_found", "Affiliate Not Found"),
            EntityKind::Campaign => ("campaign_not_found", "Campaign Not Found"),
            EntityKind::Creative => ("creative_not_found", "Creative Not Found"),
            EntityKind::LandingPage => ("landing_page_not_found", "Landing Page Not Found"),
            EntityKind::Rule => ("rule_not_found", "Rule Not Found"),
            EntityKind::Cap => ("cap_not_found", "Cap Not Found"),
            EntityKind::Event => ("event_not_found", "Event Not Found"),
            EntityKind::PriceRule => ("price_rule_not_found", "Price Rule Not Found"),
            EntityKind::Postback => ("postback_not_found", "Postback Not Found"),
            EntityKind::Webhook => ("webhook_not_found", "Webhook Not Found"),
        };
        let parameter = Some(parameter.to_owned());
        Self { parameter, ..Self::new(StatusCode::NOT_FOUND, code, message) }
    }

    /// Something inside is wrong. The answer tells only a number that is also in the log.
    fn internal(error: &(dyn std::error::Error + 'static), status: StatusCode, code: &'static str) -> Self {
        let request_id = request_id();
        tracing::error!(request_id, error, "a request failed");
        Self {
            request_id: Some(request_id),
            ..Self::new(status, code, "the server could not answer; try again later")
        }
    }
}

/// A number that finds a failed request in the log: a fresh hasher's random keys, nothing of the inside.
fn request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one("request"))
}

impl From<BadParameter> for ApiError {
    fn from(bad: BadParameter) -> Self {
        let (code, message) = (bad.code(), bad.message());
        Self { parameter: Some(bad.parameter), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }
}

impl From<NotPermitted> for ApiError {
    fn from(not_permitted: NotPermitted) -> Self {
        Failure::from(not_permitted).into()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotPermitted => {
                Self::new(StatusCode::FORBIDDEN, "not_permitted", "this key does not permit that")
            }
            Failure::Overloaded => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too much is waiting; try again in a moment",
            ),
            Failure::BatchUndone => Self::new(StatusCode::CONFLICT, "conflict", "the batch was taken back"),
            Failure::Unavailable(error) => {
                Self::internal(&*error, StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Failure::Broken(error) => {
                Self::internal(&*error, StatusCode::INTERNAL_SERVER_ERROR, "internal_error")
            }
        }
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Parameter(bad) => bad.into(),
            ExportError::Failure(failure) => failure.into(),
        }
    }
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Bad(bad) => BadParameter::invalid(bad.parameter(), bad).into(),
            ReportError::TooLarge => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "report_too_large", error.to_string())
            }
            ReportError::Failure(failure) => failure.into(),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Rejected(rejected) => rejected.into(),
            ChangeError::BadParameter(bad) => bad.into(),
            ChangeError::Failure(failure) => failure.into(),
        }
    }
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        let conflict = |message: String| Self::new(StatusCode::CONFLICT, "conflict", message);
        let invalid = |parameter, problem| BadParameter::invalid(parameter, problem).into();
        match rejected {
            Rejected::NotFound(kind) => Self::entity_not_found(kind, &format!("{}_id", kind.name())),
            Rejected::CreativeOfOtherOffer => invalid("creative_id", "not a creative of this offer"),
            Rejected::CampaignExists(id) => {
                conflict(format!("the affiliate runs this offer already, in campaign {id}"))
            }
            Rejected::CampaignOfOtherAffiliate => invalid("campaign_id", "not a campaign of this affiliate"),
            Rejected::OfferOfOtherAdvertiser => invalid("offer_id", "not an offer of this advertiser"),
            Rejected::CampaignOfOtherOffer => invalid("campaign_id", "not a campaign of this offer"),
            Rejected::RedirectNotFound => Self::entity_not_found(EntityKind::Offer, "redirect_offer_id"),
            Rejected::RedirectsToItself => invalid("redirect_offer_id", "an offer cannot redirect to itself"),
            Rejected::TooMany(kind @ (EntityKind::Postback | EntityKind::Webhook)) => {
                conflict(format!("there are as many {}s of this owner as there may be", kind.name()))
            }
            Rejected::Unsuitable(why) => {
                let parameter = match why {
                    Unsuitable::Body => "postback_body",
                    Unsuitable::BrowserMethod => "postback_method",
                    Unsuitable::BrowserFireOn => "fire_on",
                    Unsuitable::BrowserDelay => "postback_delay_seconds",
                    Unsuitable::BrowserSigned => "sign",
                    Unsuitable::PayoutToAdvertiser => "webhook_url",
                };
                BadParameter::invalid(parameter, why).into()
            }
            Rejected::TooMany(kind) => {
                conflict(format!("the offer has as many {}s as it may have", kind.name().replace('_', " ")))
            }
            Rejected::DefaultCreative => {
                invalid("creative_status", "the default creative of an offer stays active")
            }
            Rejected::UnsuitableAtCap => invalid("at_cap", "does not suit the cap_type"),
            Rejected::UnevenLimit => invalid("limit", "a whole number is expected"),
            Rejected::NoConditions(kind) => {
                let targets = if kind == EntityKind::PriceRule { PRICE_TARGETS } else { TARGETS };
                let rule = kind.name().replace('_', " ");
                let message = format!("a {rule} needs at least one of {}", targets.join(", "));
                Self::new(StatusCode::BAD_REQUEST, "missing_parameter", message)
            }
            Rejected::NoPrice => {
                let message = "a price rule needs a payout or a revenue";
                Self::new(StatusCode::BAD_REQUEST, "missing_parameter", message)
            }
            Rejected::EventExists(DEFAULT_EVENT) => {
                conflict("every offer has an event of that name: its default one".to_owned())
            }
            Rejected::EventExists(id) => {
                conflict(format!("the advertiser has an event of that name already: {id}"))
            }
            Rejected::EventOfOtherAdvertiser => invalid("event_id", "not an event of the offer's advertiser"),
        }
    }
}

impl From<RecordConversionError> for ApiError {
    fn from(error: RecordConversionError) -> Self {
        match error {
            RecordConversionError::BadParameter(bad) => bad.into(),
            RecordConversionError::Refused(refusal) => refusal.into(),
            RecordConversionError::AddressNotPermitted => {
                let message = "conversions are not taken from this address";
                Self::new(StatusCode::FORBIDDEN, "not_permitted", message)
            }
            RecordConversionError::TooOften => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many calls from this address")
            }
            RecordConversionError::Failure(failure) => failure.into(),
        }
    }
}

impl From<AdjustConversionError> for ApiError {
    fn from(error: AdjustConversionError) -> Self {
        let about = |id, error| Self { conversion_id: Some(id), ..error };
        match error {
            AdjustConversionError::BadParameter(bad) => bad.into(),
            AdjustConversionError::NotFound => Self::conversion_not_found(),
            AdjustConversionError::SeveralEvents => {
                let message = "the transaction has conversions of several events; say which by event_id";
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            AdjustConversionError::Unadjustable(id, why) => {
                let code = match why {
                    Unadjustable::Status { .. } => "status_not_allowed",
                    Unadjustable::Negative | Unadjustable::TooLarge => "amount_out_of_range",
                };
                about(id, Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, why.to_string()))
            }
            AdjustConversionError::Stated(id, statement_id) => {
                let message = format!("the conversion is on invoice {statement_id}");
                about(id, Self::new(StatusCode::UNPROCESSABLE_ENTITY, "already_billed", message))
            }
            AdjustConversionError::Failure(failure) => failure.into(),
        }
    }
}

impl From<AdjustConversionsError> for ApiError {
    fn from(error: AdjustConversionsError) -> Self {
        match error {
            AdjustConversionsError::BadParameter(bad) => bad.into(),
            AdjustConversionsError::TooMany => {
                let message = format!("more than {ADJUSTED_MAX} conversions match; narrow the filter");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_conversions", message)
            }
            AdjustConversionsError::Failure(failure) => failure.into(),
        }
    }
}

impl From<ExplainError> for ApiError {
    fn from(error: ExplainError) -> Self {
        let not_found =
            |code, what, why| Self::new(StatusCode::NOT_FOUND, code, format!("{what} Not Found: {why}"));
        match error {
            ExplainError::UnknownClick(why) => not_found("click_not_found", "Click", why),
            ExplainError::UnknownConversion(why) => not_found("conversion_not_found", "Conversion", why),
            ExplainError::Unknown(why) => {
                Self::new(StatusCode::NOT_FOUND, "not_found", format!("Not Found: {why}"))
            }
            ExplainError::Failure(failure) => failure.into(),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::BadParameter(bad) => bad.into(),
            ImportError::BatchNotFound => UndoBatchError::NotFound.into(),
            ImportError::BatchClosed(why) => Self::new(StatusCode::CONFLICT, "conflict", why),
            ImportError::Failure(failure) => failure.into(),
        }
    }
}

impl From<ReconcileError> for ApiError {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::BadParameter(bad) => bad.into(),
            ReconcileError::NoAdvertiser => Rejected::NotFound(EntityKind::Advertiser).into(),
            ReconcileError::Failure(failure) => failure.into(),
        }
    }
}

impl From<AcceptReconciliationError> for ApiError {
    fn from(error: AcceptReconciliationError) -> Self {
        match error {
            AcceptReconciliationError::BadParameter(bad) => bad.into(),
            AcceptReconciliationError::NotFound => Self::reconciliation_not_found(),
            AcceptReconciliationError::Already(batch_id) => {
                let message = format!("the reconciliation was accepted before, as batch {batch_id}");
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            AcceptReconciliationError::Failure(failure) => failure.into(),
        }
    }
}

impl From<TestPostbackError> for ApiError {
    fn from(error: TestPostbackError) -> Self {
        match error {
            TestPostbackError::ConversionNotFound => Self::conversion_not_found(),
            TestPostbackError::Unusable(error) => error.into(),
        }
    }
}

impl From<UndoBatchError> for ApiError {
    fn from(error: UndoBatchError) -> Self {
        let conflict = |message: String| Self::new(StatusCode::CONFLICT, "conflict", message);
        match error {
            UndoBatchError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "batch_not_found", "Batch Not Found")
            }
            UndoBatchError::Already => conflict("the batch was taken back before".to_owned()),
            UndoBatchError::Blocked(id, why) => Self {
                conversion_id: Some(id),
                ..conflict(format!("conversion {id} has changed since, and stands in the way: {why}"))
            },
            UndoBatchError::Failure(failure) => failure.into(),
        }
    }
}

impl From<CloseStatementError> for ApiError {
    fn from(error: CloseStatementError) -> Self {
        match error {
            CloseStatementError::NoParty(kind) => Rejected::NotFound(kind).into(),
            CloseStatementError::NotClosed(NotClosed::InFuture) => {
                BadParameter::invalid("end_date", "not over yet; an invoice ends in the past").into()
            }
            CloseStatementError::NotClosed(NotClosed::Closed(id)) => {
                let message = format!("invoice {id} ends there or later already");
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            CloseStatementError::NotClosed(NotClosed::Empty) => {
                let message = "nothing is open by then: no line that is on no invoice yet and not pending";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_to_invoice", message)
            }
            CloseStatementError::Failure(failure) => failure.into(),
        }
    }
}

impl From<RecordClickError> for ApiError {
    fn from(error: RecordClickError) -> Self {
        match error {
            RecordClickError::Unattributable(Unattributable::Incomplete) => {
                BadParameter::missing("campaign_id").into()
            }
            RecordClickError::Unattributable(Unattributable::NoAffiliate) => {
                Rejected::NotFound(EntityKind::Affiliate).into()
            }
            RecordClickError::Unattributable(Unattributable::NoTarget(kind)) => {
                Rejected::NotFound(kind).into()
            }
            RecordClickError::Failure(failure) => failure.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let unprocessable = |message| Self::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), message);
        match refusal {
            Refusal::ClickNotFound => Self::new(StatusCode::NOT_FOUND, refusal.code(), "Click Not Found"),
            Refusal::OfferNotFound => Self::new(StatusCode::NOT_FOUND, refusal.code(), "Offer Not Found"),
            Refusal::UnknownEvent => BadParameter::invalid("event_id", "the offer has no such event").into(),
            Refusal::PriceTooLarge => {
                BadParameter::invalid("amount", "the price it gives is too large").into()
            }
            Refusal::OfferMismatch => unprocessable("the click was on another offer"),
            Refusal::OfferNotActive => unprocessable("the offer is not active"),
            Refusal::AffiliateNotActive => unprocessable("the affiliate is not active"),
            Refusal::ClickNotAccepted => unprocessable("the click never reached the offer"),
            Refusal::ClickExpired => unprocessable("the click is older than the offer's session"),
            Refusal::TooSoon => unprocessable("sooner after the click than the offer allows"),
            Refusal::TooLate => unprocessable("later after the click than the offer allows"),
            Refusal::Suppressed => unprocessable("a suppression list names it"),
            Refusal::CapReached(cap_id) => {
                Self { cap_id: Some(cap_id), ..unprocessable("a cap of the offer is used up") }
            }
            Refusal::AmountRequired => unprocessable("amount is required: the offer pays a percentage of it"),
            Refusal::DuplicateConversion(first) => Self {
                conversion_id: Some(first),
                ..Self::new(StatusCode::CONFLICT, refusal.code(), "Duplicate Conversion")
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let envelope = Envelope { request_status: ERROR, error: self.view(), message: &self.message };
        let body = serde_json::to_vec(&envelope).expect("texts and numbers");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?")
}

/// What a panic in a handler becomes.
#[expect(clippy::needless_pass_by_value, reason = "the shape that the layer takes")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let error: Box<dyn std::error::Error> = format!("panicked: {}", panic_text(&*panic)).into();
    ApiError::internal(&*error, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").into_response()
}
