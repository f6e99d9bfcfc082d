//! Redirects, followed step by step: what a flow sends is never sent to another origin.
//!
//! A client that follows by itself drops a login on the way to another host, but neither an `X-Api-Key` nor the
//! `Referer`, whose address may hold a token.

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, IF_RANGE, LOCATION, RANGE,
    TRANSFER_ENCODING,
};
use reqwest::{Client, Method, Request, RequestBuilder, Response, StatusCode, Url};

use super::{NO_CONNECTION, RequestError};
use crate::task::TaskError;

/// Redirects in a row.
const MAX_REDIRECTS: usize = 10;

/// Sends a request and follows redirects, ten at most. To another origin (scheme, host and port) goes a `GET` or `HEAD`
/// alone, without the flow's headers; content goes nowhere but to the origin that was asked.
///
/// # Errors
/// When no answer comes, or a redirect cannot be followed; `what` was being done.
pub async fn send(what: &str, request: RequestBuilder) -> Result<Response, RequestError> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(|error| RequestError::from_reqwest(what, error))?;
    for hop in 0.. {
        let mut next = copy(&request);
        let response = once(what, &client, request, hop > 0).await?;
        let Some(target) = target(what, &response)? else { return Ok(response) };
        if hop == MAX_REDIRECTS {
            break;
        }
        redirect(what, &mut next, response.status(), target)?;
        request = next.request;
    }
    Err(stop(what, "the server redirects in circles, or more than ten times"))
}

/// Sends a request to an address on the way. Once a server has answered, a later one that is not there does not mean
/// that nothing was sent.
async fn once(what: &str, client: &Client, request: Request, is_later: bool) -> Result<Response, RequestError> {
    client.execute(request).await.map_err(|error| match RequestError::from_reqwest(what, error) {
        RequestError::Retryable(error, retry_after) if is_later && error.code.as_deref() == Some(NO_CONNECTION) => {
            RequestError::Retryable(error.code("no answer"), retry_after)
        }
        trouble => trouble,
    })
}

/// A request that may follow.
struct RedirectRequest {
    request: Request,
    /// Whether the content was a stream, which is gone.
    is_spent: bool,
    has_content: bool,
}

fn copy(request: &Request) -> RedirectRequest {
    let has_content = request.body().is_some();
    match request.try_clone() {
        Some(request) => RedirectRequest { request, is_spent: false, has_content },
        None => {
            let mut bare = Request::new(request.method().clone(), request.url().clone());
            *bare.headers_mut() = request.headers().clone();
            *bare.timeout_mut() = request.timeout().copied();
            RedirectRequest { request: bare, is_spent: true, has_content }
        }
    }
}

/// Where an answer sends on to.
fn target(what: &str, response: &Response) -> Result<Option<Url>, RequestError> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else { return Ok(None) };
    let target = location.to_str().ok().and_then(|location| response.url().join(location).ok());
    match target.filter(|target| matches!(target.scheme(), "http" | "https")) {
        Some(mut target) => {
            // A login is the flow's to give. Both only fail for addresses without a host.
            let _ = (target.set_username(""), target.set_password(None));
            Ok(Some(target))
        }
        None => Err(stop(what, "the server redirects to an address that is neither http nor https")),
    }
}

fn redirect(what: &str, next: &mut RedirectRequest, status: StatusCode, target: Url) -> Result<(), RequestError> {
    let is_same = next.request.url().origin() == target.origin();
    let keeps = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let request = &mut next.request;
    if !keeps {
        if request.method() != Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        *request.body_mut() = None;
        for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
            request.headers_mut().remove(name);
        }
    } else if next.is_spent {
        return Err(stop(what, "the server redirects a request whose content was streamed, and cannot be sent twice"));
    }
    if !is_same {
        let only_asks = matches!(*request.method(), Method::GET | Method::HEAD) && !(keeps && next.has_content);
        if !only_asks {
            let place = target.origin().ascii_serialization();
            let why = format!("the server redirects to {place}, but content is only sent to the original server");
            return Err(stop(what, &why));
        }
        *request.headers_mut() = harmless(request.headers());
    }
    *request.url_mut() = target;
    Ok(())
}

/// The headers that say what part of a file is wanted, and in which form.
fn harmless(headers: &HeaderMap) -> HeaderMap {
    let kept = headers.iter().filter(|(name, _)| [ACCEPT_ENCODING, RANGE, IF_RANGE].contains(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn stop(what: &str, why: &str) -> RequestError {
    RequestError::Fatal(TaskError::permanent(format!("{what}: {why}")).help("use the final address"))
}
