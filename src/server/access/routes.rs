//! The least role for each route, of pages and API alike. A test walks all routes and fails for one that is not here; at run
//! time such a route needs the role admin.

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request};
use axum::http::{Method, StatusCode};

use super::identity::Identity;
use super::role::Role;
use crate::server::api::error::ApiError;

/// Methods with routes as the routers have them, under the role that they need. A part that a route takes as a parameter may
/// be written out (`POST /executions/{id}/delete`), where one value needs more than the others.
const RULES: [(Role, &[&str]); 4] = [
    (
        Role::Viewer,
        &[
            "GET /",
            "GET /flows",
            "GET /flows/{namespace}/{id}",
            "GET /flows/{namespace}/{id}/graph.svg",
            "GET /flows/{namespace}/{id}/edit",
            "GET /flows/new",
            "GET /flows/import",
            "POST /editor/diagnose",
            "POST /editor/complete",
            "POST /editor/describe",
            "GET /flows/{namespace}/{id}/run",
            "GET /flows/{namespace}/{id}/run.json",
            "GET /flows/{namespace}/{id}/partitions",
            "GET /flows/{namespace}/{id}/backfill",
            "GET /executions",
            "GET /executions.csv",
            "GET /executions.json",
            "GET /executions/bulk",
            "GET /overview.json",
            "GET /flows.json",
            "GET /flows/{namespace}/{id}/edit.json",
            "GET /flows/{namespace}/{id}/partitions.json",
            "GET /executions/{id}",
            "GET /executions/{id}/graph.svg",
            "GET /schedules",
            "GET /data",
            "GET /data/tables",
            "GET /data/tables/columns.json",
            "GET /data/query",
            "GET /data/quality",
            "GET /kv",
            "GET /kv/{namespace}/{key}",
            "GET /tasks",
            "GET /tasks/{name}",
            "GET /api",
            "GET /schedules.json",
            "GET /kv.json",
            "GET /tasks.json",
            "GET /api.json",
            "GET /data.json",
            "GET /data/tables.json",
            "GET /data/quality.json",
            "GET /ui",
            "GET /ui/{*rest}",
            "GET /live",
            "GET /palette",
            "GET /account",
            "GET /account.json",
            "POST /account/sign-out",
            "POST /logout",
            "GET /metrics",
            // Each tool of agents has a role of its own.
            "GET /mcp",
            "POST /mcp",
            "DELETE /mcp",
            "GET /api/v1/flows/search",
            "GET /api/v1/flows/{namespace}/{id}",
            "GET /api/v1/flows/{namespace}/{id}/partitions",
            "POST /api/v1/flows/validate",
            "GET /api/v1/backfills",
            "GET /api/v1/backfills/{id}",
            "GET /api/v1/executions/search",
            "GET /api/v1/executions/{id}",
            "GET /api/v1/executions/{id}/file",
            "GET /api/v1/executions/{id}/follow",
            "POST /api/v1/executions/{id}/eval",
            "GET /api/v1/logs/{id}",
            "GET /api/v1/logs/{id}/follow",
            "GET /api/v1/logs/{id}/download",
            "GET /api/v1/namespaces/{namespace}/kv",
            "GET /api/v1/namespaces/{namespace}/kv/{key}",
            "GET /api/v1/triggers/search",
            "GET /api/v1/plugins",
            "GET /api/v1/openapi.json",
        ],
    ),
    (
        Role::Operator,
        &[
            "POST /flows/{namespace}/{id}/run",
            "POST /flows/{namespace}/{id}/run-task",
            "POST /flows/{namespace}/{id}/backfill",
            "POST /flows/{namespace}/{id}/triggers/{trigger}/{state}",
            "POST /backfills/{id}/{action}",
            "POST /executions/bulk/{action}",
            "POST /executions/{id}/resume",
            "POST /executions/{id}/explain",
            "POST /executions/{id}/{action}",
            "POST /schedules",
            "POST /api/v1/backfills",
            "POST /api/v1/backfills/{id}/pause",
            "POST /api/v1/backfills/{id}/resume",
            "POST /api/v1/backfills/{id}/cancel",
            "POST /api/v1/backfills/{id}/retry",
            "POST /api/v1/executions/{namespace}/{id}",
            "POST /api/v1/executions/{id}/file",
            "POST /api/v1/executions/{id}/follow",
            "POST /api/v1/executions/{id}/kill",
            "POST /api/v1/executions/{id}/restart",
            "POST /api/v1/executions/{id}/replay",
            "POST /api/v1/executions/{id}/labels",
            "POST /api/v1/executions/{id}/pause",
            "POST /api/v1/executions/{id}/resume",
            "DELETE /api/v1/executions/{id}/kill",
            "POST /api/v1/executions/{action}/by-query",
            "PUT /api/v1/triggers",
        ],
    ),
    (
        Role::Editor,
        &[
            // A flow may do as much with a database, and more.
            "POST /data/query",
            "POST /data/query.csv",
            "POST /kv",
            "POST /kv/{namespace}/{key}/delete",
            "POST /flows/new",
            "POST /flows/import",
            "POST /flows/sample",
            "POST /flows/{namespace}/{id}/edit",
            "POST /flows/{namespace}/{id}/restore",
            "POST /api/v1/flows",
            "POST /api/v1/flows/import",
            "PUT /api/v1/flows/{namespace}/{id}",
            "DELETE /api/v1/flows/{namespace}/{id}",
            "PUT /api/v1/namespaces/{namespace}/kv/{key}",
            "DELETE /api/v1/namespaces/{namespace}/kv/{key}",
        ],
    ),
    (
        Role::Admin,
        &[
            "POST /executions/bulk/delete",
            "POST /executions/{id}/delete",
            "POST /api/v1/executions/delete/by-query",
            "DELETE /api/v1/executions/{id}",
            "GET /audit",
            "GET /audit.json",
            "GET /api/v1/audit",
            "GET /secrets",
            "GET /secrets.json",
            "GET /settings",
            "GET /settings.json",
            "POST /settings/users/sign-out",
        ],
    ),
];

/// What a request asks for, by method and route.
#[derive(Clone, Debug)]
pub(in crate::server) struct Call {
    method: Method,
    /// The route, and its parameters; none where no route matches.
    route: Option<(String, Vec<(String, String)>)>,
    query: String,
}

impl Call {
    pub(in crate::server) async fn of(request: &mut Request) -> Self {
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let query = request.uri().query().unwrap_or_default().to_owned();
        let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let parameters = request.extract_parts::<RawPathParams>().await;
        // No rule is about a parameter that is not UTF-8.
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let parameters = parameters.map_or_else(|_| Vec::new(), |all| all.iter().map(own).collect());
        // The addresses of Kestra's scripts are others for the same.
        let route = path.map(|path| (path.replace("/api/v1/main/", "/api/v1/"), parameters));
        Self { method, route, query }
    }

    /// Why somebody may not do it, or none if they may.
    pub(in crate::server) fn refusal(&self, identity: &Identity) -> Option<ApiError> {
        let missing = identity.missing(self.needed());
        missing.map(|missing| ApiError::new(StatusCode::FORBIDDEN, missing))
    }

    /// The least role for it.
    fn needed(&self) -> Role {
        self.route.as_ref().map_or(Role::Viewer, |(route, parameters)| least(self.method.as_str(), route, parameters))
    }

    /// Whether it changes something.
    pub(in crate::server) fn is_change(&self) -> bool {
        let is_sign_out = || [SIGN_OUT, SIGN_OUT_EVERYWHERE].contains(&self.action().as_str());
        self.method != Method::GET && (self.needed() > Role::Viewer || is_sign_out())
    }

    /// What it does, in words made of its route, such as `restart execution`.
    pub(in crate::server) fn action(&self) -> String {
        let Some((route, parameters)) = &self.route else { return self.method.to_string().to_lowercase() };
        let words: Vec<&str> = route.trim_start_matches("/api/v1").split('/').filter(|part| !part.is_empty()).collect();
        if words == ["logout"] {
            return SIGN_OUT.to_owned();
        }
        if words.last() == Some(&"sign-out") {
            return SIGN_OUT_EVERYWHERE.to_owned();
        }
        let is_name = |part: &&&str| !part.starts_with('{');
        let named = parameters.iter().find(|(name, _)| name == "action").map(|(_, value)| value.as_str());
        let last = words.last().filter(|last| words.len() > 1 && is_name(last) && !["by-query", "kv"].contains(last));
        let verb = named.or(last.copied()).unwrap_or(match self.method.as_str() {
            "POST" => "create",
            "DELETE" => "delete",
            _ => "change",
        });
        let thing = if words.contains(&"kv") { "kv" } else { words.first().copied().unwrap_or_default() };
        let plural = if words.contains(&"by-query") { "s" } else { "" };
        format!("{verb} {}{plural}", thing.trim_end_matches('s'))
    }

    /// The flow of a webhook; its key stays out of the audit log.
    pub(in crate::server) fn webhook(&self) -> String {
        let parameters = self.route.iter().flat_map(|(_, parameters)| parameters);
        let flow: Vec<&str> = parameters.filter(|(name, _)| name != "key").map(|(_, value)| value.as_str()).collect();
        flow.join(".")
    }

    /// What it does that with: the parameters of the route, or the query that chooses many.
    pub(in crate::server) fn target(&self) -> String {
        let Some((route, parameters)) = &self.route else { return String::new() };
        let values: Vec<&str> =
            parameters.iter().filter(|(name, _)| name != "action").map(|(_, value)| value.as_str()).collect();
        if route.ends_with("/by-query") { self.query.clone() } else { values.join(".") }
    }
}

/// The action of signing out.
const SIGN_OUT: &str = "sign out";
/// The same in every browser.
const SIGN_OUT_EVERYWHERE: &str = "sign out everywhere";

/// The least role for a method of a route with these parameters: the highest of all rules that are about it.
fn least(method: &str, route: &str, parameters: &[(String, String)]) -> Role {
    let applies = |rule: &str| {
        rule.split_once(' ').is_some_and(|(verb, path)| verb == method && is_about(path, route, parameters))
    };
    let roles = RULES.iter().filter(|(_, rules)| rules.iter().any(|rule| applies(rule)));
    roles.map(|(role, _)| *role).max().unwrap_or(Role::Admin)
}

fn is_about(rule: &str, route: &str, parameters: &[(String, String)]) -> bool {
    let mut parts = rule.split('/');
    let agrees = |part: &str| {
        let meant = parts.next().unwrap_or_default();
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        meant == part
            || name.is_some_and(|name| parameters.iter().any(|(known, value)| known == name && value == meant))
    };
    route.split('/').all(agrees) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The text up to the bracket that closes the one before it.
    fn inner(text: &str) -> &str {
        let mut depth = 1;
        let is_end = |letter: char| {
            depth += match letter {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        };
        &text[..text.find(is_end).unwrap()]
    }

    /// Every method and route that a source file adds.
    fn routes_in(source: &str) -> Vec<String> {
        let calls = source.split(".route(").skip(1).map(inner).filter(|call| call.trim_start().starts_with('"'));
        let mut found = Vec::new();
        for call in calls {
            let (_, rest) = call.split_once('"').unwrap();
            let (path, handlers) = rest.split_once('"').unwrap();
            for method in ["get", "post", "put", "delete", "patch", "any"] {
                let call = format!("{method}(");
                let mut called = handlers.match_indices(&call);
                let is_word =
                    |at: usize| !handlers[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
                if called.any(|(at, _)| is_word(at)) {
                    found.push(format!("{} {path}", method.to_uppercase()));
                }
            }
        }
        found
    }

    fn sources(folder: &Path, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                let prefix = if entry.ends_with("api") { "/api/v1" } else { prefix };
                found.extend(sources(&entry, prefix));
            } else if entry.extension().is_some_and(|end| end == "rs") && !entry.ends_with("access/routes.rs") {
                let text = std::fs::read_to_string(entry).unwrap();
                found.extend(routes_in(&text).iter().map(|route| route.replacen(" /", &format!(" {prefix}/"), 1)));
            }
        }
        found
    }

    /// Routes that need no login, besides health checks and webhooks.
    const OPEN: &[&str] = &["GET /assets/{version}/{name}", "GET /ready", "GET /login", "POST /login"];

    #[test]
    fn every_route_has_a_least_role_and_every_rule_a_route() {
        let routes = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server"), "");
        assert!(routes.len() > 40, "{routes:?}");
        let rules: Vec<&str> = RULES.iter().flat_map(|(_, rules)| rules.iter().copied()).collect();
        for route in &routes {
            let is_listed = rules.contains(&route.as_str()) || OPEN.contains(&route.as_str());
            assert!(is_listed, "add `{route}` to the role that it needs in server/access/routes.rs");
        }
        for rule in rules.iter().chain(OPEN).filter(|rule| !routes.contains(&(**rule).to_owned())) {
            let (method, path) = rule.split_once(' ').unwrap();
            let is_value = |route: &String| {
                let (verb, other) = route.split_once(' ').unwrap();
                let same = |(own, theirs): (&str, &str)| own == theirs || theirs.starts_with('{');
                verb == method
                    && path.split('/').count() == other.split('/').count()
                    && path.split('/').zip(other.split('/')).all(same)
            };
            assert!(routes.iter().any(is_value), "there is no route `{rule}`");
        }
    }

    fn owned(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_audit_log_says_in_words_what_a_route_does() {
        let words = |method: Method, route: &str, parameters: &[(&str, &str)]| {
            let route = Some((route.to_owned(), owned(parameters)));
            let call = Call { method, route, query: "state=FAILED".to_owned() };
            (call.action(), call.target())
        };
        let flow: &[(&str, &str)] = &[("namespace", "shop"), ("id", "hello")];
        let none: &[(&str, &str)] = &[];
        let key: &[(&str, &str)] = &[("namespace", "shop"), ("key", "k")];
        let id: &[(&str, &str)] = &[("id", "1"), ("action", "delete")];
        for (method, route, parameters, action, target) in [
            (Method::POST, "/flows/{namespace}/{id}/run", flow, "run flow", "shop.hello"),
            (Method::POST, "/executions/{id}/{action}", id, "delete execution", "1"),
            (Method::POST, "/api/v1/executions/{namespace}/{id}", flow, "create execution", "shop.hello"),
            (Method::DELETE, "/api/v1/executions/{id}/kill", &id[..1], "kill execution", "1"),
            (Method::POST, "/api/v1/executions/{action}/by-query", &id[1..], "delete executions", "state=FAILED"),
            (Method::POST, "/api/v1/flows", none, "create flow", ""),
            (Method::PUT, "/api/v1/namespaces/{namespace}/kv/{key}", key, "change kv", "shop.k"),
            (Method::PUT, "/api/v1/triggers", none, "change trigger", ""),
            (Method::POST, "/logout", none, "sign out", ""),
        ] {
            assert_eq!(words(method, route, parameters), (action.to_owned(), target.to_owned()), "{route}");
        }
    }

    #[test]
    fn a_value_may_need_more_than_the_others_and_what_is_unknown_needs_the_most() {
        let of = |method, route, parameters: &[(&str, &str)]| least(method, route, &owned(parameters));
        let action = |name| of("POST", "/executions/{id}/{action}", &[("id", "1"), ("action", name)]);
        assert_eq!([action("restart"), action("delete")], [Role::Operator, Role::Admin]);
        let bulk = |name| of("POST", "/api/v1/executions/{action}/by-query", &[("action", name)]);
        assert_eq!([bulk("kill"), bulk("delete")], [Role::Operator, Role::Admin]);
        assert_eq!(of("GET", "/flows", &[]), Role::Viewer);
        assert_eq!(of("PATCH", "/flows", &[]), Role::Admin);
        assert_eq!(of("GET", "/new", &[]), Role::Admin);
    }
}
