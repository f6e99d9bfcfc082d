//! Which model is meant, where it is, and who asks.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;

use crate::ai_settings::{AiSettings, ConfiguredProvider, ModelReplacement, ProviderKind};
use crate::config::Settings;
use crate::secret::Secret;
use crate::task::{self, TaskError};

/// How long a server may be silent unless somebody says it.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A model of a provider, as a flow or the settings name it.
#[derive(Clone, Debug)]
pub struct ModelTarget {
    /// Who serves it.
    pub kind: ProviderKind,
    /// Its name.
    pub model: String,
    /// Where the API is, unless where it usually is.
    pub base_url: Option<String>,
    /// The key.
    pub api_key: Option<Secret>,
    /// Further headers to send.
    pub headers: BTreeMap<String, String>,
    /// How long the server may be silent.
    pub timeout: Duration,
}

impl ModelTarget {
    /// A model where its provider usually is.
    pub fn new(kind: ProviderKind, model: impl Into<String>) -> Self {
        let (model, headers) = (model.into(), BTreeMap::new());
        Self { kind, model, base_url: None, api_key: None, headers, timeout: TIMEOUT }
    }

    /// The model of a provider in the settings.
    pub fn configured(provider: &ConfiguredProvider) -> Self {
        let configuration = &provider.configuration;
        Self {
            base_url: configuration.base_url.clone(),
            api_key: configuration.api_key.as_deref().map(Secret::new),
            headers: configuration.custom_headers.clone(),
            timeout: configuration.timeout.map_or(TIMEOUT, |span| span.0),
            ..Self::new(provider.kind, configuration.model_name.clone())
        }
    }

    /// The target with what the settings say of its model and its provider, and the address of its API.
    ///
    /// # Errors
    /// When the address is none, or a key is missing.
    pub(super) fn resolve(mut self, settings: &Settings) -> Result<(Self, Url), TaskError> {
        if let Some(replacement) = settings.ai.models.get(&self.model) {
            self = self.replaced(replacement);
        }
        // A key of the settings goes nowhere but where the settings send it.
        if self.base_url.is_none() {
            self.complete(&settings.ai);
        }
        let given = self.base_url.as_deref().or(self.kind.usual_url()).ok_or_else(|| {
            TaskError::permanent(format!("the provider {} needs a `baseUrl`", self.kind.name()))
                .help("write the address of the server, such as http://localhost:8080/v1")
        })?;
        let url = api_address(given, self.kind)?;
        self.api_key = self.api_key.filter(|key| !key.expose().trim().is_empty());
        if let Some(key) = self.api_key.as_ref().filter(|key| task::is_template(key.expose())) {
            let message = format!("the key of the provider {} has no value: `{}`", self.kind.name(), key.expose());
            return Err(TaskError::permanent(message).help("see that the secret is there: `jitney doctor` lists them"));
        }
        let is_public = self.base_url.is_none() && !self.kind.is_local();
        if self.api_key.is_none() && is_public {
            let error = TaskError::permanent(format!("the provider {} needs an `apiKey`", self.kind.name()));
            return Err(error.help(
                "store it with `jitney kv set -n NAMESPACE NAME KEY` and write \"{{ kv('NAME') }}\", or see docs/ai.md for \
                 a model on this machine, which needs none",
            ));
        }
        self.api_key.iter().for_each(|key| settings.redactor.learn(key.expose()));
        Ok((self, url))
    }

    fn replaced(self, replacement: &ModelReplacement) -> Self {
        let kind = replacement.kind.unwrap_or(self.kind);
        let stays = kind == self.kind && replacement.base_url.is_none();
        let key = replacement.api_key.as_deref().map(Secret::new);
        Self {
            kind,
            model: replacement.model.clone(),
            base_url: if stays { self.base_url } else { replacement.base_url.clone() },
            // What is meant for one server is not sent to another.
            api_key: key.or(self.api_key.filter(|_| stays)),
            headers: if stays { self.headers } else { BTreeMap::new() },
            timeout: self.timeout,
        }
    }

    /// Adds what the settings know of the provider.
    fn complete(&mut self, settings: &AiSettings) {
        let configured = settings.configured();
        let configured =
            configured.iter().find(|provider| provider.kind == self.kind).map(|found| &found.configuration);
        let base_url = settings.base_urls.get(&self.kind).cloned();
        self.base_url = base_url.or_else(|| configured.and_then(|configuration| configuration.base_url.clone()));
        if self.api_key.is_none() {
            self.api_key = configured.and_then(|configuration| configuration.api_key.as_deref()).map(Secret::new);
        }
    }
}

/// An address as that of an API: one without a path gets the usual one.
fn api_address(text: &str, kind: ProviderKind) -> Result<Url, TaskError> {
    let wrong = |why: String| {
        let shown = crate::secret::hide_address(text);
        TaskError::permanent(format!("the `baseUrl` `{shown}` {why}")).help("write http:// or https:// and a host")
    };
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(format!("is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither http nor https".to_owned()));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(if kind == ProviderKind::Gemini { "/v1beta" } else { "/v1" });
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CliOverrides;

    fn settings(ai: serde_json::Value) -> Settings {
        let overrides = CliOverrides { home: Some("/h".into()), postgres: None };
        let settings = Settings::from_environment(overrides, BTreeMap::new()).unwrap();
        settings.with_ai(serde_json::from_value(ai).unwrap())
    }

    fn keyed(kind: ProviderKind, model: &str) -> ModelTarget {
        ModelTarget { api_key: Some(Secret::new("key-of-the-flow")), ..ModelTarget::new(kind, model) }
    }

    #[test]
    fn an_address_without_a_path_gets_the_usual_one() {
        let of = |text: &str, kind| api_address(text, kind).unwrap().to_string();
        assert_eq!(of("http://localhost:11434", ProviderKind::Ollama), "http://localhost:11434/v1");
        assert_eq!(of("http://h:1/", ProviderKind::Gemini), "http://h:1/v1beta");
        assert_eq!(of("http://h/openai/v1/", ProviderKind::OpenAi), "http://h/openai/v1");
        assert!(api_address("localhost:1", ProviderKind::OpenAi).unwrap_err().message.contains("neither http"));
    }

    #[test]
    fn settings_say_where_a_provider_is_and_which_model_stands_for_another() {
        let settings = settings(serde_json::json!({
            "models": {"old": "new", "elsewhere": {"type": "ollama", "model": "qwen3"}},
            "base_urls": {"gemini": "http://mirror:1"},
        }));
        let (target, url) = keyed(ProviderKind::Gemini, "old").resolve(&settings).unwrap();
        assert_eq!((target.model.as_str(), url.as_str()), ("new", "http://mirror:1/v1beta"));
        assert!(target.api_key.is_some());
        let (target, url) = keyed(ProviderKind::Gemini, "elsewhere").resolve(&settings).unwrap();
        assert_eq!((target.kind, url.as_str()), (ProviderKind::Ollama, "http://localhost:11434/v1"));
        assert!(target.api_key.is_none(), "Google's key does not go to Ollama");
    }

    #[test]
    fn a_key_of_the_settings_does_not_go_to_an_address_of_a_flow() {
        let configuration = serde_json::json!({"model_name": "m", "api_key": "key-of-the-settings"});
        let settings = settings(serde_json::json!({"providers": [{"type": "openai", "configuration": configuration}]}));
        let plain = ModelTarget::new(ProviderKind::OpenAi, "m");
        let (target, _) = plain.clone().resolve(&settings).unwrap();
        assert_eq!(target.api_key.unwrap().expose(), "key-of-the-settings");
        let elsewhere = ModelTarget { base_url: Some("http://evil/v1".to_owned()), ..plain };
        assert!(elsewhere.resolve(&settings).unwrap().0.api_key.is_none());
        let refused = ModelTarget::new(ProviderKind::Gemini, "m").resolve(&settings).unwrap_err();
        assert!(refused.message.contains("needs an `apiKey`"), "{refused}");
    }
}
