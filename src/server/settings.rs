//! The server's own settings: `jitney.yaml`, checked like a flow, with line and column.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::flow::Document;
use crate::flow::expression::{Names, Outside, render};
use crate::server::access::User;
use crate::server::lineage::Collector;
use crate::server::notify::Rule;
use crate::server::retention::Retention;
use crate::task;

/// The file's name.
pub const FILE: &str = "jitney.yaml";

/// What a server is told beside its command line. Texts may be templates with `secret()`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct ServerSettings {
    /// Who is told about what.
    #[serde(default)]
    pub notifications: Vec<Rule>,
    /// How long what has run is kept.
    #[serde(default)]
    pub retention: Retention,
    /// Where OpenLineage events of loads go.
    pub openlineage: Option<Collector>,
    /// Who may log in, beside `JITNEY_USER` with `JITNEY_PASSWORD`.
    #[serde(default)]
    pub users: Vec<User>,
    /// Tokens that may be sent instead of a login, beside `JITNEY_TOKEN`; best as `"{{ secret('JITNEY_TOKEN') }}"`.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// Where OpenTelemetry traces go by OTLP over HTTP, such as `http://localhost:4318`; else where
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    pub opentelemetry: Option<String>,
}

impl ServerSettings {
    /// Reads the file that is named, else `jitney.yaml` here or in the home folder, else nothing.
    ///
    /// # Errors
    /// Every problem of the file, each with its place.
    pub fn load(named: Option<&Path>, settings: &Settings) -> Result<Self, Vec<Diagnostic>> {
        let usual = || [PathBuf::from(FILE), settings.home.join(FILE)].into_iter().find(|file| file.is_file());
        let Some(file) = named.map(Path::to_path_buf).or_else(usual) else { return Ok(Self::default()) };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|error| vec![Diagnostic::error(format!("cannot read the settings `{name}`: {error}"))])?;
        Self::parse(&name, &text)
    }

    /// The same with the secrets of logins and collectors in their places, and with what the environment says.
    ///
    /// # Errors
    /// When a template has no value.
    pub fn settled(mut self, settings: &Settings, outside: &dyn Outside) -> Result<Self, Diagnostic> {
        let text = |template: &mut String| {
            let rendered = render(&Value::from(template.as_str()), &Names::new(), outside);
            let rendered =
                rendered.map_err(|error| Diagnostic::error(format!("the settings: `{template}`: {error}")))?;
            *template = crate::text::plain(&rendered);
            settings.redactor.learn(template);
            Ok(())
        };
        self.users.iter_mut().try_for_each(|user| text(&mut user.password))?;
        self.tokens.iter_mut().try_for_each(text)?;
        self.openlineage.iter_mut().filter_map(|collector| collector.token.as_mut()).try_for_each(text)?;
        if let Some((name, password)) = settings.variable("JITNEY_USER").zip(settings.variable("JITNEY_PASSWORD")) {
            settings.redactor.learn(password);
            self.users.push(User { name: name.to_owned(), password: password.to_owned() });
        }
        self.tokens.extend(
            settings.variable("JITNEY_TOKEN").inspect(|token| settings.redactor.learn(token)).map(str::to_owned),
        );
        self.opentelemetry =
            self.opentelemetry.or_else(|| settings.variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(str::to_owned));
        Ok(self)
    }

    fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let document = Document::parse(file, text).map_err(|finding| vec![*finding])?;
        if document.value.is_null() {
            return Ok(Self::default());
        }
        let read = task::read::<Self>(&document.value);
        let settings = read.map_err(|error| vec![document.locate(&error.path, Diagnostic::error(error.message))])?;
        let silent = settings.notifications.iter().position(Rule::is_silent).map(|index| {
            let finding = Diagnostic::error("this rule tells nobody").help("add `webhook`, `mail` or `command`");
            document.locate(&["notifications".to_owned(), index.to_string()], finding)
        });
        silent.map_or(Ok(settings), |finding| Err(vec![finding]))
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
    fn problems_have_their_place() {
        let place = |text: &str| {
            let findings = ServerSettings::parse(FILE, text).unwrap_err();
            (findings[0].line, findings[0].message.clone())
        };
        let (line, message) = place("retention:\n  executions: soon\n");
        assert!(line == 2 && message.contains("is not a duration"), "{line} {message}");
        let (line, message) = place("retention:\n  disk: lots\n");
        assert!(line == 2 && message.contains("`lots` is no size"), "{line} {message}");
        assert_eq!(place("notifications:\n  - on: [failure]\n"), (2, "this rule tells nobody".to_owned()));
    }
}
