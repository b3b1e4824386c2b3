//! Trying a postback out.

use std::collections::BTreeMap;

use app::{CalledTest, PostbackTest, TestPostback, TestedPostback};
use axum::extract::State;
use domain::conversion_request::BadParameter;
use domain::postback::PostbackMethod;
use serde::Serialize;

use super::postbacks::{body, method, success, url};
use super::view::Answer;
use crate::Web;
use crate::extract::Keyed;
use crate::params::Params;

#[derive(Serialize)]
struct Tested {
    test: TestView,
}

#[derive(Serialize)]
struct TestView {
    method: &'static str,
    url: String,
    headers: BTreeMap<&'static str, String>,
    body: Option<String>,
    sent: bool,
    http_status: Option<u16>,
    success: Option<bool>,
    duration_ms: Option<u64>,
    response: Option<String>,
    error: Option<String>,
}

fn view(test: PostbackTest) -> TestView {
    let PostbackTest { is_post, url, headers, body, called } = test;
    let view = TestView {
        method: if is_post { "POST" } else { "GET" },
        url,
        headers: headers.into_iter().collect(),
        body,
        sent: called.is_some(),
        http_status: None,
        success: None,
        duration_ms: None,
        response: None,
        error: None,
    };
    let Some(CalledTest { duration, outcome, is_success }) = called else { return view };
    let (answer, error) = outcome.map_or_else(|error| (None, Some(error)), |answer| (Some(answer), None));
    let (http_status, response) = answer.unzip();
    TestView {
        http_status,
        success: Some(is_success),
        duration_ms: Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        response,
        error,
        ..view
    }
}

/// Shows what a postback would call, and calls it where that is asked for.
pub(super) async fn test(State(web): State<Web>, keyed: Keyed) -> Answer {
    let Keyed { caller, params, .. } = keyed;
    caller.may_administer()?;
    params.only(&[
        "postback_id",
        "postback_url",
        "postback_method",
        "postback_body",
        "success_codes",
        "success_text",
        "conversion_id",
        "send",
    ])?;
    let test = TestPostback {
        postback: tested(&params)?,
        conversion_id: params.id("conversion_id")?,
        sends: params.boolean("send")?.unwrap_or(false),
    };
    let test = web.app.test_postback(&caller, test).await?;
    Ok(web.success(Tested { test: view(test) }))
}

/// `postback_id`, or what one would be saved as.
fn tested(params: &Params) -> Result<TestedPostback, BadParameter> {
    if let Some(id) = params.id("postback_id")? {
        let others = ["postback_url", "postback_method", "postback_body", "success_codes", "success_text"];
        return match others.into_iter().find(|name| params.get(name).is_some()) {
            Some(name) => Err(BadParameter::invalid(name, "postback_id says something else")),
            None => Ok(TestedPostback::Saved(id)),
        };
    }
    let method = method(params)?.unwrap_or(PostbackMethod::Get);
    Ok(TestedPostback::Unsaved {
        url: url(params, "postback_url")?.ok_or_else(|| BadParameter::missing("postback_url"))?,
        method,
        body: body(params, method)?.flatten(),
        success: success(params)?,
    })
}
