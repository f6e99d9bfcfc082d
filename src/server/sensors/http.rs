//! HTTP triggers: an execution when a response meets the condition.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::{RETRY_DELAY, SensorError, Sensors, WatchedTrigger};
use crate::clock;
use crate::flow::trigger::HttpPoll;
use crate::secret::hide_address;
use crate::text::{json_or_text, plain};
use crate::web::{follow, reason};

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The longest that a probe takes, whatever the server sends meanwhile.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);

impl Sensors {
    /// Sends the request and starts an execution if the response meets the condition. Gives how soon to probe again, if
    /// sooner than usual.
    pub(super) async fn probe_http(
        &self,
        poll: &HttpPoll,
        watched: &mut WatchedTrigger,
    ) -> Result<Option<Duration>, SensorError> {
        if self.must_wait(watched)? {
            return Ok(Some(RETRY_DELAY));
        }
        let timeout = || format!("no complete response within {} s", POLL_TIMEOUT.as_secs());
        let response = tokio::time::timeout(POLL_TIMEOUT, self.response(poll, watched)).await;
        let response = response.unwrap_or_else(|_| Err(timeout()))?;
        let is_met = match &poll.condition {
            Some(condition) => {
                self.scheduler.holds(&watched.key, condition, "response", response.clone(), clock::now())?
            }
            None => response["statusCode"].as_u64().is_some_and(|status| status < 400),
        };
        if is_met {
            self.fire(watched, None, response)?;
        }
        self.scheduler.set_problem(&watched.key, None);
        Ok(None)
    }

    async fn response(&self, poll: &HttpPoll, watched: &WatchedTrigger) -> Result<Value, String> {
        let fields = json!({"uri": poll.uri, "headers": poll.headers, "body": poll.body});
        let fields = self.scheduler.rendered(&watched.key, &fields, clock::now())?;
        let uri = plain(&fields["uri"]);
        let method = poll.method.to_uppercase();
        let method =
            reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is not an HTTP method"))?;
        let shown = self.scheduler.redactor().without_known(&uri);
        let shown = hide_address(shown.split(['?', '#']).next().unwrap_or_default());
        let failed = |error: reqwest::Error| format!("cannot request {shown}: {}", reason(&error));
        let mut request = self.client.request(method, &uri);
        for (name, value) in fields["headers"].as_object().into_iter().flatten() {
            request = request.header(name, plain(value));
        }
        if let Some(body) = fields["body"].as_str() {
            request = request.body(body.to_owned());
        }
        let response = follow::send(&format!("cannot request {uri}"), request).await;
        let response = response.map_err(|error| error.into_error().message)?;
        let status = response.status().as_u16();
        let headers: Map<String, Value> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?))))
            .collect();
        let (mut body, mut parts) = (Vec::new(), response.bytes_stream());
        while let Some(part) = parts.next().await {
            body.extend_from_slice(&part.map_err(failed)?);
            if body.len() > MAX_BODY_BYTES {
                return Err(format!("the response of {shown} is larger than {MAX_BODY_BYTES} bytes"));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = json_or_text(text).map_err(|problem| format!("the response of {shown}: {problem}"))?;
        Ok(json!({"statusCode": status, "headers": headers, "body": body}))
    }
}
