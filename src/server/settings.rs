//! The server's own settings: `jitney.yaml`, checked like a flow, with line and column.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::ai_settings::{AiSettings, ConfiguredProvider};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::duration::DurationSpec;
use crate::engine::{SettingsHost, secrets_named_in};
use crate::flow::expression::{Host, Names, render};
use crate::flow::{Document, all_findings};
use crate::secret::hide_address;
use crate::server::access::{ApiToken, Role, User, is_hash, secret_problem, user_problem};
use crate::server::lineage::LineageCollector;
use crate::server::mcp::McpSettings;
use crate::server::notify::NotificationRule;
use crate::server::retention::Retention;
use crate::task;
use crate::text::{count, size};

/// The file's name.
pub const FILE: &str = "jitney.yaml";

/// The settings in `jitney.yaml`. Texts may be templates with `secret()`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct ServerSettings {
    /// Who is notified of what.
    #[serde(default)]
    pub notifications: Vec<NotificationRule>,
    /// How long executions, logs and files are kept.
    #[serde(default)]
    pub retention: Retention,
    /// Where OpenLineage events of loads go.
    pub openlineage: Option<LineageCollector>,
    /// Who may log in, besides `JITNEY_USER` with `JITNEY_PASSWORD`.
    #[serde(default)]
    pub users: Vec<User>,
    /// Tokens that may be sent instead of a login, besides `JITNEY_TOKEN`; best as `"{{ secret('JITNEY_TOKEN') }}"`.
    #[serde(default)]
    pub tokens: Vec<ApiToken>,
    /// Names under which the server is reached, besides localhost, the address that it listens on, and those of `--host`:
    /// such as that of a proxy in front of it. A server that listens on all addresses answers to each of them.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed, by address or network, such as `127.0.0.1` or
    /// `172.16.0.0/12`; besides those of `--trust-proxy`.
    #[serde(default)]
    pub trust_proxy: Vec<String>,
    /// Where OpenTelemetry traces go by OTLP over HTTP, such as `http://localhost:4318`; else where
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub opentelemetry: Option<String>,
    /// What agents may do at `/mcp`, by the Model Context Protocol.
    #[serde(default)]
    pub mcp: McpSettings,
    /// Language models: which there are, where, and what they cost.
    #[serde(default)]
    pub ai: AiSettings,
    /// What Kestra's own settings say; of them, those of its copilot are read.
    #[serde(default)]
    pub kestra: KestraSettings,
    /// The text that they were read from.
    #[serde(skip)]
    document: Option<Document>,
}

/// A model and who serves it.
fn in_words(provider: &ConfiguredProvider) -> String {
    format!("{} ({})", provider.configuration.model_name, provider.kind.name())
}

/// Settings as Kestra has them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KestraSettings {
    /// The language models of its copilot, as in `ai`.
    pub ai: Option<AiSettings>,
}

/// The part of the file that commands other than the server read too.
#[derive(Default, Deserialize)]
struct ModelSection {
    #[serde(default)]
    ai: AiSettings,
    #[serde(default)]
    kestra: KestraSettings,
}

/// A span in days where it is whole ones.
fn in_days(span: &DurationSpec) -> String {
    match span.0.as_secs() {
        seconds if seconds > 0 && seconds % 86_400 == 0 => count(seconds / 86_400, "day"),
        _ => span.iso(),
    }
}

impl ServerSettings {
    /// Reads the file that is named, else `jitney.yaml` in the current folder or the home folder; without one, the defaults.
    ///
    /// # Errors
    /// Every problem of the file, each with its place.
    pub fn load(named: Option<&Path>, settings: &Settings) -> Result<Self, Vec<Diagnostic>> {
        let usual = || Self::file(settings);
        let Some(file) = named.map(Path::to_path_buf).or_else(usual) else { return Ok(Self::default()) };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|error| vec![Diagnostic::error(format!("cannot read the settings `{name}`: {error}"))])?;
        Self::parse(&name, &text)
    }

    /// The language models of these settings.
    pub fn models(&self, settings: &Arc<Settings>) -> AiSettings {
        models(self.ai.clone(), self.kestra.clone(), settings)
    }

    /// The language models of the file that is read where none is named; whatever else it says is not looked at.
    ///
    /// # Errors
    /// Every problem of that section, each with its place.
    pub fn models_of_file(settings: &Arc<Settings>) -> Result<AiSettings, Vec<Diagnostic>> {
        let Some(file) = Self::file(settings) else { return Ok(AiSettings::default()) };
        let name = file.display().to_string();
        // One that cannot be read is the server's business.
        let Ok(text) = std::fs::read_to_string(&file) else { return Ok(AiSettings::default()) };
        // Everything in it may be commented out.
        if crate::flow::from_yaml(&text).is_ok_and(|value| !value.is_object()) {
            return Ok(AiSettings::default());
        }
        let document = Document::parse(&name, &text).map_err(|finding| vec![*finding])?;
        let check = |value: &Value| task::read::<ModelSection>(value).map(drop);
        match task::read::<ModelSection>(&document.value) {
            Ok(ModelSection { ai, kestra }) => Ok(models(ai, kestra, settings)),
            Err(_) => Err(all_findings(&document, &[], &document.value, check)),
        }
    }

    /// The file that is read where none is named, if it is there.
    pub fn file(settings: &Settings) -> Option<PathBuf> {
        [PathBuf::from(FILE), settings.home.join(FILE)].into_iter().find(|file| file.is_file())
    }

    /// The settings with the secrets of logins and collectors rendered, and with those of the environment added.
    ///
    /// # Errors
    /// When a template has no value.
    pub(super) fn rendered(mut self, settings: &Settings, host: &dyn Host) -> Result<Self, Diagnostic> {
        let text = |template: &mut String| {
            let rendered = render(&Value::from(template.as_str()), &Names::new(), host);
            let rendered =
                rendered.map_err(|error| Diagnostic::error(format!("the settings: `{template}`: {error}")))?;
            *template = crate::text::plain(&rendered);
            if !task::is_template(template) {
                settings.redactor.learn_for_good(template);
            }
            Ok(())
        };
        // A hash is no template, and needs to be hidden from nobody who knows its parts.
        let plain = |user: &&mut User| !is_hash(&user.password);
        self.users.iter_mut().filter(plain).try_for_each(|user| text(&mut user.password))?;
        self.tokens.iter_mut().try_for_each(|token| text(&mut token.token))?;
        self.check_logins()?;
        self.openlineage.iter_mut().filter_map(|collector| collector.token.as_mut()).try_for_each(text)?;
        self.users.extend(user_of_environment(settings)?);
        self.tokens.extend(token_of_environment(settings)?);
        self.tokens.iter().for_each(|token| settings.redactor.learn_for_good(&token.token));
        for user in self.users.iter().filter(|user| !is_hash(&user.password)) {
            settings.redactor.learn_for_good(&user.password);
            settings.redactor.learn_for_good(&format!("{}:{}", user.name, user.password));
        }
        self.opentelemetry =
            self.opentelemetry.or_else(|| settings.variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(str::to_owned));
        Ok(self)
    }

    /// Checks the logins once their secrets are rendered.
    fn check_logins(&self) -> Result<(), Diagnostic> {
        let place = |list: &str, index: usize, field: Option<&str>, problem: String| {
            let path: Vec<String> = [list, &index.to_string()].into_iter().chain(field).map(str::to_owned).collect();
            let finding = login_finding(field.unwrap_or_default(), problem);
            self.document.as_ref().map_or_else(|| finding.clone(), |document| document.locate(&path, finding.clone()))
        };
        for (index, user) in self.users.iter().enumerate() {
            if let Some((field, problem)) = user_problem(user) {
                return Err(place("users", index, Some(field), problem));
            }
        }
        let mut tokens = self.tokens.iter().enumerate();
        let wrong = tokens.find_map(|(index, token)| Some((index, secret_problem("the token", &token.token)?)));
        wrong.map_or(Ok(()), |(index, problem)| Err(place("tokens", index, None, problem)))
    }

    /// Which notifications cannot be sent at present: a secret is missing, or a command is not installed.
    pub(super) fn warnings(&self, settings: &Settings, host: &dyn Host) -> Vec<Diagnostic> {
        let Some(document) = &self.document else { return Vec::new() };
        let mut found = Vec::new();
        for (index, rule) in self.notifications.iter().enumerate() {
            let path = ["notifications".to_owned(), index.to_string()];
            let text = document.value.pointer(&format!("/notifications/{index}")).unwrap_or(&Value::Null).to_string();
            for name in secrets_named_in(&text) {
                if let Err(problem) = host.secret(name, None) {
                    let finding = Diagnostic::warning(format!("this notification cannot be sent: {problem}"));
                    found.push(document.locate_text(&path, name, finding));
                }
            }
            let program = rule.command.iter().flatten().next().filter(|word| !task::is_template(word));
            if let Some(program) = program.filter(|word| !is_there(word, settings)) {
                let message = format!("this notification cannot be sent: there is no command `{program}`");
                found.push(document.locate_text(&path, program, Diagnostic::warning(message)));
            }
        }
        found
    }

    /// What is in force, without secrets, each with its name in words.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let logins = match (self.users.len(), self.tokens.len()) {
            (0, 0) => "none".to_owned(),
            (users, tokens) => format!("{}, {}", count(users as u64, "user"), count(tokens as u64, "token")),
        };
        let Retention { executions, logs, files, audit, disk } = &self.retention;
        let mut facts = vec![
            (
                "Settings file",
                self.document.as_ref().map_or_else(|| "none".to_owned(), |document| document.file.clone()),
            ),
            ("Logins", logins),
            ("Executions are kept", in_days(executions)),
            ("Logs are kept", in_days(logs)),
            ("Files are kept", in_days(files)),
            ("The audit log is kept", in_days(audit)),
            ("Files take at most", disk.map_or_else(|| "any amount".to_owned(), |most| size(most.0))),
            ("Notifications", count(self.notifications.len() as u64, "rule")),
            ("Agents at /mcp", self.mcp.in_words().to_owned()),
        ];
        let address = |text: &str| hide_address(text);
        facts.extend(self.openlineage.as_ref().map(|collector| ("OpenLineage", address(&collector.url))));
        facts.extend(self.opentelemetry.as_deref().map(|collector| ("OpenTelemetry", address(collector))));
        let models: Vec<String> = self.ai.configured().iter().chain(&self.kestra_models()).map(in_words).collect();
        facts.extend((!models.is_empty()).then(|| ("Language models", models.join(", "))));
        facts.extend((!self.hosts.is_empty()).then(|| ("Host names", self.hosts.join(", "))));
        facts
    }

    fn kestra_models(&self) -> Vec<ConfiguredProvider> {
        self.kestra.ai.as_ref().map(AiSettings::configured).unwrap_or_default()
    }

    fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        match crate::flow::from_yaml(text) {
            // Everything in it may be commented out.
            Ok(Value::Null) => return Ok(Self::default()),
            Ok(value) if !value.is_object() => {
                let finding = Diagnostic::error("the server settings are not a map").at(file, text, 1, 1);
                return Err(vec![finding.help("write a map, such as `retention: {files: 7d}`")]);
            }
            _ => {}
        }
        let document = Document::parse(file, text).map_err(|finding| vec![*finding])?;
        let Ok(settings) = task::read::<Self>(&document.value) else {
            return Err(all_findings(&document, &[], &document.value, |value| task::read::<Self>(value).map(drop)));
        };
        let silent = settings.notifications.iter().position(NotificationRule::is_silent).map(|index| {
            let finding = Diagnostic::error("this rule has no recipient").help("add `webhook`, `mail` or `command`");
            document.locate(&["notifications".to_owned(), index.to_string()], finding)
        });
        silent.map_or(Ok(Self { document: Some(document.clone()), ..settings }), |finding| Err(vec![finding]))
    }
}

/// The models of both sections, with the secrets that their templates name. A template whose secret is missing stays as it
/// is: whoever uses the key says so.
fn models(mut own: AiSettings, kestra: KestraSettings, settings: &Arc<Settings>) -> AiSettings {
    if let Some(theirs) = kestra.ai {
        own.enabled = own.enabled.or(theirs.enabled);
        own.providers.extend(theirs.configured());
    }
    let host = SettingsHost::new(settings.clone());
    for template in own.templates() {
        if let Ok(rendered) = render(&Value::from(template.as_str()), &Names::new(), &host) {
            *template = crate::text::plain(&rendered);
        }
        if !task::is_template(template) {
            settings.redactor.learn_for_good(template);
        }
    }
    own
}

fn is_there(program: &str, settings: &Settings) -> bool {
    if program.contains('/') { Path::new(program).is_file() } else { settings.find_program(program).is_some() }
}

/// What is wrong with a field of a login.
fn login_finding(field: &str, problem: String) -> Diagnostic {
    let finding = Diagnostic::error(problem);
    if field == "name" { finding } else { finding.help("generate one, for example with `openssl rand -base64 18`") }
}

/// The login of the environment.
fn user_of_environment(settings: &Settings) -> Result<Option<User>, Diagnostic> {
    let [name, password] = ["JITNEY_USER", "JITNEY_PASSWORD"].map(|variable| settings.variable(variable));
    let (name, password) = match (name, password) {
        (None, None) => return Ok(None),
        (Some(name), Some(password)) => (name.to_owned(), password.to_owned()),
        (Some(_), None) => return Err(Diagnostic::error("JITNEY_USER is set, but JITNEY_PASSWORD is not")),
        (None, Some(_)) => return Err(Diagnostic::error("JITNEY_PASSWORD is set, but JITNEY_USER is not")),
    };
    settings.redactor.learn(&password);
    let user = User { name, password, role: Role::Admin };
    match user_problem(&user) {
        Some((field, problem)) => {
            let variable = if field == "name" { "JITNEY_USER" } else { "JITNEY_PASSWORD" };
            Err(login_finding(field, format!("{variable}: {problem}")))
        }
        None => Ok(Some(user)),
    }
}

/// The token of the environment.
fn token_of_environment(settings: &Settings) -> Result<Option<ApiToken>, Diagnostic> {
    let Some(token) = settings.variable("JITNEY_TOKEN") else { return Ok(None) };
    settings.redactor.learn(token);
    match secret_problem("the token", token) {
        Some(problem) => Err(login_finding("token", format!("JITNEY_TOKEN: {problem}"))),
        None => Ok(Some(ApiToken { name: Some("JITNEY_TOKEN".to_owned()), ..ApiToken::of(token) })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_read() {
        let text = "notifications:\n  - on: [failure, late]\n    flows: [\"zoomcamp.*\"]\n    repeat: 1h\n    \
                    webhook: \"{{ secret('SLACK') }}\"\n  - mail: {host: localhost, tls: none, from: a@b.c, to: [d@e.f]}\n\
                    retention: {executions: 90d, files: 7d, disk: 20GB}\n\
                    openlineage: {url: http://localhost:5000/api/v1/lineage}\n";
        let settings = ServerSettings::parse(FILE, text).unwrap();
        assert_eq!(settings.notifications.len(), 2);
        assert_eq!(settings.retention.disk.unwrap().0, 20_000_000_000);
    }

    #[test]
    fn a_file_without_any_setting_sets_none() {
        for text in ["", "\n", "# retention: {files: 7d}\n", "\u{feff}---\n"] {
            assert!(ServerSettings::parse(FILE, text).unwrap().notifications.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn problems_have_their_place() {
        let place = |text: &str| {
            let findings = ServerSettings::parse(FILE, text).unwrap_err();
            (findings[0].line, findings[0].message.clone())
        };
        let (line, message) = place("retention:\n  executions: soon\n");
        assert!(line == 2 && message.contains("is not a duration"), "{line} {message}");
        let (line, message) = place("retention:\n  disk: lots\n");
        assert!(line == 2 && message.contains("`lots` is not a size"), "{line} {message}");
        assert_eq!(place("notifications:\n  - on: [failure]\n"), (2, "this rule has no recipient".to_owned()));
        let (line, message) = place("notifications: {on: [failure]}\n");
        assert_eq!((line, message.as_str()), (1, "`notifications` must be a list, not a map"));
        assert_eq!(place("- a\n"), (1, "the server settings are not a map".to_owned()));
        let misspelt = ServerSettings::parse(FILE, "notifications:\n  - {on: [failur], command: [x]}\n").unwrap_err();
        assert_eq!(
            (misspelt[0].message.as_str(), misspelt[0].help.as_deref()),
            ("unknown value `failur`", Some("did you mean `failure`?"))
        );
    }

    #[test]
    fn what_a_notification_lacks_is_a_warning_before_it_is_needed() {
        struct EmptySection;
        impl Host for EmptySection {
            fn secret(&self, name: &str, _: Option<&str>) -> Result<String, String> {
                Err(format!("there is no secret `{name}`"))
            }
        }
        let text = "notifications:\n  - webhook: \"{{ secret('SLACK') }}\"\n  - command: [no-such-program, x]\n  \
                    - command: [sh, x]\n";
        let overrides = crate::config::CliOverrides { home: Some("/h".into()), postgres: None };
        let path = ("PATH".to_owned(), "/bin:/usr/bin".to_owned());
        let settings = Settings::from_environment(overrides, [path].into()).unwrap();
        let warnings = ServerSettings::parse(FILE, text).unwrap().warnings(&settings, &EmptySection);
        let warnings: Vec<_> = warnings.iter().map(|warning| (warning.line, warning.message.as_str())).collect();
        let begin = "this notification cannot be sent: there is no";
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!(warnings[0], (2, format!("{begin} secret `SLACK`").as_str()));
        assert_eq!(warnings[1], (3, format!("{begin} command `no-such-program`").as_str()));
    }
}
