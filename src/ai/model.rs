//! A model that can be asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::answer::{ChatAnswer, Usage};
use super::anthropic::Anthropic;
use super::call::{MAX_ANSWER, ModelCall};
use super::embed::{EmbedRequest, Embeddings};
use super::events::EventReader;
use super::gemini::Gemini;
use super::message::ChatRequest;
use super::openai::OpenAi;
use super::provider::{PartialAnswer, Provider};
use super::target::ModelTarget;
use crate::ai_settings::ProviderKind;
use crate::config::Settings;
use crate::diagnostic::nearest;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::{RequestError, RetryPolicy, client, header};

/// How long an answer may take in all.
const MAX_DURATION: Duration = Duration::from_secs(3600);
/// How long the list of models may take that explains an error.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// How many models such a list shows.
const MAX_LISTED: usize = 20;
/// Texts in one request for vectors, and their letters in all.
const MAX_BATCH: (usize, usize) = (64, 100_000);

/// Gets the text of an answer as it comes.
pub type TextSink<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A model of a provider.
pub struct Model {
    target: ModelTarget,
    provider: Box<dyn Provider>,
    base: Url,
    client: Client,
    redactor: Redactor,
    /// What messages begin with.
    what: String,
}

impl Model {
    /// Finds out where the model is. Nothing is sent.
    ///
    /// # Errors
    /// When an address or a key is missing or wrong.
    pub fn open(target: ModelTarget, settings: &Settings) -> Result<Self, TaskError> {
        let (target, base) = target.resolve(settings)?;
        let client = client::of_task(target.timeout)?;
        let place = crate::secret::hide_address(&base.origin().ascii_serialization());
        let what = settings.redactor.clean(&format!("asking the model `{}` at {place}", target.model));
        let provider = provider_of(target.kind);
        Ok(Self { target, provider, base, client, redactor: settings.redactor.clone(), what })
    }

    /// The model's name, as the settings have it.
    pub fn name(&self) -> &str {
        &self.target.model
    }

    /// Asks the model. Failures that may pass are retried, but not once `on_text` has had a part of the answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn chat(
        &self,
        request: &ChatRequest,
        retries: &RetryPolicy<'_>,
        on_text: Option<TextSink<'_>>,
    ) -> Result<ChatAnswer, TaskError> {
        let shown = AtomicBool::new(false);
        let sink = |text: &str| {
            if let Some(on_text) = on_text {
                shown.store(true, Ordering::Relaxed);
                on_text(text);
            }
        };
        let answer = retries
            .run(async || {
                let answered = tokio::time::timeout(MAX_DURATION, self.ask(request, &sink)).await;
                let late = || TaskError::permanent(format!("{}: it took more than an hour", self.what));
                match answered.unwrap_or_else(|_| Err(RequestError::Fatal(late()))) {
                    Err(failure) if shown.load(Ordering::Relaxed) => Err(RequestError::Fatal(failure.into_error())),
                    answered => answered,
                }
            })
            .await;
        self.explained(answer).await
    }

    /// Turns texts into vectors, as many at a time as the provider takes.
    ///
    /// # Errors
    /// When the provider has no such models, or a vector is missing or of another length.
    pub async fn embed(&self, request: &EmbedRequest, retries: &RetryPolicy<'_>) -> Result<Embeddings, TaskError> {
        if self.provider.embed_path(&self.target.model, request.texts.len()).is_none() {
            let kind = self.target.kind.name();
            return Err(TaskError::permanent(format!("the provider {kind} has no models of embeddings"))
                .help("use another one for the embeddings, such as gemini, openai or ollama"));
        }
        let mut all = Embeddings::default();
        for texts in batches(&request.texts) {
            let batch = EmbedRequest { texts: texts.to_vec(), task_type: request.task_type.clone(), ..*request };
            let got = retries.run(async || self.vectors(&batch).await).await;
            let (vectors, tokens) = self.explained(got).await?;
            all.vectors.extend(vectors);
            all.usage = all.usage.plus(Usage::of(tokens, None));
        }
        let length = all.vectors.first().map(Vec::len);
        if all.vectors.iter().any(|vector| vector.is_empty() || Some(vector.len()) != length) {
            return Err(TaskError::permanent(format!("{}: the vectors are not all of the same length", self.what)));
        }
        Ok(all)
    }

    /// The names of the models that the provider has.
    ///
    /// # Errors
    /// When it does not list them.
    pub async fn models(&self) -> Result<Vec<String>, TaskError> {
        let request = self.request(self.client.get(self.url(self.provider.models_path())))?;
        let call = self.call();
        let listed = async { call.json(call.send(request).await?).await };
        let listed = listed.await.map_err(RequestError::into_error)?;
        let mut names = self.provider.model_names(&listed);
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn call(&self) -> ModelCall<'_> {
        ModelCall { what: &self.what, redactor: &self.redactor }
    }

    fn url(&self, path: &str) -> String {
        let mut base = self.base.clone();
        let query = base.query().map(str::to_owned);
        base.set_query(None);
        let url = format!("{base}/{path}");
        match query {
            None => url,
            Some(query) => format!("{url}{}{query}", if path.contains('?') { '&' } else { '?' }),
        }
    }

    /// The request with its headers. No value of them is quoted: any may be a key.
    fn request(&self, mut request: RequestBuilder) -> Result<RequestBuilder, TaskError> {
        for (name, value) in self.provider.headers() {
            request = request.header(*name, *value);
        }
        let login = self.target.api_key.as_ref().map(|key| self.provider.login(key.expose())).unwrap_or_default();
        let login = login.into_iter().map(|(name, value)| (name.to_owned(), value));
        for (name, value) in login.chain(self.target.headers.clone()) {
            self.redactor.learn(value.strip_prefix("Bearer ").unwrap_or(&value));
            let (name, value) = header(&name, &value)?;
            request = request.header(name, value);
        }
        Ok(request)
    }

    fn post(&self, path: &str, body: &Value) -> Result<RequestBuilder, RequestError> {
        let request = self.client.post(self.url(path)).header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.request(request).map_err(RequestError::Fatal)
    }

    async fn ask(
        &self,
        request: &ChatRequest,
        sink: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ChatAnswer, RequestError> {
        let (model, call) = (&self.target.model, self.call());
        let body = self.provider.chat_body(model, request);
        let response = call.send(self.post(&self.provider.chat_path(model), &body)?).await?;
        let is_whole = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            kind.to_str().is_ok_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"))
        });
        let whole = match is_whole {
            true => {
                let whole = call.json(response).await?;
                match whole.get("error") {
                    Some(error) => return Err(call.reported(error)),
                    None => whole,
                }
            }
            false => self.streamed(response, sink).await?,
        };
        let answer = self.provider.answer(whole);
        let mut answer = answer.map_err(|why| call.broken(&format!("the answer cannot be used: {why}")))?;
        if answer.model.is_empty() {
            answer.model = model.clone();
        }
        Ok(answer)
    }

    /// Reads an answer to its end. Many clients take a stream that breaks off for an answer; this one does not.
    async fn streamed(
        &self,
        mut response: Response,
        sink: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Value, RequestError> {
        let call = self.call();
        let (mut reader, mut answer, mut bytes) = (EventReader::default(), PartialAnswer::default(), 0);
        while let Some(piece) = call.piece(&mut response).await? {
            bytes += piece.len();
            if bytes > MAX_ANSWER {
                return Err(call.too_large());
            }
            for data in reader.add(&piece) {
                self.add(&mut answer, &data, sink)?;
            }
        }
        if let Some(data) = reader.rest().filter(|data| data != "[DONE]" && serde_json::from_str::<Value>(data).is_ok())
        {
            self.add(&mut answer, &data, sink)?;
        }
        if !answer.is_complete {
            return Err(call.broken("the answer ended early, without a reason to end"));
        }
        Ok(answer.whole)
    }

    fn add(
        &self,
        answer: &mut PartialAnswer,
        data: &str,
        sink: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<(), RequestError> {
        if data == "[DONE]" {
            return Ok(());
        }
        let call = self.call();
        let event: Value = serde_json::from_str(data)
            .map_err(|error| call.broken(&format!("a part of the answer: {}", crate::text::not_json(&error))))?;
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(call.reported(error));
        }
        let text = self.provider.add_event(answer, event);
        let text = text.map_err(|why| call.broken(&format!("the answer cannot be used: {why}")))?;
        text.iter().for_each(|text| sink(text));
        Ok(())
    }

    async fn vectors(&self, request: &EmbedRequest) -> Result<(Vec<Vec<f32>>, Option<u64>), RequestError> {
        let call = self.call();
        let path = self.provider.embed_path(&self.target.model, request.texts.len()).unwrap_or_default();
        let body = self.provider.embed_body(&self.target.model, request);
        let whole = call.json(call.send(self.post(&path, &body)?).await?).await?;
        let (vectors, tokens) =
            self.provider.vectors(whole).map_err(|why| call.broken(&format!("the answer cannot be used: {why}")))?;
        if vectors.len() != request.texts.len() {
            let why = format!("it has {} vectors for {} texts", vectors.len(), request.texts.len());
            return Err(call.broken(&why));
        }
        Ok((vectors, tokens))
    }

    /// An outcome whose error, if the model is not there, says which ones are.
    async fn explained<T>(&self, outcome: Result<T, TaskError>) -> Result<T, TaskError> {
        let error = match outcome {
            Err(error) if error.code.as_deref() == Some("404") => error,
            other => return other,
        };
        let listed = tokio::time::timeout(LIST_TIMEOUT, self.models()).await;
        let Ok(Ok(mut names)) = listed else {
            return Err(error.help("check the name of the model and the `baseUrl`"));
        };
        if names.contains(&self.target.model) {
            return Err(error.help("the provider lists this model; it may not be made for such requests"));
        }
        let meant = nearest(&self.target.model, names.iter().map(String::as_str)).map(str::to_owned);
        let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        let more =
            if names.len() > MAX_LISTED { format!(" and {} more", names.len() - MAX_LISTED) } else { String::new() };
        names.truncate(MAX_LISTED);
        let names = self.redactor.excerpt(&names.join(", "), 2000);
        let (old, there) =
            (&self.target.model, if names.is_empty() { "none".to_owned() } else { format!("{names}{more}") });
        Err(error.help(format!(
            "{meant}the provider has these models: {there}; to use one in place of `{old}` without changing flows, set \
             `ai: {{models: {{{old}: NEW}}}}` in jitney.yaml"
        )))
    }
}

/// The API that a provider has.
fn provider_of(kind: ProviderKind) -> Box<dyn Provider> {
    match kind {
        ProviderKind::Gemini => Box::new(Gemini),
        ProviderKind::Anthropic => Box::new(Anthropic),
        ProviderKind::OpenAi
        | ProviderKind::Ollama
        | ProviderKind::LocalAi
        | ProviderKind::OpenRouter
        | ProviderKind::DeepSeek
        | ProviderKind::Mistral => Box::new(OpenAi { kind }),
    }
}

/// Texts in groups that one request may have.
fn batches(texts: &[String]) -> Vec<&[String]> {
    let (mut found, mut rest) = (Vec::new(), texts);
    while !rest.is_empty() {
        let mut letters = 0;
        let fits = rest.iter().take(MAX_BATCH.0).take_while(|text| {
            letters += text.len();
            letters <= MAX_BATCH.1
        });
        let (batch, others) = rest.split_at(fits.count().max(1));
        found.push(batch);
        rest = others;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_limited_in_texts_and_letters() {
        let sizes = |texts: &[String]| batches(texts).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&vec!["a".to_owned(); 130]), [64, 64, 2]);
        assert_eq!(sizes(&["x".repeat(60_000), "x".repeat(60_000), "x".repeat(200_000)]), [1, 1, 1]);
        assert!(batches(&[]).is_empty());
    }
}
