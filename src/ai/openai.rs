//! OpenAI's API, and that of all the servers that imitate it.

use serde_json::{Map, Value, json};

use super::answer::{ChatAnswer, FinishReason, Usage};
use super::embed::EmbedRequest;
use super::message::{AnswerFormat, ChatMessage, ChatRequest, MessagePart, ToolCall};
use super::provider::{PartialAnswer, Provider, vector};
use crate::ai_settings::ProviderKind;

/// Tools that one message may ask for.
const MAX_CALLS: usize = 128;

/// OpenAI, or a server with its API.
pub(super) struct OpenAi {
    pub(super) kind: ProviderKind,
}

impl Provider for OpenAi {
    fn login(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {key}"))]
    }

    fn chat_path(&self, _: &str) -> String {
        "chat/completions".to_owned()
    }

    fn chat_body(&self, model: &str, request: &ChatRequest) -> Value {
        let mut body = json!({"model": model, "stream": true, "stream_options": {"include_usage": true}});
        let Value::Object(fields) = &mut body else { return body };
        let options = &request.options;
        let system = request.system.iter().map(|text| json!({"role": "system", "content": text}));
        let messages: Vec<Value> = system.chain(request.messages.iter().flat_map(messages)).collect();
        fields.insert("messages".to_owned(), messages.into());
        let limit = if needs_new_limit(model) { "max_completion_tokens" } else { "max_tokens" };
        let numbers = [
            ("temperature", options.temperature.map(Value::from)),
            ("top_p", options.top_p.map(Value::from)),
            ("top_k", options.top_k.map(Value::from)),
            (if self.kind == ProviderKind::Mistral { "random_seed" } else { "seed" }, options.seed.map(Value::from)),
            (limit, options.max_tokens.map(Value::from)),
            ("response_format", format(&request.format)),
        ];
        fields.extend(numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(|tool| {
                let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.schema});
                json!({"type": "function", "function": function})
            });
            fields.insert("tools".to_owned(), tools.collect());
        }
        body
    }

    fn add_event(&self, answer: &mut PartialAnswer, event: Value) -> Result<Option<String>, String> {
        if !answer.whole.is_object() {
            let message = json!({"role": "assistant", "content": "", "reasoning_content": "", "tool_calls": []});
            answer.whole = json!({"choices": [{"message": message, "finish_reason": null}]});
        }
        for name in ["model", "usage"] {
            if let Some(value) = event.get(name).filter(|value| !value.is_null()) {
                answer.whole[name] = value.clone();
            }
        }
        let Some(choice) = event.pointer("/choices/0") else { return Ok(None) };
        let delta = &choice["delta"];
        let whole = &mut answer.whole["choices"][0];
        for name in ["reasoning_content", "reasoning"] {
            append(&mut whole["message"]["reasoning_content"], &delta[name]);
        }
        append(&mut whole["message"]["content"], &delta["content"]);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            add_call(&mut whole["message"]["tool_calls"], call)?;
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            whole["finish_reason"] = reason.into();
            answer.is_complete = true;
        }
        Ok(delta["content"].as_str().filter(|text| !text.is_empty()).map(str::to_owned))
    }

    fn answer(&self, mut whole: Value) -> Result<ChatAnswer, String> {
        let (usage, model) = (usage(&whole["usage"]), text_of(&whole["model"]));
        let choice = whole.pointer_mut("/choices/0").map(Value::take).ok_or("it has no `choices`")?;
        let finish = FinishReason::parse(choice["finish_reason"].as_str().unwrap_or("stop"));
        let message = choice.get("message").cloned().ok_or("its choice has no `message`")?;
        let calls = message["tool_calls"].as_array().into_iter().flatten().enumerate().map(|(index, call)| {
            let name = text_of(&call["function"]["name"]);
            if name.is_empty() {
                return Err("a tool that it asks for has no name".to_owned());
            }
            let id = call["id"].as_str().filter(|id| !id.is_empty());
            Ok(ToolCall {
                id: id.map_or_else(|| format!("call_{index}"), str::to_owned),
                name,
                arguments: arguments(&call["function"]["arguments"]),
            })
        });
        let calls: Vec<ToolCall> = calls.collect::<Result<_, String>>()?;
        let reasoning = message.get("reasoning_content").or_else(|| message.get("reasoning"));
        let thinking = reasoning.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let text = content(&message["content"]);
        // Some servers say `stop` although they ask for tools.
        let finish = if calls.is_empty() { finish } else { FinishReason::ToolExecution };
        let original = original(&text, &calls);
        Ok(ChatAnswer { text, thinking, calls, original, usage, finish, model })
    }

    fn embed_path(&self, _: &str, _: usize) -> Option<String> {
        Some("embeddings".to_owned())
    }

    fn embed_body(&self, model: &str, request: &EmbedRequest) -> Value {
        let mut body = json!({"model": model, "input": request.texts});
        if let Some(dimensions) = request.dimensions {
            body["dimensions"] = dimensions.into();
        }
        body
    }

    fn vectors(&self, whole: Value) -> Result<(Vec<Vec<f32>>, Option<u64>), String> {
        let items = whole["data"].as_array().ok_or("it has no `data`")?;
        let mut found: Vec<(u64, Vec<f32>)> = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let vector = vector(&item["embedding"]).ok_or("an `embedding` is not a list of numbers")?;
            found.push((item["index"].as_u64().unwrap_or(place as u64), vector));
        }
        found.sort_by_key(|(index, _)| *index);
        Ok((found.into_iter().map(|(_, vector)| vector).collect(), whole["usage"]["prompt_tokens"].as_u64()))
    }

    fn models_path(&self) -> &'static str {
        "models"
    }

    fn model_names(&self, whole: &Value) -> Vec<String> {
        let list = whole["data"].as_array().or_else(|| whole["models"].as_array());
        let names = list.into_iter().flatten().filter_map(|model| model["id"].as_str().or(model["name"].as_str()));
        names.map(str::to_owned).collect()
    }
}

/// Models that refuse `max_tokens`.
fn needs_new_limit(model: &str) -> bool {
    ["gpt-5", "gpt-6", "o1", "o3", "o4"].iter().any(|family| model.starts_with(family))
}

fn format(format: &AnswerFormat) -> Option<Value> {
    match format {
        AnswerFormat::Text => None,
        AnswerFormat::Json => Some(json!({"type": "json_object"})),
        AnswerFormat::Schema { name, schema, is_strict } => Some(json!({
            "type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": is_strict},
        })),
    }
}

/// The messages that one becomes: results of tools are one each.
fn messages(message: &ChatMessage) -> Vec<Value> {
    match message {
        ChatMessage::User(parts) => vec![json!({"role": "user", "content": user_content(parts)})],
        ChatMessage::Assistant { original: Some(original), .. } => vec![original.clone()],
        ChatMessage::Assistant { text, calls, original: None } => vec![original(text, calls)],
        ChatMessage::Tools(results) => results
            .iter()
            .map(|result| json!({"role": "tool", "tool_call_id": result.id, "content": result.content}))
            .collect(),
    }
}

/// A single text stays a text: not every server reads lists.
fn user_content(parts: &[MessagePart]) -> Value {
    if let [MessagePart::Text(text)] = parts {
        return text.as_str().into();
    }
    let part = |part: &MessagePart| match part {
        MessagePart::Text(text) => json!({"type": "text", "text": text}),
        MessagePart::File { media_type, base64 } => {
            let url = format!("data:{media_type};base64,{base64}");
            if media_type.starts_with("image/") {
                json!({"type": "image_url", "image_url": {"url": url}})
            } else {
                json!({"type": "file", "file": {"filename": "document.pdf", "file_data": url}})
            }
        }
    };
    parts.iter().map(part).collect()
}

/// A message of the model as it is sent back.
fn original(text: &str, calls: &[ToolCall]) -> Value {
    let mut message = Map::from_iter([("role".to_owned(), "assistant".into()), ("content".to_owned(), text.into())]);
    if !calls.is_empty() {
        let calls = calls.iter().map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
            json!({"id": call.id, "type": "function", "function": function})
        });
        message.insert("tool_calls".to_owned(), calls.collect());
    }
    message.into()
}

fn append(text: &mut Value, more: &Value) {
    if let (Value::String(text), Some(more)) = (text, more.as_str()) {
        text.push_str(more);
    }
}

/// Adds a piece of a call to the calls so far.
fn add_call(calls: &mut Value, piece: &Value) -> Result<(), String> {
    let Value::Array(calls) = calls else { return Ok(()) };
    let has_id = piece["id"].as_str().is_some_and(|id| !id.is_empty());
    let last = calls.len().saturating_sub(1);
    // Servers that send whole calls may leave the index out.
    let usual = if has_id { calls.len() } else { last };
    let index = piece["index"].as_u64().map_or(usual, |index| usize::try_from(index).unwrap_or(usize::MAX));
    if index >= MAX_CALLS {
        return Err(format!("it asks for more than {MAX_CALLS} tools at once"));
    }
    while calls.len() <= index {
        calls.push(json!({"id": "", "type": "function", "function": {"name": "", "arguments": ""}}));
    }
    let Some(call) = calls.get_mut(index) else { return Ok(()) };
    if has_id {
        call["id"] = piece["id"].clone();
    }
    append(&mut call["function"]["name"], &piece["function"]["name"]);
    match &piece["function"]["arguments"] {
        Value::Object(map) => call["function"]["arguments"] = Value::Object(map.clone()).to_string().into(),
        text => append(&mut call["function"]["arguments"], text),
    }
    Ok(())
}

/// The arguments of a call, which come as a text.
fn arguments(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => json!({}),
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        None if value.is_null() => json!({}),
        None => value.clone(),
    }
}

/// A message's text: one, or a list of parts.
fn content(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        other => text_of(other),
    }
}

fn usage(value: &Value) -> Usage {
    Usage::of(value["prompt_tokens"].as_u64(), value["completion_tokens"].as_u64())
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(events: &[Value]) -> Result<(PartialAnswer, ChatAnswer), String> {
        let provider = OpenAi { kind: ProviderKind::OpenAi };
        let mut partial = PartialAnswer::default();
        for event in events {
            provider.add_event(&mut partial, event.clone())?;
        }
        let answer = provider.answer(partial.whole.clone())?;
        Ok((partial, answer))
    }

    #[test]
    fn pieces_of_text_and_tools_become_one_answer() {
        let call = |index: u64, id: &str, name: &str, arguments: &str| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": id, "function": function}]}}]})
        };
        let events = [
            json!({"model": "m", "choices": [{"delta": {"role": "assistant", "content": "Let me "}}]}),
            json!({"choices": [{"delta": {"content": "see."}}]}),
            call(0, "a", "weather", "{\"city\":"),
            call(0, "", "", "\"Rome\"}"),
            call(1, "b", "time", ""),
            json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}),
        ];
        let (partial, answer) = stream(&events).unwrap();
        assert!(partial.is_complete);
        assert_eq!((answer.text.as_str(), answer.finish), ("Let me see.", FinishReason::ToolExecution));
        assert_eq!(answer.calls[0].arguments, json!({"city": "Rome"}));
        assert_eq!(answer.calls[1], ToolCall { id: "b".into(), name: "time".into(), arguments: json!({}) });
        assert_eq!(answer.usage.total_token_count, Some(12));
    }

    #[test]
    fn a_call_at_a_huge_place_is_an_error_and_takes_no_memory() {
        let piece = json!({"index": 4_000_000_000_u32, "id": "a", "function": {"name": "x"}});
        let refused = stream(&[json!({"choices": [{"delta": {"tool_calls": [piece]}}]})]).unwrap_err();
        assert!(refused.contains("more than 128 tools"), "{refused}");
    }

    #[test]
    fn an_answer_without_a_reason_to_end_is_not_complete() {
        let (partial, _) = stream(&[json!({"choices": [{"delta": {"content": "Hel"}}]})]).unwrap();
        assert!(!partial.is_complete);
    }
}
