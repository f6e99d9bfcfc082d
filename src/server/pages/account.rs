//! Whoever is signed in: who they are to the server, where else they are signed in, and the end of all of that. Admins end the
//! sessions of others on the page of the settings.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Redirect;
use serde::Serialize;

use super::error::PageError;
use super::format::ShownTime;
use super::shell::Shell;
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::clock;
use crate::journal::JournalError;
use crate::server::App;
use crate::server::access::{Identity, Login, Role, Sender, is_open_session};
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::audit::note_target;

/// A browser in which somebody is signed in.
#[derive(Serialize)]
struct ShownSession {
    began: ShownTime,
    used: ShownTime,
    is_this: bool,
}

#[derive(Serialize, Template)]
#[template(path = "account.html")]
struct AccountPage {
    #[serde(skip)]
    shell: Shell,
    name: String,
    role: &'static str,
    login: &'static str,
    sessions: Vec<ShownSession>,
}

pub(super) async fn show(State(app): State<Arc<App>>, request: Request) -> PageResult {
    let identity = Identity::current();
    let own = app.access.session_digest(&Sender::of(&request));
    let login = match identity.login {
        Login::None => "without a login",
        Login::Basic => "with a password in each request",
        Login::Token => "with a token",
        Login::Session(_) => "on the login page",
    };
    let now = clock::now();
    let kept = run_blocking(|| app.executor.journal().sessions(Some(&identity.name))).map_err(ApiError::from)?;
    let open = kept.into_iter().filter(|(_, session)| is_open_session(session, now));
    let sessions = open.map(|(digest, session)| ShownSession {
        began: ShownTime::of(session.created),
        used: ShownTime::of(session.used),
        is_this: own.is_some_and(|own| own.as_slice() == digest),
    });
    page_or_json(&AccountPage {
        shell: Shell::outside(&app),
        name: identity.name.clone(),
        role: identity.role.name(),
        login,
        sessions: sessions.collect(),
    })
}

/// Ends all sessions of whoever asks for it, this one too.
pub(super) async fn sign_out(State(app): State<Arc<App>>) -> Result<Redirect, PageError> {
    let identity = Identity::current();
    note_target(&identity.name);
    end_all(&app, &identity.name)?;
    Ok(Redirect::to("/account"))
}

/// Ends all sessions of a user.
pub(super) async fn sign_out_user(State(app): State<Arc<App>>, body: String) -> Result<Redirect, PageError> {
    let form = QueryParameters::parse(&body);
    let name = form.one("user").unwrap_or_default();
    note_target(name);
    if end_all(&app, name)? == 0 && !app.access.has_user(name) {
        return Err(ApiError::not_found(format!("there is no user `{name}`")).into());
    }
    Ok(Redirect::to("/settings#users"))
}

fn end_all(app: &App, name: &str) -> Result<usize, ApiError> {
    Ok(run_blocking(|| app.executor.journal().end_sessions_of(name))?)
}

/// A user or a token, as the settings show it.
#[derive(Serialize)]
pub(super) struct ShownUser {
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) kind: &'static str,
    /// In how many browsers they are signed in, and when one of these was last used.
    pub(super) sessions: usize,
    pub(super) used: Option<ShownTime>,
}

/// All users and tokens. Whoever has signed in and is none of them is not listed: such a session is worth nothing.
pub(super) fn users(app: &App) -> Result<Vec<ShownUser>, JournalError> {
    let now = clock::now();
    let mut kept = app.executor.journal().sessions(None)?;
    kept.retain(|(_, session)| is_open_session(session, now));
    let user = |(name, role): (&str, Role)| {
        let own = || kept.iter().filter(|(_, session)| session.user == name);
        ShownUser {
            name: name.to_owned(),
            role: role.name(),
            kind: "user",
            sessions: own().count(),
            used: own().next().map(|(_, session)| ShownTime::of(session.used)),
        }
    };
    let token = |(name, role): (&str, Role)| ShownUser {
        name: name.to_owned(),
        role: role.name(),
        kind: "token",
        sessions: 0,
        used: None,
    };
    Ok(app.access.users().map(user).chain(app.access.tokens().map(token)).collect())
}
