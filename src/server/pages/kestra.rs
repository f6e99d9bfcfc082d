//! The addresses of Kestra's pages, which people have in bookmarks and notes: each leads to ours.

use axum::extract::Path;
use axum::response::Redirect;

use super::shell::{flow_address, segment};
use crate::server::api::parameters::QueryParameters;

pub(super) async fn redirect_home() -> Redirect {
    Redirect::to("/")
}

pub(super) async fn redirect(Path(rest): Path<String>) -> Redirect {
    Redirect::to(&target(&rest))
}

/// Where a page of Kestra's is here; the first page where there is none like it.
fn target(path: &str) -> String {
    let all: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    // The name of the tenant, which newer versions have in front.
    let parts = match all.as_slice() {
        ["main", rest @ ..] => rest,
        rest => rest,
    };
    let with = |page: &str, name: &str, value: &str| format!("{page}?{}", QueryParameters::default().with(name, value));
    match parts {
        ["flows", "edit", namespace, id, "executions", ..] => {
            let query = QueryParameters::default().adding("namespace", namespace).adding("flowId", id);
            format!("/executions?{}", query.text())
        }
        ["flows", "edit", _, id, "triggers", ..] => with("/schedules", "q", id),
        ["flows", "edit", namespace, id, "edit" | "source" | "editor", ..] => {
            format!("{}/edit", flow_address(namespace, id))
        }
        ["flows", "new", ..] => "/flows/new".to_owned(),
        ["flows", "edit", namespace, id, tab @ ..] => {
            let place = if tab == ["revisions"] { "#revisions" } else { "" };
            format!("{}{place}", flow_address(namespace, id))
        }
        ["flows", ..] => "/flows".to_owned(),
        ["executions", _, _, id, tab @ ..] => format!("/executions/{}{}", segment(id), tab_of(tab)),
        ["executions", ..] | ["logs", ..] => "/executions".to_owned(),
        ["namespaces", "edit", namespace, "kv", ..] => with("/kv", "namespace", namespace),
        ["namespaces", "edit", _, "secrets", ..] | ["secrets", ..] => "/secrets".to_owned(),
        ["namespaces", "edit", namespace, ..] => with("/flows", "namespace", namespace),
        ["namespaces", ..] => "/flows".to_owned(),
        ["kv", ..] => "/kv".to_owned(),
        ["triggers", ..] | ["admin", "triggers", ..] => "/schedules".to_owned(),
        ["plugins", name, ..] => format!("/tasks/{}", segment(name)),
        ["plugins"] => "/tasks".to_owned(),
        ["settings", ..] | ["admin", ..] => "/settings".to_owned(),
        _ => "/".to_owned(),
    }
}

/// What of an execution's page a tab of Kestra's is.
fn tab_of(tab: &[&str]) -> &'static str {
    match tab {
        ["logs", ..] => "#log",
        ["outputs", ..] => "?show=outputs#log",
        ["metrics", ..] => "?show=metrics#log",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_kestra_lead_to_ours_with_and_without_a_tenant() {
        for (theirs, ours) in [
            ("main/flows/edit/zoomcamp/05_postgres_taxi/edit", "/flows/zoomcamp/05_postgres_taxi/edit"),
            ("main/flows/edit/zoomcamp/05_postgres_taxi/topology", "/flows/zoomcamp/05_postgres_taxi"),
            ("main/flows/new", "/flows/new"),
            ("flows/edit/zoomcamp/05_postgres_taxi", "/flows/zoomcamp/05_postgres_taxi"),
            ("main/flows/edit/zoomcamp/taxi/executions", "/executions?namespace=zoomcamp&flowId=taxi"),
            ("main/executions/zoomcamp/taxi/1m84p2xcpx/gantt", "/executions/1m84p2xcpx"),
            ("main/executions/zoomcamp/taxi/1m84p2xcpx/logs", "/executions/1m84p2xcpx#log"),
            ("main/executions/zoomcamp/taxi/1m84p2xcpx/outputs", "/executions/1m84p2xcpx?show=outputs#log"),
            ("main/flows/edit/zoomcamp/taxi/revisions", "/flows/zoomcamp/taxi#revisions"),
            ("main/namespaces/edit/zoomcamp/flows", "/flows?namespace=zoomcamp"),
            ("executions", "/executions"),
            ("main/namespaces/edit/zoomcamp/kv", "/kv?namespace=zoomcamp"),
            ("main/plugins/io.kestra.plugin.core.log.Log", "/tasks/io.kestra.plugin.core.log.Log"),
            ("main/dashboards/default", "/"),
            ("//evil.example/x", "/"),
            ("flows/edit/a/..%2Fb", "/flows/a/..%252Fb"),
        ] {
            assert_eq!(target(theirs), ours, "{theirs}");
        }
    }
}
