//! The section `ai` of the settings: which language models there are, where they are, and what they cost.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::duration::DurationSpec;

/// Who serves a model, which also says how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProviderKind {
    /// Google's Gemini API.
    Gemini,
    /// OpenAI, or any server with the same API.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// A local Ollama.
    Ollama,
    /// LocalAI.
    LocalAi,
    /// OpenRouter.
    OpenRouter,
    /// DeepSeek.
    DeepSeek,
    /// Mistral AI.
    Mistral,
}

/// What Kestra's types of providers begin with.
const KESTRA: &str = "io.kestra.plugin.ai.provider.";

/// A kind, its name here, Kestra's name, other spellings, and the address of its API.
type ProviderEntry = (ProviderKind, &'static str, &'static str, &'static [&'static str], Option<&'static str>);

const KINDS: &[ProviderEntry] = &[
    (
        ProviderKind::Gemini,
        "gemini",
        "GoogleGemini",
        &["google"],
        Some("https://generativelanguage.googleapis.com/v1beta"),
    ),
    (ProviderKind::OpenAi, "openai", "OpenAI", &[], Some("https://api.openai.com/v1")),
    (ProviderKind::Anthropic, "anthropic", "Anthropic", &["claude"], Some("https://api.anthropic.com/v1")),
    (ProviderKind::Ollama, "ollama", "Ollama", &[], Some("http://localhost:11434/v1")),
    (ProviderKind::LocalAi, "localai", "LocalAI", &[], None),
    (ProviderKind::OpenRouter, "openrouter", "OpenRouter", &[], Some("https://openrouter.ai/api/v1")),
    (ProviderKind::DeepSeek, "deepseek", "DeepSeek", &[], Some("https://api.deepseek.com/v1")),
    (ProviderKind::Mistral, "mistral", "MistralAI", &["mistralai"], Some("https://api.mistral.ai/v1")),
];

/// Providers of Kestra that are not supported, and what to use.
const UNSUPPORTED: &[(&[&str], &str)] = &[
    (&["azureopenai", "azure-openai"], "OpenAI with `baseUrl: https://RESOURCE.openai.azure.com/openai/v1`"),
    (&["googlevertexai"], "GoogleGemini with a key of the Gemini API"),
    (&["amazonbedrock", "bedrock"], "Anthropic, or OpenAI with the `baseUrl` of a gateway to Bedrock"),
    (&["huggingface"], "OpenAI with `baseUrl: https://router.huggingface.co/v1`"),
    (&["githubmodels"], "OpenAI with `baseUrl: https://models.github.ai/inference`"),
    (&["dockermodel", "dockermodelrunner"], "OpenAI with `baseUrl: http://localhost:12434/engines/v1`"),
    (
        &["workersai", "cloudflareworkersai"],
        "OpenAI with `baseUrl: https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1`",
    ),
    (&["dashscope"], "OpenAI with `baseUrl: https://dashscope-intl.aliyuncs.com/compatible-mode/v1`"),
    (&["zhipuai"], "OpenAI with `baseUrl: https://open.bigmodel.cn/api/paas/v4`"),
    (&["watsonxai", "ocigenai"], "OpenAI with the `baseUrl` of a gateway that speaks OpenAI's API"),
];

impl ProviderKind {
    /// The kind of this name: `gemini`, `GoogleGemini` or `io.kestra.plugin.ai.provider.GoogleGemini`.
    ///
    /// # Errors
    /// What to use instead of a provider that is not supported.
    pub fn parse(name: &str) -> Result<Self, String> {
        let short = name.strip_prefix(KESTRA).unwrap_or(name).to_ascii_lowercase();
        let found = KINDS.iter().find(|(_, own, kestra, others, _)| {
            short == *own || short == kestra.to_ascii_lowercase() || others.contains(&short.as_str())
        });
        if let Some((kind, ..)) = found {
            return Ok(*kind);
        }
        let instead = UNSUPPORTED.iter().find(|(names, _)| names.contains(&short.as_str()));
        Err(match instead {
            Some((_, instead)) => format!("the provider `{name}` is not supported; use {instead}"),
            None => format!(
                "there is no provider `{name}`; there are {}; servers with OpenAI's API are of type openai with a `baseUrl`",
                KINDS.iter().map(|(_, own, ..)| *own).collect::<Vec<_>>().join(", ")
            ),
        })
    }

    /// Its short name.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, ..)| name)
    }

    /// The usual address of its API; none where every installation has its own.
    pub fn usual_url(self) -> Option<&'static str> {
        KINDS.iter().find(|(kind, ..)| *kind == self).and_then(|(.., url)| *url)
    }

    /// Whether it runs on the user's own machines, and needs no key.
    pub fn is_local(self) -> bool {
        matches!(self, Self::Ollama | Self::LocalAi)
    }
}

impl<'de> Deserialize<'de> for ProviderKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for ProviderKind {
    fn schema_name() -> Cow<'static, str> {
        "ProviderKind".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let own = KINDS.iter().map(|(_, own, ..)| (*own).to_owned());
        let names: Vec<String> =
            own.chain(KINDS.iter().map(|(_, _, kestra, ..)| format!("{KESTRA}{kestra}"))).collect();
        json_schema!({"type": "string", "enum": names})
    }
}

/// The language models that tasks and the assistant may use.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct AiSettings {
    /// Whether the assistant is offered on the pages; by default it is if a provider is configured.
    pub enabled: Option<bool>,
    /// Models to use in place of others, by the names that flows use: another name, or a map of `type`, `model`,
    /// `base_url` and `api_key`.
    #[serde(default)]
    pub models: BTreeMap<String, ModelReplacement>,
    /// Where a provider's API is, by its type, unless a flow says it: `gemini: http://localhost:4010`.
    #[serde(default, alias = "base-urls", alias = "baseUrls")]
    pub base_urls: BTreeMap<ProviderKind, String>,
    /// What a model costs, by its name, for the output `cost`.
    #[serde(default)]
    pub prices: BTreeMap<String, ModelPrice>,
    /// The providers that are configured here; tasks without a `provider` use the default one.
    #[serde(default)]
    pub providers: Vec<ConfiguredProvider>,
    /// The provider of the assistant, in Kestra's form of one: `type: gemini` with a map `gemini`.
    #[serde(rename = "type")]
    pub kind: Option<ProviderKind>,
    /// Its configuration, if it is of type gemini.
    pub gemini: Option<ProviderConfiguration>,
    /// Its configuration, if it is of type openai.
    pub openai: Option<ProviderConfiguration>,
    /// Its configuration, if it is of type anthropic.
    pub anthropic: Option<ProviderConfiguration>,
    /// Its configuration, if it is of type ollama.
    pub ollama: Option<ProviderConfiguration>,
    /// Its configuration, if it is of type openrouter.
    pub openrouter: Option<ProviderConfiguration>,
    /// Its configuration, if it is of type deepseek.
    pub deepseek: Option<ProviderConfiguration>,
    /// Its configuration, if it is of type mistralai.
    #[serde(alias = "mistral")]
    pub mistralai: Option<ProviderConfiguration>,
}

/// The model to use in place of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct ModelReplacement {
    /// The name of the model.
    pub model: String,
    /// Who serves it; by default the same provider.
    #[schemars(rename = "type")]
    pub kind: Option<ProviderKind>,
    /// Where its API is.
    pub base_url: Option<String>,
    /// The key for it; best as `"{{ secret('NAME') }}"`.
    pub api_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplacementFields {
    #[serde(alias = "model_name", alias = "model-name", alias = "modelName")]
    model: String,
    #[serde(rename = "type")]
    kind: Option<ProviderKind>,
    #[serde(alias = "base-url", alias = "baseUrl")]
    base_url: Option<String>,
    #[serde(alias = "api-key", alias = "apiKey")]
    api_key: Option<String>,
}

impl<'de> Deserialize<'de> for ModelReplacement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = ModelReplacement;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a model, or a map")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<ModelReplacement, E> {
                Ok(ModelReplacement { model: name.to_owned(), ..ModelReplacement::default() })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<ModelReplacement, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                let ReplacementFields { model, kind, base_url, api_key } = ReplacementFields::deserialize(map)?;
                Ok(ModelReplacement { model, kind, base_url, api_key })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What a model costs for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Tokens that are sent.
    pub input: f64,
    /// Tokens that it answers with; for a model of embeddings there are none.
    #[serde(default)]
    pub output: f64,
}

/// A provider with a model, for tasks without a `provider` and for the assistant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct ConfiguredProvider {
    /// Its name.
    pub id: Option<String>,
    /// What it is called on the pages.
    #[serde(alias = "display-name", alias = "displayName")]
    pub display_name: Option<String>,
    /// Who serves the model.
    #[serde(rename = "type")]
    pub kind: ProviderKind,
    /// Whether it is the one that is used where none is named; otherwise the first is.
    #[serde(default, alias = "is-default", alias = "isDefault")]
    pub is_default: bool,
    /// The model, the key and more.
    pub configuration: ProviderConfiguration,
}

/// A model, the key for it, and how it answers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct ProviderConfiguration {
    /// The name of the model.
    #[serde(alias = "model-name", alias = "modelName", alias = "model")]
    pub model_name: String,
    /// The key; best as `"{{ secret('NAME') }}"`.
    #[serde(alias = "api-key", alias = "apiKey")]
    pub api_key: Option<String>,
    /// Where the API is.
    #[serde(alias = "base-url", alias = "baseUrl", alias = "endpoint")]
    pub base_url: Option<String>,
    /// How much chance is in an answer, from 0.
    pub temperature: Option<f64>,
    /// Of which share of the most likely words the next one is taken, up to 1.
    #[serde(alias = "top-p", alias = "topP")]
    pub top_p: Option<f64>,
    /// Of how many of the most likely words the next one is taken.
    #[serde(alias = "top-k", alias = "topK")]
    pub top_k: Option<u32>,
    /// How many tokens an answer may have.
    #[serde(alias = "max-output-tokens", alias = "maxOutputTokens")]
    pub max_output_tokens: Option<u32>,
    /// Further headers to send.
    #[serde(default, alias = "custom-headers", alias = "customHeaders")]
    pub custom_headers: BTreeMap<String, String>,
    /// How long the server may be silent. By default 2m.
    pub timeout: Option<DurationSpec>,
}

impl AiSettings {
    /// All providers that are configured, the default one first.
    pub fn configured(&self) -> Vec<ConfiguredProvider> {
        let mut all = self.providers.clone();
        all.sort_by_key(|provider| !provider.is_default);
        all.extend(self.single());
        all
    }

    /// The provider that is used where none is named.
    pub fn default_provider(&self) -> Option<ConfiguredProvider> {
        self.configured().into_iter().next()
    }

    /// The texts that may be templates with `secret()`.
    pub fn templates(&mut self) -> Vec<&mut String> {
        let replacements = self.models.values_mut().filter_map(|replacement| replacement.api_key.as_mut());
        let listed = self.providers.iter_mut().map(|provider| &mut provider.configuration);
        let single = [
            &mut self.gemini,
            &mut self.openai,
            &mut self.anthropic,
            &mut self.ollama,
            &mut self.openrouter,
            &mut self.deepseek,
            &mut self.mistralai,
        ];
        let configurations = listed.chain(single.into_iter().flatten());
        replacements.chain(configurations.flat_map(ProviderConfiguration::templates)).collect()
    }

    /// The provider in Kestra's form of one.
    fn single(&self) -> Option<ConfiguredProvider> {
        let kind = self.kind?;
        let configuration = match kind {
            ProviderKind::Gemini => &self.gemini,
            ProviderKind::OpenAi => &self.openai,
            ProviderKind::Anthropic => &self.anthropic,
            ProviderKind::Ollama => &self.ollama,
            ProviderKind::OpenRouter => &self.openrouter,
            ProviderKind::DeepSeek => &self.deepseek,
            ProviderKind::Mistral => &self.mistralai,
            ProviderKind::LocalAi => &None,
        };
        let configuration = configuration.clone()?;
        Some(ConfiguredProvider { id: None, display_name: None, kind, is_default: true, configuration })
    }
}

impl ProviderConfiguration {
    fn templates(&mut self) -> impl Iterator<Item = &mut String> {
        self.api_key.iter_mut().chain(self.custom_headers.values_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_short_names_and_those_of_kestra_and_others_are_told_what_to_use() {
        for name in ["gemini", "GoogleGemini", "io.kestra.plugin.ai.provider.GoogleGemini"] {
            assert_eq!(ProviderKind::parse(name), Ok(ProviderKind::Gemini));
        }
        let refused = ProviderKind::parse("io.kestra.plugin.ai.provider.AzureOpenAI").unwrap_err();
        assert!(
            refused.ends_with("use OpenAI with `baseUrl: https://RESOURCE.openai.azure.com/openai/v1`"),
            "{refused}"
        );
        assert!(ProviderKind::parse("gemni").unwrap_err().contains("there are gemini, openai"));
    }

    #[test]
    fn both_forms_of_kestra_are_read() {
        let one = r#"{"type": "gemini", "gemini": {"model-name": "gemini-2.5-flash", "api-key": "k"}}"#;
        let one: AiSettings = serde_json::from_str(one).unwrap();
        assert_eq!(one.default_provider().unwrap().configuration.model_name, "gemini-2.5-flash");
        let list = r#"{"providers": [
            {"id": "a", "type": "openai", "configuration": {"model-name": "m", "api-key": "k"}},
            {"id": "b", "display-name": "B", "type": "mistralai", "is-default": true, "configuration": {"modelName": "n"}}
        ]}"#;
        let list: AiSettings = serde_json::from_str(list).unwrap();
        assert_eq!(list.default_provider().unwrap().id.as_deref(), Some("b"));
    }

    #[test]
    fn a_model_is_replaced_by_a_name_or_by_a_model_elsewhere() {
        let text = r#"{"models": {"a": "b", "c": {"type": "ollama", "model": "qwen3"}}}"#;
        let settings: AiSettings = serde_json::from_str(text).unwrap();
        assert_eq!((settings.models["a"].model.as_str(), settings.models["a"].kind), ("b", None));
        assert_eq!(settings.models["c"].kind, Some(ProviderKind::Ollama));
    }
}
