//! Query parameters. Names may be repeated, as in `labels=a:b&labels=c:d`.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Days, NaiveDate, Utc};
use reqwest::Url;
use serde_json::{Map, Value};

use crate::engine::{INTERRUPTED, interrupted};
use crate::id::ExecutionId;
use crate::journal::{ExecutionQuery, ExecutionState};
use crate::secret::percent_decoded;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::task::Level;

/// The pairs of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryParameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for QueryParameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// The flow that a path ends with: its namespace and its id, whatever the route calls them. A route such as
/// `/executions/{id}/file` is also the address of a flow `file`.
pub(crate) struct FlowPath {
    pub(crate) namespace: String,
    pub(crate) id: String,
}

impl<S: Sync> FromRequestParts<S> for FlowPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let path = parts.uri.path();
        let mut segments = path.rsplit('/').map(percent_decoded);
        let flow = segments.next().zip(segments.next());
        let (id, namespace) = flow.ok_or_else(|| ApiError::not_found(format!("no flow at {path}")))?;
        Ok(Self { namespace, id })
    }
}

impl QueryParameters {
    /// The pairs of a query, or of a form as browsers send it.
    pub(crate) fn parse(query: &str) -> Self {
        let url = Url::parse(&format!("http://localhost/?{query}"));
        Self(url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default())
    }

    /// All values, by name.
    pub(crate) fn map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        for (name, value) in &self.0 {
            let values = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(Value::from(value.as_str()));
            }
        }
        map
    }

    /// Every value of a name; an empty one counts as none.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let matches = move |(found, value): &&(String, String)| found == name && !value.is_empty();
        self.0.iter().filter(matches).map(|(_, value)| value.as_str())
    }

    /// Every value of a name, with the name, as hidden fields of a form have them.
    pub(crate) fn pairs_of(&self, name: &str) -> Vec<(String, String)> {
        self.all(name).map(|value| (name.to_owned(), value.to_owned())).collect()
    }

    /// The first value of a name.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, value)| found == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.one(name).is_some_and(|value| value != "false")
    }

    /// The parameters with one more.
    pub(crate) fn adding(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As the query of an address.
    pub(crate) fn text(&self) -> String {
        let Ok(mut url) = Url::parse("http://localhost/") else { return String::new() };
        url.query_pairs_mut().extend_pairs(self.0.iter().filter(|(_, value)| !value.is_empty()));
        url.query().unwrap_or_default().to_owned()
    }

    /// The query with another value of a name.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        self.without(name).adding(name, value).text()
    }

    /// The parameters without those of a name.
    pub(crate) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(found, _)| found != name).cloned().collect())
    }

    pub(crate) fn read<T: FromStr>(&self, name: &str, example: &str) -> Result<Option<T>, ApiError> {
        let wrong =
            |text: &str| ApiError::unprocessable(format!("`{name}={text}` is not valid; write for example {example}"));
        self.one(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// A moment, or a day: its beginning in UTC.
    pub(crate) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        match self.day(name) {
            Some(day) => Ok(Some(day)),
            None => self.read(name, "2020-04-01T00:00:00Z"),
        }
    }

    /// A moment, or a day: its end.
    fn end_time(&self, name: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
        match self.day(name) {
            Some(day) => Ok(day.checked_add_days(Days::new(1))),
            None => self.time(name),
        }
    }

    fn day(&self, name: &str) -> Option<DateTime<Utc>> {
        let day = NaiveDate::parse_from_str(self.one(name)?, "%Y-%m-%d").ok()?;
        day.and_hms_opt(0, 0, 0).map(|start| start.and_utc())
    }

    /// The level of log lines that a name has.
    pub(crate) fn level(&self, name: &str) -> Result<Option<Level>, ApiError> {
        let Some(level) = self.one(name).map(str::to_uppercase) else { return Ok(None) };
        let read = serde_json::from_value(level.as_str().into());
        read.map(Some).map_err(|_| ApiError::unprocessable(format!("there is no level `{level}`")))
    }

    /// The pairs of `labels=key:value`.
    pub(crate) fn labels(&self) -> Result<Vec<(String, String)>, ApiError> {
        self.pairs("labels")
    }

    /// The pairs of `name=key:value`.
    pub(crate) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, ApiError> {
        let pair = |text: &str| {
            let pair = text.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
            pair.ok_or_else(|| ApiError::unprocessable(format!("`{name}={text}` is not of the form {name}=key:value")))
        };
        self.all(name).map(pair).collect()
    }

    /// The labels as a map.
    pub(crate) fn label_map(&self) -> Result<Map<String, Value>, ApiError> {
        Ok(self.labels()?.into_iter().map(|(key, value)| (key, Value::from(value))).collect())
    }

    /// Limit and offset of the requested page. Pages count from 1.
    pub(crate) fn page(&self) -> Result<(u32, u32), ApiError> {
        let size = self.read("size", "25")?.unwrap_or(25_u32).min(1000);
        let page = self.read("page", "1")?.unwrap_or(1_u32).max(1);
        Ok((size, size.saturating_mul(page - 1)))
    }

    /// The executions that the query selects, by their ids if it has some, interrupted ones included if it names that state.
    pub(crate) fn query_in(&self, app: &App) -> Result<ExecutionQuery, ApiError> {
        let mut query = self.query()?;
        if query.ids.is_some() {
            query.ids = Some(interrupted(&app.settings, app.executor.journal())?);
        }
        let ids = self.all("id").map(str::parse).collect::<Result<Vec<ExecutionId>, _>>()?;
        if !ids.is_empty() {
            if query.ids.is_some() || !query.states.is_empty() {
                return Err(ApiError::unprocessable("`id` cannot be combined with `state`"));
            }
            query.ids = Some(ids);
        }
        Ok(query)
    }

    /// The query without the ids of interrupted executions, which the journal does not know.
    fn query(&self) -> Result<ExecutionQuery, ApiError> {
        let is_interrupted = |name: &str| name.eq_ignore_ascii_case(INTERRUPTED);
        let state = |name: &str| {
            let value = Value::from(name.to_uppercase());
            serde_json::from_value::<ExecutionState>(value)
                .map_err(|_| ApiError::unprocessable(format!("there is no state `{name}`")))
        };
        let names = || self.all("state").flat_map(|names| names.split(','));
        Ok(ExecutionQuery {
            namespace: self.one("namespace").map(str::to_owned),
            flow: self.one("flowId").map(str::to_owned),
            states: names().filter(|name| !is_interrupted(name)).map(state).collect::<Result<_, _>>()?,
            ids: names().any(is_interrupted).then(Vec::new),
            labels: self.labels()?,
            trigger: self.one("trigger").map(str::to_owned),
            since: self.time("startDate")?,
            until: self.end_time("endDate")?,
            text: self.one("q").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_repeated_and_nothing_wrong_is_overlooked() {
        let parameters =
            QueryParameters::parse("labels=a%3Ab:c&labels=d:e&state=FAILED,killed&page=3&size=10&startDate=soon");
        assert_eq!(parameters.labels().ok(), Some(vec![("a".into(), "b:c".into()), ("d".into(), "e".into())]));
        assert_eq!(parameters.page().ok(), Some((10, 20)));
        assert!(parameters.time("startDate").is_err() && parameters.query().is_err());
        let query = QueryParameters::parse("state=FAILED,killed&flowId=f").query().ok();
        assert_eq!(query.map(|query| query.states.len()), Some(2));
        assert!(QueryParameters::parse("state=BAD").query().is_err());
        let query = QueryParameters::parse("state=interrupted").query().ok();
        assert_eq!(query.map(|query| (query.states.len(), query.ids)), Some((0, Some(Vec::new()))));
    }
}
