//! Asks a model, validates the flow that it writes, and asks again with the findings.

use super::context;
use super::preserve::ShownText;
use super::question::{CopilotQuestion, types_in};
use super::reply::ModelReply;
use crate::ai::{ChatMessage, ChatOptions, Model, ModelTarget, Usage};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::flow::parse;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::RetryPolicy;

/// How often a model is asked for one flow.
pub const MAX_TRIES: u32 = 4;
/// The most findings that it is told at a time.
const MAX_FINDINGS: usize = 12;
/// What stands for a password.
const MASK: &str = "***";

/// A flow that a model wrote.
#[derive(Clone, Debug)]
pub struct WrittenFlow {
    /// Its text.
    pub text: String,
    /// What our validator says about it.
    pub findings: Vec<Diagnostic>,
}

impl WrittenFlow {
    /// Whether the flow has no errors.
    pub fn is_valid(&self) -> bool {
        self.errors() == 0
    }

    /// How many errors it has.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_error()).count()
    }
}

/// What came of a question.
#[derive(Clone, Debug)]
pub struct CopilotAnswer {
    /// What the model says.
    pub words: String,
    /// The flow: the valid one, else the best of all tries; none if there is none.
    pub written: Option<WrittenFlow>,
    /// How often the model was asked.
    pub tries: u32,
    /// The tokens of all tries.
    pub usage: Usage,
}

/// A model that writes flows.
pub struct Copilot {
    model: Model,
    /// How it answers, as the settings say.
    options: ChatOptions,
    redactor: Redactor,
}

impl Copilot {
    /// The model that the settings name for this; none if they name none.
    ///
    /// # Errors
    /// When its address or its key is missing or wrong.
    pub fn of(settings: &Settings) -> Result<Option<Self>, TaskError> {
        let Some(provider) = settings.ai.default_provider() else { return Ok(None) };
        let model = Model::open(ModelTarget::configured(&provider), settings)?;
        let options = ChatOptions {
            temperature: provider.configuration.temperature,
            top_p: provider.configuration.top_p,
            top_k: provider.configuration.top_k,
            max_tokens: provider.configuration.max_output_tokens,
            ..ChatOptions::default()
        };
        Ok(Some(Self { model, options, redactor: settings.redactor.clone() }))
    }

    /// The name of the model.
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// Asks until the flow is valid, or often enough. `say` gets a line before each further try.
    ///
    /// # Errors
    /// When the model does not answer.
    pub async fn ask(
        &self,
        mut question: CopilotQuestion,
        say: impl Fn(&str) + Send + Sync,
    ) -> Result<CopilotAnswer, TaskError> {
        question.request.options = self.options.clone();
        let mut best: Option<WrittenFlow> = None;
        let mut answer = CopilotAnswer { words: String::new(), written: None, tries: 0, usage: Usage::default() };
        while answer.tries < MAX_TRIES {
            answer.tries += 1;
            let said = self.model.chat(&question.request, &RetryPolicy::brief(), None).await?;
            answer.usage = answer.usage.plus(said.usage);
            let reply = ModelReply::parse(&said.text);
            if !reply.words.is_empty() {
                answer.words = self.redactor.clean(&reply.words);
            }
            let Some(yaml) = reply.yaml else {
                if !question.needs_flow {
                    break;
                }
                question.follow(
                    said.to_message(),
                    "There is no flow in your answer. Answer with the whole flow in one ```yaml block.",
                );
                say(&format!("there is no flow in the answer; asking again, {} of {MAX_TRIES}", answer.tries + 1));
                continue;
            };
            let (written, visible) = question.checked(&yaml);
            let (errors, is_valid) = (written.errors(), written.is_valid());
            if best.as_ref().is_none_or(|best| errors < best.errors()) {
                best = Some(written);
            }
            if is_valid {
                break;
            }
            if answer.tries < MAX_TRIES {
                say(&format!(
                    "the flow has {}; asking again, {} of {MAX_TRIES}",
                    crate::text::count(errors as u64, "error"),
                    answer.tries + 1
                ));
            }
            let correction = self.redactor.clean(&question.correction(&yaml, &visible));
            question.follow(said.to_message(), &correction);
        }
        answer.written = best;
        Ok(answer)
    }
}

impl CopilotQuestion {
    /// The flow of an answer, with what it need not have touched put back, and what the validator says about it: of the whole
    /// flow, and of the flow as the model may see it.
    fn checked(&self, yaml: &str) -> (WrittenFlow, Vec<Diagnostic>) {
        let Some(original) = &self.original else {
            let written = self.validated(yaml.to_owned(), 0);
            return (written.clone(), written.findings);
        };
        let known = |text: &str| text.matches(MASK).count();
        let shown = ShownText { original: original.shown.clone(), shown: original.shown.clone() };
        let visible = self.validated(shown.preserved_in(yaml), known(&original.shown));
        (self.validated(original.preserved_in(yaml), known(&original.original)), visible.findings)
    }

    /// A text that has so many masks already with what the validator says about it.
    fn validated(&self, text: String, known: usize) -> WrittenFlow {
        // A mask is no valid YAML in every place.
        let mut findings = parse("flow.yaml", &text.replace(MASK, "hidden"), self.tasks).findings;
        if text.matches(MASK).count() > known {
            let line = text.lines().position(|line| line.contains(MASK)).unwrap_or_default() + 1;
            let finding = Diagnostic::error("`***` stands for a password that is not shown, and cannot be used");
            let help = "keep the line as it was, or write \"{{ secret('NAME') }}\"";
            findings.push(finding.at("flow.yaml", &text, line, 1).help(help));
        }
        WrittenFlow { text, findings }
    }

    /// What the model is told about its flow, with the documentation of types that it has not been told yet.
    fn correction(&mut self, yaml: &str, findings: &[Diagnostic]) -> String {
        let errors: Vec<String> = findings
            .iter()
            .filter(|finding| finding.is_error())
            .take(MAX_FINDINGS)
            .map(Diagnostic::to_string)
            .collect();
        let mut text = format!(
            "The validator found errors. Correct them and answer again with the whole flow.\n\n{}\n",
            errors.join("\n\n")
        );
        let named = types_in(yaml, self.tasks);
        let new = self.tasks.iter().map(|task| task.name).filter(|name| named.contains(*name));
        text += &context::pages(self.tasks, new, &mut self.described);
        text
    }

    fn follow(&mut self, said: ChatMessage, text: &str) {
        // Only the latest try is repeated: the earlier ones would fill the model's window.
        self.request.messages.truncate(1);
        self.request.messages.extend([said, ChatMessage::user(text)]);
    }
}
