//! Anthropic's API of messages.

use serde_json::{Map, Value, json};

use super::answer::{ChatAnswer, FinishReason, Usage};
use super::embed::EmbedRequest;
use super::message::{AnswerFormat, ChatMessage, ChatRequest, MessagePart, ToolCall};
use super::provider::{PartialAnswer, Provider};

/// How many tokens an answer may have where nobody says it; the API wants a number.
const MAX_TOKENS: u32 = 8192;
/// Blocks that one answer may have.
const MAX_BLOCKS: usize = 1000;
/// Where the pieces of a call's arguments are collected.
const PIECES: &str = "_arguments";

/// Anthropic's API of messages.
pub(super) struct Anthropic;

impl Provider for Anthropic {
    fn login(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("x-api-key", key.to_owned())]
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn chat_path(&self, _: &str) -> String {
        "messages".to_owned()
    }

    fn chat_body(&self, model: &str, request: &ChatRequest) -> Value {
        let options = &request.options;
        let messages: Vec<Value> = request.messages.iter().map(message).collect();
        let budget = options.thinking.budget;
        // The budget of thoughts is part of all tokens.
        let usual = MAX_TOKENS.saturating_add(budget.unwrap_or_default());
        let mut body = json!({
            "model": model, "stream": true, "messages": messages, "max_tokens": options.max_tokens.unwrap_or(usual),
        });
        let Value::Object(fields) = &mut body else { return body };
        let system = request.system.as_ref().or(instruction(&request.format).as_ref()).map(|text| {
            let mut block = json!({"type": "text", "text": text});
            if options.caches_prompt {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            json!([block])
        });
        let format = match &request.format {
            AnswerFormat::Schema { schema, .. } => Some(json!({"format": {"type": "json_schema", "schema": schema}})),
            AnswerFormat::Text | AnswerFormat::Json => None,
        };
        let thinking = match (options.thinking.enabled, budget) {
            (Some(false), _) => Some(json!({"type": "disabled"})),
            (_, Some(budget)) => Some(json!({"type": "enabled", "budget_tokens": budget})),
            (Some(true), None) => Some(json!({"type": "adaptive"})),
            (None, None) => None,
        };
        let tools = (!request.tools.is_empty()).then(|| {
            let tools = request.tools.iter();
            tools
                .map(|tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.schema}))
                .collect()
        });
        let optional = [
            ("system", system),
            ("output_config", format),
            ("thinking", thinking),
            ("tools", tools),
            ("temperature", options.temperature.map(Value::from)),
            ("top_p", options.top_p.map(Value::from)),
            ("top_k", options.top_k.map(Value::from)),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        body
    }

    fn add_event(&self, answer: &mut PartialAnswer, event: Value) -> Result<Option<String>, String> {
        if !answer.whole.is_object() {
            answer.whole = json!({"role": "assistant", "content": [], "usage": {}});
        }
        let index = usize::try_from(event["index"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                answer.whole["model"] = event["message"]["model"].clone();
                add_usage(&mut answer.whole["usage"], &event["message"]["usage"]);
            }
            "content_block_start" => {
                let Value::Array(blocks) = &mut answer.whole["content"] else { return Ok(None) };
                if index != blocks.len() || index >= MAX_BLOCKS {
                    return Err("its blocks are not in order".to_owned());
                }
                let mut block = event["content_block"].clone();
                if block["type"] == "tool_use" {
                    block[PIECES] = "".into();
                }
                blocks.push(block);
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = answer.whole["content"].get_mut(index).ok_or("a part of a block that did not begin")?;
                let places =
                    [("text", "text"), ("thinking", "thinking"), ("signature", "signature"), ("partial_json", PIECES)];
                for (from, to) in places {
                    if let Some(more) = delta[from].as_str() {
                        let so_far = block[to].as_str().unwrap_or_default();
                        block[to] = format!("{so_far}{more}").into();
                    }
                }
                return Ok(delta["text"].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
            }
            "message_delta" => {
                add_usage(&mut answer.whole["usage"], &event["usage"]);
                if let Some(reason) = event["delta"]["stop_reason"].as_str() {
                    answer.whole["stop_reason"] = reason.into();
                }
            }
            "message_stop" => answer.is_complete = answer.whole["stop_reason"].is_string(),
            _ => {}
        }
        Ok(None)
    }

    fn answer(&self, mut whole: Value) -> Result<ChatAnswer, String> {
        let Value::Array(mut blocks) = whole["content"].take() else { return Err("it has no `content`".to_owned()) };
        let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
        for block in &mut blocks {
            match block["type"].as_str().unwrap_or_default() {
                "text" => text.push_str(block["text"].as_str().unwrap_or_default()),
                "thinking" => thinking.push_str(block["thinking"].as_str().unwrap_or_default()),
                "tool_use" => calls.push(call(block)?),
                _ => {}
            }
        }
        let usage = &whole["usage"];
        let input = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
        let input = input.iter().filter_map(|name| usage[*name].as_u64()).reduce(u64::saturating_add);
        Ok(ChatAnswer {
            text,
            thinking: (!thinking.is_empty()).then_some(thinking),
            calls,
            original: json!({"role": "assistant", "content": blocks}),
            usage: Usage::of(input, usage["output_tokens"].as_u64()),
            finish: FinishReason::parse(whole["stop_reason"].as_str().unwrap_or("end_turn")),
            model: whole["model"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn embed_path(&self, _: &str, _: usize) -> Option<String> {
        None
    }

    fn embed_body(&self, _: &str, _: &EmbedRequest) -> Value {
        Value::Null
    }

    fn vectors(&self, _: Value) -> Result<(Vec<Vec<f32>>, Option<u64>), String> {
        Err("Anthropic has no model of embeddings".to_owned())
    }

    fn models_path(&self) -> &'static str {
        "models?limit=1000"
    }

    fn model_names(&self, whole: &Value) -> Vec<String> {
        let names = whole["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
        names.map(str::to_owned).collect()
    }
}

/// JSON without a shape is only asked for in words.
fn instruction(format: &AnswerFormat) -> Option<String> {
    matches!(format, AnswerFormat::Json).then(|| "Answer with JSON only, without any text around it.".to_owned())
}

/// A call, whose arguments may have come in pieces.
fn call(block: &mut Value) -> Result<ToolCall, String> {
    if let Some(Value::String(pieces)) = block.as_object_mut().and_then(|block| block.shift_remove(PIECES))
        && !pieces.trim().is_empty()
    {
        block["input"] = serde_json::from_str(&pieces).unwrap_or_else(|_| pieces.into());
    }
    let name = block["name"].as_str().filter(|name| !name.is_empty()).ok_or("a tool that it asks for has no name")?;
    let id = block["id"].as_str().unwrap_or_default();
    let arguments = block.get("input").filter(|input| !input.is_null()).cloned();
    Ok(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.unwrap_or_else(|| Map::new().into()) })
}

/// Counts are sums so far: later ones replace earlier ones.
fn add_usage(all: &mut Value, more: &Value) {
    for (name, count) in more.as_object().into_iter().flatten().filter(|(_, count)| count.is_u64()) {
        all[name.as_str()] = count.clone();
    }
}

fn message(message: &ChatMessage) -> Value {
    match message {
        ChatMessage::User(parts) => json!({"role": "user", "content": parts.iter().map(part).collect::<Vec<_>>()}),
        ChatMessage::Assistant { original: Some(original), .. } => original.clone(),
        ChatMessage::Assistant { text, calls, original: None } => {
            let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
            let calls = calls
                .iter()
                .map(|call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}));
            json!({"role": "assistant", "content": text.into_iter().chain(calls).collect::<Vec<_>>()})
        }
        ChatMessage::Tools(results) => {
            let blocks = results.iter().map(|result| {
                let (id, content) = (&result.id, &result.content);
                json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": result.is_error})
            });
            json!({"role": "user", "content": blocks.collect::<Vec<_>>()})
        }
    }
}

fn part(part: &MessagePart) -> Value {
    match part {
        MessagePart::Text(text) => json!({"type": "text", "text": text}),
        MessagePart::File { media_type, base64 } => {
            let kind = if media_type.starts_with("image/") { "image" } else { "document" };
            json!({"type": kind, "source": {"type": "base64", "media_type": media_type, "data": base64}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_pieces_and_go_back_whole() {
        let mut partial = PartialAnswer::default();
        let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let start =
            |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let events = [
            json!({"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 9}}}),
            start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
            delta(0, json!({"type": "signature_delta", "signature": "s"})),
            start(1, json!({"type": "text", "text": ""})),
            delta(1, json!({"type": "text_delta", "text": "Yes"})),
            start(2, json!({"type": "tool_use", "id": "t", "name": "load", "input": {}})),
            delta(2, json!({"type": "input_json_delta", "partial_json": "{\"month\":"})),
            delta(2, json!({"type": "input_json_delta", "partial_json": "4}"})),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}}),
        ];
        for event in events {
            Anthropic.add_event(&mut partial, event).unwrap();
        }
        assert!(!partial.is_complete);
        Anthropic.add_event(&mut partial, json!({"type": "message_stop"})).unwrap();
        assert!(partial.is_complete);
        let answer = Anthropic.answer(partial.whole).unwrap();
        assert_eq!((answer.text.as_str(), answer.calls[0].arguments.clone()), ("Yes", json!({"month": 4})));
        assert_eq!(answer.usage, Usage::of(Some(9), Some(3)));
        let sent = message(&answer.to_message());
        assert_eq!(sent["content"][0]["signature"], "s");
        assert_eq!(sent["content"][2], json!({"type": "tool_use", "id": "t", "name": "load", "input": {"month": 4}}));
    }
}
