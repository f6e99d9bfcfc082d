//! What all pages have around them: the rail with its links, and the addresses of their files.

use chrono::TimeDelta;
use reqwest::Url;

use super::assets;
use crate::blocking::run_blocking;
use crate::clock;
use crate::journal::{ExecutionQuery, ExecutionState};
use crate::server::App;

/// A page of the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Flows,
    Executions,
}

/// A link of the rail.
pub(super) struct RailLink {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
    pub(super) is_here: bool,
    /// How many things need attention there.
    pub(super) count: u64,
}

/// The frame of a page.
pub(super) struct Shell {
    pub(super) links: Vec<RailLink>,
    /// What the page follows, as the query of `/live`; empty for one that does not change by itself.
    pub(super) live: String,
    pub(super) version: &'static str,
    assets: &'static str,
}

const PLACES: [(Place, &str, &str); 3] = [
    (Place::Overview, "Overview", "/"),
    (Place::Flows, "Flows", "/flows"),
    (Place::Executions, "Executions", "/executions"),
];

impl Shell {
    /// The frame of a page that belongs to a place of the rail.
    pub(super) fn of(app: &App, here: Place, live: impl Into<String>) -> Self {
        Self::new(Some(here), recent_failures(app), live.into())
    }

    /// The frame of an error, for which nothing is read.
    pub(super) fn empty() -> Self {
        Self::new(None, 0, String::new())
    }

    fn new(here: Option<Place>, failures: u64, live: String) -> Self {
        let link = |(place, name, address)| {
            let count = if place == Place::Overview { failures } else { 0 };
            RailLink { name, address, is_here: here == Some(place), count }
        };
        let links = PLACES.into_iter().map(link).collect();
        Self { links, live, version: env!("CARGO_PKG_VERSION"), assets: &assets::VERSION }
    }

    pub(super) fn asset(&self, name: &str) -> String {
        format!("/assets/{}/{name}", self.assets)
    }
}

/// The address of a flow's page.
pub(super) fn flow_address(namespace: &str, id: &str) -> String {
    format!("/flows/{}/{}", segment(namespace), segment(id))
}

/// A name as one segment of an address.
fn segment(name: &str) -> String {
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
