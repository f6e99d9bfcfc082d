//! One question to a model, and an answer of the form that is wanted.

use serde_json::Value;

use super::configuration::ChatConfiguration;
use super::json::{fits, parse};
use super::outputs::TokenTally;
use super::provider::retries;
use crate::ai::{AnswerFormat, ChatAnswer, ChatMessage, ChatRequest, FinishReason, Model};
use crate::task::{Level, TaskContext, TaskError};

/// How much of a question or an answer the log has.
const MAX_LOGGED: usize = 4000;

/// Asks a model once.
///
/// # Errors
/// When it does not answer.
pub(super) async fn ask(
    model: &Model,
    request: &ChatRequest,
    configuration: &ChatConfiguration,
    tally: &mut TokenTally<'_>,
    context: &TaskContext,
) -> Result<ChatAnswer, TaskError> {
    let redactor = &context.settings.redactor;
    if configuration.log_requests {
        let asked = format!("{:?}", (&request.system, request.messages.last()));
        context.log_line(Level::Debug, &format!("asking `{}`: {}", model.name(), redactor.excerpt(&asked, MAX_LOGGED)));
    }
    let answer = model.chat(request, &retries(context), None).await?;
    if configuration.log_responses {
        context.log_line(
            Level::Debug,
            &format!("`{}` answers: {}", model.name(), redactor.excerpt(&answer.text, MAX_LOGGED)),
        );
    }
    tally.add(model.name(), answer.usage);
    match answer.finish {
        FinishReason::Length => {
            context.warn("the answer was cut off at the limit of tokens; `configuration.maxToken` sets another one");
        }
        FinishReason::ContentFilter => context.warn("the provider held the answer back: its filter objects to it"),
        FinishReason::Other => {
            context.warn("the answer may not be complete: the provider ended it for a reason of its own")
        }
        FinishReason::Stop | FinishReason::ToolExecution => {}
    }
    Ok(answer)
}

/// Asks for an answer of the form that the request has; its value comes with it if that is JSON.
///
/// # Errors
/// As [`ask`] and [`ask_json`].
pub(super) async fn ask_in_form(
    model: &Model,
    request: ChatRequest,
    configuration: &ChatConfiguration,
    tally: &mut TokenTally<'_>,
    context: &TaskContext,
) -> Result<(ChatAnswer, Option<Value>), TaskError> {
    match request.format {
        AnswerFormat::Text => Ok((ask(model, &request, configuration, tally, context).await?, None)),
        AnswerFormat::Json | AnswerFormat::Schema { .. } => {
            let (answer, value) = ask_json(model, request, configuration, tally, context).await?;
            Ok((answer, Some(value)))
        }
    }
}

/// Asks for JSON, and once more where the answer is not of the shape that the request has.
///
/// # Errors
/// When the second answer is no better.
pub(super) async fn ask_json(
    model: &Model,
    mut request: ChatRequest,
    configuration: &ChatConfiguration,
    tally: &mut TokenTally<'_>,
    context: &TaskContext,
) -> Result<(ChatAnswer, Value), TaskError> {
    let mut is_second = false;
    loop {
        let answer = ask(model, &request, configuration, tally, context).await?;
        let why = match (parse(&answer.text), &request.format) {
            (Ok(value), AnswerFormat::Schema { schema, .. }) => match fits(schema, &value) {
                Ok(()) => return Ok((answer, value)),
                Err(why) => why,
            },
            (Ok(value), _) => return Ok((answer, value)),
            (Err(why), _) => why,
        };
        if is_second || answer.finish == FinishReason::ContentFilter {
            let quoted = context.settings.redactor.excerpt(&answer.text, 200);
            return Err(TaskError::permanent(format!(
                "the model does not answer with the JSON that is wanted: {why}: `{quoted}`"
            ))
            .code("bad answer")
            .help("try a larger model, or describe the answer in the prompt"));
        }
        context.warn(format!("the answer is not the JSON that is wanted: {why}; asking again"));
        request.messages.push(answer.to_message());
        let again = format!("This is not the JSON that is wanted: {why}. Answer again, with the corrected JSON only.");
        request.messages.push(ChatMessage::user(again));
        is_second = true;
    }
}
