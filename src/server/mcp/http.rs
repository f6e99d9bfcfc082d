//! `/mcp`: the protocol over HTTP, behind the same checks as every other route. There are no sessions to remember: each
//! request is complete.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use super::agent::{Agent, AgentCaller};
use crate::server::App;
use crate::server::access::{Identity, Sender};
use crate::server::api::error::ApiError;

/// The largest request, in bytes: a flow with what belongs to it.
const MAX_REQUEST_BYTES: usize = 4 << 20;
const HOW_TO_ALLOW: &str = "tell the user: the setting `mcp: {allow_write: true}` in jitney.yaml allows it";

/// The route of agents.
pub(in crate::server) fn router(app: Arc<App>) -> Router {
    Router::new().route("/mcp", post(answer).get(answer).delete(answer)).with_state(app)
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    if !app.mcp.enabled {
        return ApiError::not_found("agents are not served here: `mcp: {enabled: false}` in jitney.yaml")
            .into_response();
    }
    // Some tools wait for executions: half of the connections are left to others.
    let permit = match app.connections.acquire_stream() {
        Ok(permit) => permit,
        Err(error) => return error.into_response(),
    };
    let caller = AgentCaller {
        identity: Identity::current(),
        sender: Some(Sender::of(&request)),
        may_change: app.mcp.allow_write,
        how_to_allow: HOW_TO_ALLOW,
    };
    let agent = Agent::new(app, caller);
    // Hosts and origins have been checked like those of every request.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_REQUEST_BYTES)
        .disable_allowed_hosts();
    let service =
        StreamableHttpService::new(move || Ok(agent.clone()), Arc::new(NeverSessionManager::default()), config);
    let response = service.handle(request).await.map(Body::new);
    drop(permit);
    response
}
