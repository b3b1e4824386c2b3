//! From a request to a known caller and its parameters. The key comes first: whoever has none is
//! told nothing else.

use std::time::Duration;

use app::{UPLOAD_BYTES_MAX, Upload};
use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::HeaderMap;
use bytes::Bytes;
use domain::access::Caller;
use domain::conversion_request::BadParameter;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use serde_json::value::RawValue;

use crate::Web;
use crate::error::ApiError;
use crate::params::{API_KEY, Fields, Params};
use crate::server::{Peer, Secure};
use crate::tracking::address;

/// The longest query string, in bytes.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// The largest body, in bytes: far more than one call's parameters.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest request head, in bytes, without its first line.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// The largest body of a batch, in bytes: a thousand calls of a kilobyte each.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The most calls of one batch.
const BATCH_ROWS_MAX: usize = 1000;
/// The type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// The field that holds a batch's calls.
const ROWS: &str = "conversions";
/// The largest file, in bytes: 10,000 rows of some 800 bytes.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a file may: over a line of 1 Mbit a second.
const FILE_TIMEOUT: Duration = Duration::from_secs(70);

/// A call with a valid key, and what it carries.
pub(crate) struct Keyed {
    pub(crate) caller: Caller,
    pub(crate) params: Params,
    /// The scheme and host the request came to, such as `https://trk.example.com`.
    pub(crate) origin: Option<String>,
}

impl FromRequest<Web> for Keyed {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, web: &Web) -> Result<Self, ApiError> {
        keyed(request, web, add_body).await
    }
}

/// Reads a call, its body by `read`.
async fn keyed(
    request: Request<Body>,
    web: &Web,
    read: impl FnOnce(&mut Params, &HeaderMap, &[u8]) -> Result<(), ApiError>,
) -> Result<Keyed, ApiError> {
    let (head, body) = request.into_parts();
    check_head(&head.headers, head.uri.query())?;
    let mut params = Params::default();
    // A call that cannot be read is told so only once its key is known to be good.
    let mut problem = head.uri.query().and_then(|query| params.add_pairs(query).err()).map(ApiError::from);
    match collect(body, BODY_BYTES_MAX).await {
        Ok(body) if body.is_empty() => {}
        Ok(body) => problem = problem.or(read(&mut params, &head.headers, &body).err()),
        Err(error) => problem = problem.or(Some(error)),
    }
    let secret = secret(&head.headers, &params).ok_or_else(ApiError::invalid_api_key)?;
    let caller = holder(web, &head, &secret).await?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let scheme = if head.extensions.get::<Secure>().is_some() { "https" } else { "http" };
    let host = text(&head.headers, header::HOST.as_str());
    Ok(Keyed { caller, params, origin: host.map(|host| format!("{scheme}://{host}")) })
}

/// A call with a valid key whose JSON may hold lists: see `Params::add_document`.
pub(crate) struct KeyedDocument(pub(crate) Keyed);

/// The object of a document whose fields stand for its own.
const FILTERS: &str = "filters";

impl FromRequest<Web> for KeyedDocument {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, web: &Web) -> Result<Self, ApiError> {
        let read = |params: &mut Params, headers: &HeaderMap, body: &[u8]| {
            if is_json(headers, body) {
                Ok(params.add_document(body, FILTERS)?)
            } else {
                add_body(params, headers, body)
            }
        };
        keyed(request, web, read).await.map(Self)
    }
}

/// A batch of calls with a valid key.
pub(crate) struct KeyedRows {
    pub(crate) caller: Caller,
    pub(crate) rows: Vec<Row>,
}

/// One call of a batch, as far as it could be read.
pub(crate) struct Row {
    pub(crate) params: Params,
    pub(crate) problem: Option<BadParameter>,
}

impl FromRequest<Web> for KeyedRows {
    type Rejection = ApiError;

    /// A key in the query or a header is looked at before the body. Where it stands in the body, that has
    /// the bound of all bodies: strangers cannot have more of it held.
    async fn from_request(request: Request<Body>, web: &Web) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        check_head(&head.headers, head.uri.query())?;
        let (params, problem) = Params::read_query(head.uri.query().unwrap_or_default());
        let known = match secret(&head.headers, &params) {
            Some(secret) => Some(holder(web, &head, &secret).await?),
            None => None,
        };
        let bytes_max = if known.is_some() { BATCH_BYTES_MAX } else { BODY_BYTES_MAX };
        let body = collect(body, bytes_max).await;
        let batch = body.and_then(|body| Batch::read(&head.headers, &body));
        let caller = match (known, &batch) {
            (Some(caller), _) => caller,
            (None, Ok(Batch { api_key: Some(secret), .. })) => holder(web, &head, secret).await?,
            (None, _) => return Err(ApiError::invalid_api_key()),
        };
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        Ok(Self { caller, rows: batch?.rows? })
    }
}

/// A batch's body.
struct Batch {
    api_key: Option<String>,
    rows: Result<Vec<Row>, BadParameter>,
}

impl Batch {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        if !is_json(headers, body) {
            return Err(ApiError::unsupported_body());
        }
        let fields: Fields<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| BadParameter::invalid("body", format!("not a JSON object: {error}")))?;
        let find = |name: &str| {
            let mut named = fields.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.get())
        };
        let api_key = find(API_KEY).and_then(|text| serde_json::from_str(text).ok());
        Ok(Self { api_key, rows: find(ROWS).ok_or_else(|| BadParameter::missing(ROWS)).and_then(rows) })
    }
}

/// The calls of a batch. What is wrong with one of them is that one's matter.
fn rows(list: &str) -> Result<Vec<Row>, BadParameter> {
    let not_a_list = |_| BadParameter::invalid(ROWS, "a list of objects is expected");
    let list: Vec<&RawValue> = serde_json::from_str(list).map_err(not_a_list)?;
    if !(1..=BATCH_ROWS_MAX).contains(&list.len()) {
        return Err(BadParameter::invalid(ROWS, format!("1 to {BATCH_ROWS_MAX} calls are expected")));
    }
    let row = |object: &RawValue| {
        let mut params = Params::default();
        let problem = params.add_json(object.get().as_bytes()).err();
        Row { params, problem }
    };
    Ok(list.into_iter().map(row).collect())
}

/// A file, sent with a key that may do everything.
pub(crate) struct KeyedFile {
    pub(crate) caller: Caller,
    pub(crate) params: Params,
    pub(crate) file: Bytes,
}

impl FromRequest<Web> for KeyedFile {
    type Rejection = ApiError;

    /// Key and parameters stand in the query or a header: the body is the file itself. Nobody else can have
    /// it held.
    async fn from_request(request: Request<Body>, web: &Web) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        check_head(&head.headers, head.uri.query())?;
        let (params, problem) = Params::read_query(head.uri.query().unwrap_or_default());
        let secret = secret(&head.headers, &params).ok_or_else(ApiError::invalid_api_key)?;
        let caller = holder(web, &head, &secret).await?;
        caller.may_administer()?;
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        if ["application/json", FORM].contains(&&*kind(&head.headers)) {
            return Err(ApiError::unsupported_file());
        }
        let file = collect_within(body, FILE_BYTES_MAX, FILE_TIMEOUT).await?;
        Ok(Self { caller, params, file })
    }
}

/// A file that may be long, sent with a key that reads everything, while it comes.
pub(crate) struct KeyedUpload {
    pub(crate) caller: Caller,
    pub(crate) params: Params,
    /// The file's name, where it has one.
    pub(crate) name: Option<String>,
    pub(crate) upload: Upload,
}

impl FromRequest<Web> for KeyedUpload {
    type Rejection = ApiError;

    /// Key and parameters stand in the query or a header: the body is the file itself, or a form whose only
    /// field it is. It goes to disk as it comes.
    async fn from_request(request: Request<Body>, web: &Web) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        check_head(&head.headers, head.uri.query())?;
        let (params, problem) = Params::read_query(head.uri.query().unwrap_or_default());
        let secret = secret(&head.headers, &params).ok_or_else(ApiError::invalid_api_key)?;
        let caller = holder(web, &head, &secret).await?;
        caller.may_read_all()?;
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let kind = kind(&head.headers);
        if ["application/json", FORM].contains(&&*kind) {
            return Err(ApiError::unsupported_file());
        }
        let mut upload = web.app.begin_upload(&caller).await?;
        let bytes_max = usize::try_from(UPLOAD_BYTES_MAX).unwrap_or(usize::MAX);
        let body = Limited::new(body, bytes_max).into_data_stream();
        let content_type = text(&head.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let name = if kind == "multipart/form-data" {
            let boundary = multer::parse_boundary(content_type).map_err(|_| not_multipart("no boundary"))?;
            receive_form(multer::Multipart::new(body, boundary), &mut upload).await?
        } else {
            let mut body = std::pin::pin!(body);
            while let Some(piece) = within(body.next()).await? {
                upload.push(&piece.map_err(|error| broken_off(&*error))?).await?;
            }
            None
        };
        Ok(Self { caller, params, name, upload })
    }
}

/// Takes the file of a form: its only field.
async fn receive_form(
    mut form: multer::Multipart<'_>,
    upload: &mut Upload,
) -> Result<Option<String>, ApiError> {
    let unreadable = |error: multer::Error| {
        let error = match error {
            multer::Error::StreamReadFailed(error) => return broken_off(&*error),
            other => other,
        };
        not_multipart(&error.to_string())
    };
    let field = within(form.next_field()).await?.map_err(unreadable)?;
    let mut field = field.ok_or_else(|| not_multipart("it has no file"))?;
    let name = field.file_name().map(str::to_owned);
    while let Some(piece) = within(field.chunk()).await?.map_err(unreadable)? {
        upload.push(&piece).await?;
    }
    drop(field);
    match within(form.next_field()).await?.map_err(unreadable)? {
        None => Ok(name),
        Some(_) => Err(not_multipart("it has other fields than one file; parameters stand in the query")),
    }
}

fn not_multipart(problem: &str) -> ApiError {
    BadParameter::invalid("body", format!("not a form with one file: {problem}")).into()
}

/// Whoever sends nothing for a while is not waited for.
async fn within<T>(next: impl Future<Output = T>) -> Result<T, ApiError> {
    tokio::time::timeout(BODY_TIMEOUT, next).await.map_err(|_| ApiError::body_missing())
}

fn broken_off(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            let message = format!("a file has at most {UPLOAD_BYTES_MAX} bytes");
            return ApiError::too_large(StatusCode::PAYLOAD_TOO_LARGE, message);
        }
        cause = error.source();
    }
    ApiError::body_missing()
}

fn check_head(headers: &HeaderMap, query: Option<&str>) -> Result<(), ApiError> {
    if query.is_some_and(|query| query.len() > QUERY_BYTES_MAX) {
        let message = format!("a query string has at most {QUERY_BYTES_MAX} bytes");
        return Err(ApiError::too_large(StatusCode::URI_TOO_LONG, message));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > HEADERS_BYTES_MAX {
        let message = format!("a request's headers have at most {HEADERS_BYTES_MAX} bytes");
        return Err(ApiError::too_large(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message));
    }
    Ok(())
}

/// Whoever has this key and may use it where the request comes from.
async fn holder(web: &Web, head: &Parts, secret: &str) -> Result<Caller, ApiError> {
    let Peer(peer) = *head.extensions.get().expect("every request that is routed has its peer");
    let address = address::of(peer, &head.headers, &web.options.trusted_proxies);
    web.app.authenticate(secret, address).await?.ok_or_else(ApiError::invalid_api_key)
}

async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    collect_within(body, bytes_max, BODY_TIMEOUT).await
}

async fn collect_within(body: Body, bytes_max: usize, timeout: Duration) -> Result<Bytes, ApiError> {
    let collected = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(timeout, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("a body has at most {bytes_max} bytes");
            Err(ApiError::too_large(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        Ok(Err(_)) | Err(_) => Err(ApiError::body_missing()),
    }
}

fn add_body(params: &mut Params, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    if is_json(headers, body) {
        Ok(params.add_json(body)?)
    } else if is_form_or_none(&kind(headers)) {
        let form = std::str::from_utf8(body).map_err(|_| BadParameter::invalid("body", "not UTF-8"))?;
        Ok(params.add_pairs(form)?)
    } else {
        Err(ApiError::unsupported_body())
    }
}

/// What a body says it is.
fn kind(headers: &HeaderMap) -> String {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    kind.split(';').next().unwrap_or_default().trim().to_owned()
}

fn is_form_or_none(kind: &str) -> bool {
    kind == FORM || kind.is_empty()
}

/// `curl -d '{…}'` calls its JSON a form; no form begins with a brace.
fn is_json(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = kind(headers);
    kind == "application/json" || (is_form_or_none(&kind) && body.first() == Some(&b'{'))
}

fn secret(headers: &HeaderMap, params: &Params) -> Option<String> {
    let bearer = || {
        let value = text(headers, header::AUTHORIZATION.as_str())?;
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
    };
    params.get(API_KEY).map(str::to_owned).or_else(|| text(headers, "x-api-key")).or_else(bearer)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(HeaderValue::to_str)?.ok().map(str::to_owned)
}
