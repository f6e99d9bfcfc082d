//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use reqwest::Url;

use super::error::PageError;
use super::shell::Shell;
use crate::server::App;
use crate::server::access::{Credentials, Sender};
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::audit;

/// The largest form of a login, in bytes.
pub(super) const MAX_FORM_BYTES: usize = 16 << 10;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    token: String,
    next: String,
    name: String,
    code: String,
    problem: String,
    /// Whether there is no user yet, so that the code of the first start is asked for.
    is_first_start: bool,
}

/// The form; a user who needs no login is redirected at once.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
    request: Request,
) -> Result<Response, PageError> {
    let sender = Sender::of(&request);
    let next = local(parameters.one("next").unwrap_or("/"));
    if app.access.identify(&sender, app.executor.journal()).await.is_ok() {
        return Ok(Redirect::to(&next).into_response());
    }
    let code = parameters.one("code").unwrap_or_default().to_owned();
    form(&app, &sender, StatusCode::OK, Attempt { next, code, ..Attempt::default() })
}

/// What somebody has entered, and why it was refused.
#[derive(Default)]
struct Attempt {
    next: String,
    name: String,
    code: String,
    problem: String,
}

fn form(app: &App, sender: &Sender, status: StatusCode, attempt: Attempt) -> Result<Response, PageError> {
    let (cookie, token) = app.access.login_form(sender);
    let page = LoginPage {
        shell: Shell::empty(),
        token,
        next: attempt.next,
        name: attempt.name,
        code: attempt.code,
        problem: attempt.problem,
        is_first_start: app.access.is_first_start(),
    };
    let html = page.render().map_err(|error| PageError::internal(&error))?;
    Ok((status, with_cookies([cookie]), Html(html)).into_response())
}

fn with_cookies(cookies: impl IntoIterator<Item = Option<HeaderValue>>) -> HeaderMap {
    cookies.into_iter().flatten().map(|cookie| (header::SET_COOKIE, cookie)).collect()
}

/// Signs in, and leads to the page that was asked for.
pub(super) async fn sign_in(State(app): State<Arc<App>>, request: Request) -> Result<Response, PageError> {
    let sender = Sender::of(&request);
    let body = axum::body::to_bytes(request.into_body(), MAX_FORM_BYTES).await;
    let body = body.map_err(|_| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large"))?;
    let fields = QueryParameters::parse(&String::from_utf8_lossy(&body));
    let field = |name: &str| fields.one(name).unwrap_or_default().to_owned();
    let (name, next) = (field("name"), local(&field("next")));
    if !app.access.is_login_form(&sender, &field("csrf")) {
        let problem = "The form was out of date. Try again; the browser must accept cookies.".to_owned();
        return form(&app, &sender, StatusCode::FORBIDDEN, Attempt { next, name, problem, ..Attempt::default() });
    }
    let credentials = match app.access.is_first_start() {
        true => Credentials::Code(field("code")),
        false => Credentials::Password { name: name.clone(), password: field("password") },
    };
    match app.access.sign_in(&credentials, &sender, app.executor.journal()).await? {
        Some((user, cookies)) => {
            audit::record_login(&app, &user, &sender, StatusCode::SEE_OTHER);
            Ok((with_cookies(cookies), Redirect::to(&next)).into_response())
        }
        None => {
            let user = if app.access.has_user(&name) { name.as_str() } else { "" };
            audit::record_login(&app, user, &sender, StatusCode::UNAUTHORIZED);
            let wrong = if app.access.is_first_start() {
                "This code is not valid."
            } else {
                "The name or the password is wrong."
            };
            let problem = wrong.to_owned();
            form(&app, &sender, StatusCode::UNAUTHORIZED, Attempt { next, name, problem, ..Attempt::default() })
        }
    }
}

/// Signs out.
pub(super) async fn sign_out(State(app): State<Arc<App>>, request: Request) -> Result<Response, PageError> {
    let removed = app.access.sign_out(&Sender::of(&request), app.executor.journal())?;
    Ok((with_cookies([removed]), Redirect::to("/login")).into_response())
}

/// The address of the login page, which leads back to a page.
pub(in crate::server) fn login_address(page: &str) -> String {
    let mut url = String::from("/login");
    if page != "/" {
        let query: String = form_urlencoded(page);
        url = format!("/login?next={query}");
    }
    url
}

fn form_urlencoded(text: &str) -> String {
    let Ok(mut url) = Url::parse("http://localhost/") else { return String::new() };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

/// An address within this server; what leads elsewhere is replaced by that of the overview.
fn local(next: &str) -> String {
    const HERE: &str = "http://localhost";
    // As a browser reads it, for which `/\` begins another host.
    let url = Url::parse(HERE).ok().and_then(|here| here.join(next).ok());
    let is_plain = next.starts_with('/') && !next.chars().any(|letter| letter.is_control() || letter == '\\');
    match url.filter(|url| is_plain && url.origin().ascii_serialization() == HERE && url.username().is_empty()) {
        Some(url) if url.path() != "/login" && !url.path().starts_with("//") => url.as_str()[HERE.len()..].to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_only_local_addresses_are_shown() {
        for same in ["/", "/flows?q=a%20b", "/executions/1?task=x#log", "/flows/shop/a%2Fb"] {
            assert_eq!(local(same), same);
        }
        let foreign = [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "http:evil",
            "javascript:alert(1)",
            "",
            "evil",
            "/\t/evil.example",
            "/\n/evil.example",
            "///evil.example",
            "/..//evil.example",
            "/.//evil.example",
            "/login?next=/",
            "http://localhost@evil.example/",
            "http://localhost/",
            "/%0d%0aSet-Cookie:x\r\n",
        ];
        for address in foreign {
            assert_eq!(local(address), "/", "{address:?}");
        }
    }

    #[test]
    fn the_way_to_the_login_page_leads_back() {
        assert_eq!(login_address("/"), "/login");
        assert_eq!(login_address("/flows?q=a&b=c"), "/login?next=%2Fflows%3Fq%3Da%26b%3Dc");
    }
}
