//! The channels of notifications: webhook, mail, command.

use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::flow::expression::{Host, Names, render};
use crate::process::{self, OutputStream, ProgramSpec, StdinSource};
use crate::server::notify::NotificationRule;
use crate::web::follow;

/// How long one message may take to be sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_ATTEMPTS: u32 = 3;

/// A mail by SMTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct MailChannel {
    /// The mail server.
    pub host: String,
    /// Its port; 587, or 465 with `tls: wrapper`, or 25 with `tls: none`.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: MailTls,
    /// The user to log in as; nobody by default.
    pub username: Option<String>,
    /// The password, best as `"{{ secret('SMTP_PASSWORD') }}"`.
    pub password: Option<String>,
    /// The sender, as `Jitney <jitney@example.com>` or the bare address.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The subject, a template; the message's first line by default.
    pub subject: Option<String>,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// By `STARTTLS`, which the server must support.
    #[default]
    Starttls,
    /// By TLS from the start of the connection.
    Wrapper,
    /// Not at all, for a server on the same machine.
    None,
}

/// One channel of a rule.
#[derive(Clone, Debug)]
pub(super) enum Channel {
    /// The address of a chat's webhook.
    Webhook(String),
    Mail(Box<MailChannel>),
    Command(Vec<String>),
}

impl Channel {
    pub(super) fn of(rule: &NotificationRule) -> Vec<Self> {
        let webhook = rule.webhook.clone().map(Self::Webhook);
        let mail = rule.mail.clone().map(|mail| Self::Mail(Box::new(mail)));
        let command = rule.command.clone().map(Self::Command);
        webhook.into_iter().chain(mail).chain(command).collect()
    }

    /// The channel with its templates rendered; `message` is among the names.
    pub(super) fn rendered(self, names: &Names, message: &str, host: &dyn Host) -> Result<Self, String> {
        let mut names = names.clone();
        names.insert("message".to_owned(), json!(message));
        let text = |text: &str| {
            render(&Value::from(text), &names, host)
                .map(|value| crate::text::plain(&value))
                .map_err(|error| format!("`{text}` cannot be used: {error}"))
        };
        Ok(match self {
            Self::Webhook(address) => Self::Webhook(text(&address)?),
            Self::Command(words) => Self::Command(words.iter().map(|word| text(word)).collect::<Result<_, _>>()?),
            Self::Mail(mut mail) => {
                let subject = mail.subject.as_deref().unwrap_or(message.lines().next().unwrap_or_default());
                mail.subject = Some(text(subject)?);
                mail.username = mail.username.as_deref().map(&text).transpose()?;
                mail.password = mail.password.as_deref().map(&text).transpose()?;
                Self::Mail(mail)
            }
        })
    }

    /// Sends a message, in up to [`MAX_ATTEMPTS`] attempts.
    ///
    /// # Errors
    /// In plain words, after the last attempt.
    pub(super) async fn send(
        &self,
        settings: &Settings,
        client: &reqwest::Client,
        message: &str,
    ) -> Result<(), String> {
        let mut attempts = 0;
        loop {
            let sent = tokio::time::timeout(SEND_TIMEOUT, self.send_once(settings, client, message)).await;
            let problem = match sent {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(problem)) => problem,
                Err(_) => format!("{} did not answer within a minute", self.target()),
            };
            attempts += 1;
            if attempts == MAX_ATTEMPTS {
                return Err(format!("a notification was not sent: {problem}"));
            }
            tokio::time::sleep(Duration::from_millis(500) * 4_u32.pow(attempts - 1)).await;
        }
    }

    /// The recipient in messages, without what is secret about it.
    fn target(&self) -> String {
        match self {
            Self::Webhook(address) => {
                let host = address.split("://").nth(1).and_then(|rest| rest.split('/').next());
                format!("the webhook at {}", host.unwrap_or("its address"))
            }
            Self::Mail(mail) => format!("the mail server {}", mail.host),
            Self::Command(words) => format!("`{}`", words.first().map_or("", String::as_str)),
        }
    }

    async fn send_once(&self, settings: &Settings, client: &reqwest::Client, message: &str) -> Result<(), String> {
        let target = self.target();
        match self {
            Self::Webhook(address) => {
                // The address of a webhook is its password: no error may carry it.
                let request = client.post(address).json(&json!({ "text": message }));
                let response = follow::send(&target, request).await.map_err(|error| error.into_error().message)?;
                let status = response.status();
                if status.is_success() { Ok(()) } else { Err(format!("{target} answered {status}")) }
            }
            Self::Mail(mail) => send_mail(mail, message).await.map_err(|problem| format!("{target}: {problem}")),
            Self::Command(words) => {
                run(settings, words, message).await.map_err(|problem| format!("{target}: {problem}"))
            }
        }
    }
}

async fn send_mail(mail: &MailChannel, message: &str) -> Result<(), String> {
    let address =
        |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}` is not a mail address: {error}"));
    let mut builder = Message::builder().from(address(&mail.from)?);
    for to in &mail.to {
        builder = builder.to(address(to)?);
    }
    // A line break in a subject would end it.
    let subject = mail.subject.as_deref().unwrap_or_default().replace(['\r', '\n'], " ");
    let mail_message = builder.subject(subject).body(message.to_owned()).map_err(|error| error.to_string())?;
    transport(mail)?.send(mail_message).await.map(drop).map_err(|error| error.to_string())
}

fn transport(mail: &MailChannel) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    crate::web::client::install_crypto();
    let builder = match mail.tls {
        MailTls::Starttls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&mail.host),
        MailTls::Wrapper => AsyncSmtpTransport::<Tokio1Executor>::relay(&mail.host),
        MailTls::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)),
    };
    let mut builder = builder.map_err(|error| error.to_string())?.timeout(Some(SEND_TIMEOUT));
    if let Some(port) = mail.port {
        builder = builder.port(port);
    }
    if let Some((username, password)) = mail.username.clone().zip(mail.password.clone()) {
        builder = builder.credentials(Credentials::new(username, password));
    }
    Ok(builder.build())
}

/// Runs a command with the environment of scripts: the process's own may hold passwords.
async fn run(settings: &Settings, words: &[String], message: &str) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("it is empty")?;
    let mut command = ProgramSpec::new(settings, program, Path::new(".")).with(arguments);
    command.input = StdinSource::Text(message.to_owned());
    let mut last = String::new();
    let mut on_line = |line: process::OutputLine| {
        if line.stream == OutputStream::Error {
            last = line.text;
        }
    };
    let status =
        process::run(&command, &CancellationToken::new(), &mut on_line).await.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("it {}: {last}", process::exit_description(status))) }
}
