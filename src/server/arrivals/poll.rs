//! Answers that are waited for.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::{RETRY_DELAY, SensorError, Sensors, WatchedTrigger};
use crate::clock;
use crate::flow::trigger::HttpPoll;
use crate::secret::hide_address;
use crate::text::{json_or_text, plain};
use crate::web::{follow, reason};

/// The most that is read of an answer.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The longest that one look takes: an answer may come drop by drop.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);

impl Sensors {
    /// [Asks](Self::ask), and gives up when that takes too long.
    pub(super) async fn ask_in_time(
        &self,
        poll: &HttpPoll,
        one: &mut WatchedTrigger,
    ) -> Result<Option<Duration>, SensorError> {
        let asked = tokio::time::timeout(POLL_TIMEOUT, self.ask(poll, one)).await;
        asked
            .unwrap_or_else(|_| Err(SensorError::Place(format!("no whole answer within {} s", POLL_TIMEOUT.as_secs()))))
    }

    /// Asks once, and starts an execution if the answer is the one that is waited for. How soon to ask again, if
    /// sooner than usual.
    async fn ask(&self, poll: &HttpPoll, one: &mut WatchedTrigger) -> Result<Option<Duration>, SensorError> {
        if self.must_wait(one)? {
            return Ok(Some(RETRY_DELAY));
        }
        let response = self.answer(poll, one).await?;
        let is_it = match &poll.condition {
            Some(condition) => self.scheduler.holds(&one.key, condition, "response", response.clone(), clock::now())?,
            None => response["statusCode"].as_u64().is_some_and(|status| status < 400),
        };
        if is_it {
            self.start(one, None, response)?;
        }
        self.scheduler.note_problem(&one.key, None);
        Ok(None)
    }

    async fn answer(&self, poll: &HttpPoll, one: &WatchedTrigger) -> Result<Value, String> {
        let fields = json!({"uri": poll.uri, "headers": poll.headers, "body": poll.body});
        let fields = self.scheduler.rendered(&one.key, &fields, clock::now())?;
        let uri = plain(&fields["uri"]);
        let method = poll.method.to_uppercase();
        let method =
            reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is not an HTTP method"))?;
        let shown = self.scheduler.redactor().without_known(&uri);
        let shown = hide_address(shown.split(['?', '#']).next().unwrap_or_default());
        let failed = |error: reqwest::Error| format!("cannot ask {shown}: {}", reason(&error));
        let mut request = self.client.request(method, &uri);
        for (name, value) in fields["headers"].as_object().into_iter().flatten() {
            request = request.header(name, plain(value));
        }
        if let Some(body) = fields["body"].as_str() {
            request = request.body(body.to_owned());
        }
        let answer = follow::send(&format!("cannot ask {uri}"), request).await;
        let answer = answer.map_err(|trouble| trouble.into_error().message)?;
        let status = answer.status().as_u16();
        let headers: Map<String, Value> = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?))))
            .collect();
        let (mut body, mut parts) = (Vec::new(), answer.bytes_stream());
        while let Some(part) = parts.next().await {
            body.extend_from_slice(&part.map_err(failed)?);
            if body.len() > MAX_BODY_BYTES {
                return Err(format!("the answer of {shown} is larger than {MAX_BODY_BYTES} bytes"));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = json_or_text(text).map_err(|problem| format!("the answer of {shown}: {problem}"))?;
        Ok(json!({"statusCode": status, "headers": headers, "body": body}))
    }
}
