//! Google's Gemini API.

use serde_json::{Map, Value, json};

use super::answer::{ChatAnswer, FinishReason, Usage};
use super::embed::{EmbedPurpose, EmbedRequest};
use super::message::{AnswerFormat, ChatMessage, ChatRequest, MessagePart, ToolCall};
use super::provider::{PartialAnswer, Provider, vector};

/// Google's Gemini API.
pub(super) struct Gemini;

impl Provider for Gemini {
    fn login(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("x-goog-api-key", key.to_owned())]
    }

    fn chat_path(&self, model: &str) -> String {
        format!("models/{}:streamGenerateContent?alt=sse", name(model))
    }

    fn chat_body(&self, _: &str, request: &ChatRequest) -> Value {
        let contents: Vec<Value> = request.messages.iter().map(content).collect();
        let mut body = json!({"contents": contents});
        if let Some(system) = &request.system {
            body["systemInstruction"] = json!({"parts": [{"text": system}]});
        }
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(
                |tool| json!({"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.schema}),
            );
            body["tools"] = json!([{"functionDeclarations": tools.collect::<Vec<_>>()}]);
        }
        let configuration = configuration(request);
        if !configuration.is_empty() {
            body["generationConfig"] = configuration.into();
        }
        body
    }

    fn add_event(&self, answer: &mut PartialAnswer, event: Value) -> Result<Option<String>, String> {
        if !answer.whole.is_object() {
            answer.whole = json!({"candidates": [{"content": {"role": "model", "parts": []}}]});
        }
        for name in ["modelVersion", "usageMetadata", "promptFeedback"] {
            if let Some(value) = event.get(name) {
                answer.whole[name] = value.clone();
            }
        }
        answer.is_complete |= event.pointer("/promptFeedback/blockReason").is_some();
        let Some(candidate) = event.pointer("/candidates/0") else { return Ok(None) };
        let mut new_text = String::new();
        if let Some(parts) = candidate.pointer("/content/parts").and_then(Value::as_array) {
            let is_text = |part: &&Value| part["thought"] != true;
            new_text.extend(parts.iter().filter(is_text).filter_map(|part| part["text"].as_str()));
            if let Some(Value::Array(all)) = answer.whole.pointer_mut("/candidates/0/content/parts") {
                all.extend(parts.iter().cloned());
            }
        }
        if let Some(reason) = candidate["finishReason"].as_str() {
            answer.whole["candidates"][0]["finishReason"] = reason.into();
            answer.is_complete = true;
        }
        Ok((!new_text.is_empty()).then_some(new_text))
    }

    fn answer(&self, whole: Value) -> Result<ChatAnswer, String> {
        let blocked = whole.pointer("/promptFeedback/blockReason").and_then(Value::as_str);
        let candidate = whole.pointer("/candidates/0");
        let reason = candidate.and_then(|candidate| candidate["finishReason"].as_str());
        if candidate.is_none() && blocked.is_none() {
            return Err("it has no `candidates`".to_owned());
        }
        let parts = candidate.and_then(|candidate| candidate.pointer("/content/parts")).and_then(Value::as_array);
        let parts = parts.cloned().unwrap_or_default();
        let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
        for part in &parts {
            let piece = part["text"].as_str().unwrap_or_default();
            if part["thought"] == true {
                thinking.push_str(piece)
            } else {
                text.push_str(piece)
            }
            if let Some(call) = part.get("functionCall") {
                let name = call["name"].as_str().ok_or("a tool that it asks for has no name")?;
                let id = call["id"].as_str().map_or_else(|| format!("call_{}", calls.len()), str::to_owned);
                let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
                calls.push(ToolCall { id, name: name.to_owned(), arguments });
            }
        }
        let finish = match (blocked, calls.is_empty()) {
            (Some(_), _) => FinishReason::ContentFilter,
            (None, false) => FinishReason::ToolExecution,
            (None, true) => FinishReason::parse(reason.unwrap_or("stop")),
        };
        let usage = &whole["usageMetadata"];
        let output = [&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]];
        let output = output.into_iter().filter_map(Value::as_u64).reduce(u64::saturating_add);
        Ok(ChatAnswer {
            text,
            thinking: (!thinking.is_empty()).then_some(thinking),
            calls,
            original: json!({"role": "model", "parts": parts}),
            usage: Usage::of(usage["promptTokenCount"].as_u64(), output),
            finish,
            model: whole["modelVersion"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn embed_path(&self, model: &str, texts: usize) -> Option<String> {
        let method = if texts == 1 { "embedContent" } else { "batchEmbedContents" };
        Some(format!("models/{}:{method}", name(model)))
    }

    fn embed_body(&self, model: &str, request: &EmbedRequest) -> Value {
        let usual = match request.purpose {
            EmbedPurpose::Document => "RETRIEVAL_DOCUMENT",
            EmbedPurpose::Query => "RETRIEVAL_QUERY",
        };
        let one = |text: &String| {
            let mut one = json!({
                "model": format!("models/{}", name(model)), "content": {"parts": [{"text": text}]},
                "taskType": request.task_type.as_deref().unwrap_or(usual),
            });
            if let Some(dimensions) = request.dimensions {
                one["outputDimensionality"] = dimensions.into();
            }
            one
        };
        match &request.texts[..] {
            [text] => one(text),
            texts => json!({"requests": texts.iter().map(one).collect::<Vec<_>>()}),
        }
    }

    fn vectors(&self, whole: Value) -> Result<(Vec<Vec<f32>>, Option<u64>), String> {
        let single = whole.get("embedding").map(std::slice::from_ref);
        let items = whole["embeddings"].as_array().map(Vec::as_slice).or(single).ok_or("it has no `embeddings`")?;
        let vectors = items.iter().map(|item| vector(&item["values"]));
        let vectors = vectors.collect::<Option<_>>().ok_or("the `values` of an embedding are not a list of numbers")?;
        Ok((vectors, whole["usageMetadata"]["promptTokenCount"].as_u64()))
    }

    fn models_path(&self) -> &'static str {
        "models?pageSize=1000"
    }

    fn model_names(&self, whole: &Value) -> Vec<String> {
        let names = whole["models"].as_array().into_iter().flatten().filter_map(|model| model["name"].as_str());
        names.map(|model| name(model).to_owned()).collect()
    }
}

/// A model's name without what the API's lists put before it.
fn name(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

fn configuration(request: &ChatRequest) -> Map<String, Value> {
    let options = &request.options;
    let (mime, schema) = match &request.format {
        AnswerFormat::Text => (None, None),
        AnswerFormat::Json => (Some("application/json"), None),
        AnswerFormat::Schema { schema, .. } => (Some("application/json"), Some(schema.clone())),
    };
    let mut thinking = Map::new();
    // A budget of 0 is how the API says that there is no thinking.
    let budget = if options.thinking.enabled == Some(false) { Some(0) } else { options.thinking.budget };
    thinking.extend(budget.map(|budget| ("thinkingBudget".to_owned(), budget.into())));
    thinking.extend(options.thinking.is_returned.then(|| ("includeThoughts".to_owned(), true.into())));
    let fields = [
        ("temperature", options.temperature.map(Value::from)),
        ("topP", options.top_p.map(Value::from)),
        ("topK", options.top_k.map(Value::from)),
        ("seed", options.seed.map(Value::from)),
        ("maxOutputTokens", options.max_tokens.map(Value::from)),
        ("responseMimeType", mime.map(Value::from)),
        ("responseJsonSchema", schema),
        ("thinkingConfig", (!thinking.is_empty()).then(|| thinking.into())),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn content(message: &ChatMessage) -> Value {
    match message {
        ChatMessage::User(parts) => {
            let parts: Vec<Value> = parts.iter().map(part).collect();
            json!({"role": "user", "parts": parts})
        }
        ChatMessage::Assistant { original: Some(original), .. } => original.clone(),
        ChatMessage::Assistant { text, calls, original: None } => {
            let text = (!text.is_empty()).then(|| json!({"text": text}));
            let calls = calls.iter().map(|call| json!({"functionCall": {"name": call.name, "args": call.arguments}}));
            json!({"role": "model", "parts": text.into_iter().chain(calls).collect::<Vec<_>>()})
        }
        ChatMessage::Tools(results) => {
            let parts = results.iter().map(|result| {
                let key = if result.is_error { "error" } else { "result" };
                json!({"functionResponse": {"name": result.name, "response": {key: result.content}}})
            });
            json!({"role": "user", "parts": parts.collect::<Vec<_>>()})
        }
    }
}

fn part(part: &MessagePart) -> Value {
    match part {
        MessagePart::Text(text) => json!({"text": text}),
        MessagePart::File { media_type, base64 } => json!({"inlineData": {"mimeType": media_type, "data": base64}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_text_and_calls_are_told_apart_and_sent_back_as_they_came() {
        let mut partial = PartialAnswer::default();
        let signed = json!({"functionCall": {"name": "load", "args": {"month": 4}}, "thoughtSignature": "c2ln"});
        let events = [
            json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}, {"text": "Load"}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": "ing"}, signed]}, "finishReason": "STOP"}],
                   "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}}),
        ];
        let texts: Vec<_> = events.map(|event| Gemini.add_event(&mut partial, event).unwrap()).into();
        assert_eq!(texts, [Some("Load".to_owned()), Some("ing".to_owned())]);
        assert!(partial.is_complete);
        let answer = Gemini.answer(partial.whole).unwrap();
        assert_eq!((answer.text.as_str(), answer.thinking.as_deref()), ("Loading", Some("hm")));
        assert_eq!((answer.finish, answer.usage.output_token_count), (FinishReason::ToolExecution, Some(9)));
        let sent = content(&answer.to_message());
        assert_eq!(sent["parts"][3]["thoughtSignature"], "c2ln");
    }

    #[test]
    fn one_text_is_asked_for_alone_and_several_together() {
        let request = |texts: &[&str]| EmbedRequest {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..EmbedRequest::default()
        };
        assert_eq!(Gemini.embed_path("m", 1).unwrap(), "models/m:embedContent");
        assert_eq!(Gemini.embed_body("m", &request(&["a"]))["content"]["parts"][0]["text"], "a");
        assert_eq!(Gemini.embed_path("m", 2).unwrap(), "models/m:batchEmbedContents");
        let body = Gemini.embed_body("m", &request(&["a", "b"]));
        assert_eq!(body["requests"][1]["taskType"], "RETRIEVAL_DOCUMENT");
        let several = json!({"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}]});
        assert_eq!(Gemini.vectors(several).unwrap().0, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(Gemini.vectors(json!({"embedding": {"values": [1, 2]}})).unwrap().0, [[1.0, 2.0]]);
    }

    #[test]
    fn a_prompt_that_is_blocked_is_an_answer() {
        let answer = Gemini.answer(json!({"promptFeedback": {"blockReason": "SAFETY"}})).unwrap();
        assert_eq!((answer.finish, answer.text.as_str()), (FinishReason::ContentFilter, ""));
    }
}
