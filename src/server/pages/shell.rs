//! What all pages have around them: the rail with its links, and the addresses of their files.

use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::Url;

use super::assets;
use crate::blocking::run_blocking;
use crate::clock;
use crate::journal::{ExecutionQuery, ExecutionState};
use crate::server::App;
use crate::server::access::{Identity, Login, Role, masked};

/// A page of the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NavPage {
    Overview,
    Flows,
    Executions,
    Schedules,
    Data,
    Kv,
    Secrets,
    Tasks,
    Api,
    Settings,
    Audit,
}

/// A link of the rail.
pub(super) struct RailLink {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
    pub(super) is_here: bool,
    /// How many things need attention there.
    pub(super) count: u64,
}

/// The frame of a page. It knows who looks at the page:
///
/// - A form that posts begins with `{% call parts::csrf(shell) %}{% endcall %}`: the token that proves that the form is ours. It
///   must be the form's first field. A script sends the same as the header `X-CSRF-Token`, from `<meta name="csrf-token">`.
/// - A button that needs a role is written `<button{% call parts::needs(shell, "operator") %}{% endcall %}>`: without the role
///   it is disabled, and says why. `shell.can("operator")` tells the same where more depends on it. The route itself gets its
///   role in `server/access/routes.rs`, which alone decides.
pub(super) struct Shell {
    /// The links of the rail, those of one kind together.
    pub(super) groups: Vec<Vec<RailLink>>,
    /// What the page follows, as the query of `/live`; empty for one that does not change by itself.
    pub(super) live: String,
    pub(super) version: &'static str,
    identity: Arc<Identity>,
    csrf: String,
    assets: &'static str,
}

/// The places of the rail, those of one kind together.
const PLACES: &[&[(NavPage, &str, &str)]] = &[
    &[
        (NavPage::Overview, "Overview", "/"),
        (NavPage::Flows, "Flows", "/flows"),
        (NavPage::Executions, "Executions", "/executions"),
        (NavPage::Schedules, "Schedules", "/schedules"),
        (NavPage::Data, "Data", "/data"),
    ],
    &[
        (NavPage::Kv, "KV", "/kv"),
        (NavPage::Secrets, "Secrets", "/secrets"),
        (NavPage::Tasks, "Tasks", "/tasks"),
        (NavPage::Api, "API", "/api"),
        (NavPage::Settings, "Settings", "/settings"),
        (NavPage::Audit, "Audit log", "/audit"),
    ],
];

/// Those that only admins may see.
const OF_ADMINS: [NavPage; 3] = [NavPage::Secrets, NavPage::Settings, NavPage::Audit];

impl Shell {
    /// The frame of a page that belongs to a place of the rail.
    pub(super) fn of(app: &App, here: NavPage, live: impl Into<String>) -> Self {
        Self::new(Some(here), recent_failures(app), live.into())
    }

    /// The frame of a page that is not in the rail.
    pub(super) fn outside(app: &App) -> Self {
        Self::new(None, recent_failures(app), String::new())
    }

    /// The frame of an error, for which nothing is read.
    pub(super) fn empty() -> Self {
        Self::new(None, 0, String::new())
    }

    fn new(here: Option<NavPage>, failures: u64, live: String) -> Self {
        let link = |(place, name, address): &(NavPage, &'static str, &'static str)| {
            let count = if *place == NavPage::Overview { failures } else { 0 };
            RailLink { name, address, is_here: here == Some(*place), count }
        };
        let identity = Identity::current();
        let csrf = match &identity.login {
            Login::Session(token) => masked(token),
            Login::None | Login::Basic | Login::Token => String::new(),
        };
        let is_admin = identity.missing(Role::Admin).is_none();
        let is_shown = |place: &&(NavPage, &str, &str)| is_admin || !OF_ADMINS.contains(&place.0);
        let groups = PLACES.iter().map(|group| group.iter().filter(is_shown).map(link).collect()).collect();
        Self { groups, live, version: env!("CARGO_PKG_VERSION"), identity, csrf, assets: &assets::VERSION }
    }

    /// Whether the viewer of the page has a role.
    pub(super) fn can(&self, role: &str) -> bool {
        self.refusal(role).is_empty()
    }

    /// Why they have not; empty if they have.
    pub(super) fn refusal(&self, role: &str) -> String {
        match role.parse::<Role>() {
            Ok(needed) => self.identity.missing(needed).unwrap_or_default(),
            Err(unknown) => unknown.to_string(),
        }
    }

    /// The name of the user who has logged in; empty where no login is needed.
    pub(super) fn user(&self) -> &str {
        if self.identity.login == Login::None { "" } else { &self.identity.name }
    }

    pub(super) fn role(&self) -> &'static str {
        self.identity.role.name()
    }

    /// The token that forms must bring; empty where nobody has signed in on the login page.
    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    pub(super) fn asset(&self, name: &str) -> String {
        format!("/assets/{}/{name}", self.assets)
    }
}

/// The pages of the rail: name and address.
pub(super) fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    PLACES.iter().copied().flatten().map(|&(_, name, address)| (name, address))
}

/// The address of a flow's page.
pub(super) fn flow_address(namespace: &str, id: &str) -> String {
    format!("/flows/{}/{}", segment(namespace), segment(id))
}

/// A name as one segment of an address.
pub(super) fn segment(name: &str) -> String {
    let Ok(mut url) = Url::parse("http://localhost/") else { return String::new() };
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().push(name);
    }
    url.path()[1..].to_owned()
}

/// The executions of the last day that failed: what needs attention.
pub(super) fn failures_of_a_day() -> ExecutionQuery {
    ExecutionQuery {
        states: vec![ExecutionState::Failed],
        since: Some(clock::now() - TimeDelta::days(1)),
        ..ExecutionQuery::default()
    }
}

/// How many executions of the last day have failed. A journal that cannot be read is no reason to show no page.
fn recent_failures(app: &App) -> u64 {
    run_blocking(|| app.executor.journal().search(&failures_of_a_day(), 0, 0)).map_or(0, |page| page.total)
}
