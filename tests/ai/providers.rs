//! Each provider's API, its faults, and what becomes of keys.

use serde_json::{Value, json};

use super::{chat, context, run};
use crate::common::attempt;
use crate::common::models::ModelServer;

const KEY: &str = "key-of-the-provider-0123456789";

/// Each provider as aimock has it.
fn providers(server: &ModelServer) -> [Value; 4] {
    let provider = |kind: &str, path: &str| json!({"type": kind, "modelName": "some-model", "apiKey": KEY, "baseUrl": server.url(path)});
    [
        provider("io.kestra.plugin.ai.provider.GoogleGemini", "/v1beta"),
        provider("io.kestra.plugin.ai.provider.OpenAI", "/v1"),
        provider("io.kestra.plugin.ai.provider.Anthropic", ""),
        json!({"type": "io.kestra.plugin.ai.provider.Ollama", "modelName": "m", "endpoint": server.url("")}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_answers_and_gets_the_key_in_its_own_way() {
    let Some(server) = ModelServer::start("imitate") else { return };
    for provider in providers(&server) {
        let outputs = run("ai.chat", chat(&provider, "What is a data pipeline?")).await.unwrap();
        assert_eq!(outputs["textOutput"], "A pipeline moves data.", "{provider}");
        assert_eq!(outputs["finishReason"], "STOP", "{provider}");
        let usage = &outputs["tokenUsage"];
        assert_eq!((&usage["inputTokenCount"], &usage["outputTokenCount"]), (&json!(11), &json!(7)), "{provider}");
        assert!(outputs["metrics"].to_string().contains("input.token.count"), "{outputs:?}");
    }
    let journal = server.get("/__aimock/journal").await;
    let sent = journal.to_string();
    assert!(sent.contains("/v1beta/models/some-model:streamGenerateContent"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_after_the_pause_that_it_wants() {
    let Some(server) = ModelServer::start("break") else { return };
    let providers = [("gemini", "/gemini/v1beta"), ("openai", "/v1"), ("anthropic", "/anthropic/v1")];
    for (kind, path) in providers {
        let provider = json!({"type": kind, "modelName": "m", "apiKey": KEY, "baseUrl": server.url(path)});
        server.post("/_llmock/reset", json!({})).await;
        server
            .will(json!([
                {"type": "fail", "status": 429, "retry_after": 1, "times": 1},
                {"type": "fail", "status": 500, "times": 1},
                {"type": "reply", "text": "At last."},
            ]))
            .await;
        let outputs = run("ai.chat", chat(&provider, "Hello?")).await.unwrap();
        assert_eq!(outputs["textOutput"], "At last.", "{kind}");
        let verdict = server.verdict().await;
        assert!(!verdict.to_string().contains("retry_after_ignored"), "{kind}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_no_answer_and_is_asked_for_again() {
    let Some(server) = ModelServer::start("break") else { return };
    let providers = [("gemini", "/gemini/v1beta"), ("openai", "/v1"), ("anthropic", "/anthropic/v1")];
    for (kind, path) in providers {
        for fault in ["disconnect", "truncate", "malformed"] {
            let provider = json!({"type": kind, "modelName": "m", "apiKey": KEY, "baseUrl": server.url(path)});
            server.post("/_llmock/reset", json!({})).await;
            let text = "The whole answer, of more than a few words.";
            let broken = json!({"type": "stream_fault", "kind": fault, "after_chunks": 2, "times": 1});
            server.will(json!([broken, {"type": "reply", "text": text, "times": null}])).await;
            let outputs = run("ai.chat", chat(&provider, "Tell me something long.")).await.unwrap();
            assert_eq!(outputs["textOutput"], text, "{kind} {fault}");
            let verdict = server.verdict().await;
            assert_eq!(verdict["attempts"], 2, "{kind} {fault}: {verdict}");
            let bad = ["truncated_stream_accepted", "gave_up", "no_backoff"];
            assert!(!bad.iter().any(|finding| verdict.to_string().contains(finding)), "{kind} {fault}: {verdict}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_will_not_pass_is_not_repeated_and_shows_no_key() {
    let Some(server) = ModelServer::start("break") else { return };
    let provider = json!({"type": "openai", "modelName": "m", "apiKey": KEY, "baseUrl": server.url("/v1")});
    server.will(json!([{"type": "fail", "status": 401, "times": null}])).await;
    let error = run("ai.chat", chat(&provider, "Hello?")).await.unwrap_err();
    assert!(error.message.contains("401 Unauthorized"), "{error}");
    assert!(error.help.as_deref().unwrap_or_default().contains("apiKey"), "{error}");
    assert!(!error.to_string().contains(KEY), "{error}");
    let verdict = server.verdict().await.to_string();
    assert!(!verdict.contains("retried_non_retryable"), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_gone_names_those_that_are_there_and_the_settings_can_replace_it() {
    let Some(server) = ModelServer::start("break") else { return };
    let provider = json!({"type": "openai", "modelName": "gpt-old", "apiKey": KEY, "baseUrl": server.url("/v1")});
    server.will(json!([{"type": "fail", "status": 404, "match": {"path": "/v1/chat/completions"}, "times": 1}])).await;
    let error = run("ai.chat", chat(&provider, "Hello?")).await.unwrap_err();
    let help = error.help.clone().unwrap_or_default();
    assert!(help.contains("the provider has these models") && help.contains("{models: {gpt-old: NEW}}"), "{error}");

    let home = tempfile::tempdir().unwrap();
    let (context, lines) = context(
        home.path(),
        json!({"models": {"gpt-old": "gpt-new"}, "prices": {"gpt-new": {"input": 1.0, "output": 2.0}}}),
    );
    let outputs = attempt::run(context, "ai.chat", chat(&provider, "Hello?")).await.unwrap();
    let said = lines.lock().unwrap().iter().any(|(_, line)| line.contains("`gpt-new` in place of `gpt-old`"));
    assert!(said && outputs["cost"].as_f64().unwrap() > 0.0, "{outputs:?}");
    let requests = server.get("/_llmock/requests").await.to_string();
    assert!(requests.contains("gpt-new"), "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_answers_and_an_answer_that_is_cut_off_says_so() {
    let Some(server) = ModelServer::start("chat") else { return };
    let provider = json!({"type": "openai", "modelName": "smollm2", "baseUrl": server.url("")});
    let mut fields = chat(&provider, "Say hello.");
    fields["configuration"] = json!({"maxToken": 8, "temperature": 0.1, "seed": 1, "topK": 20});
    let home = tempfile::tempdir().unwrap();
    let (context, lines) = context(home.path(), json!({}));
    let outputs = attempt::run(context, "ai.chat", fields).await.unwrap();
    assert!(!outputs["textOutput"].as_str().unwrap().is_empty(), "{outputs:?}");
    assert_eq!(outputs["finishReason"], "LENGTH");
    assert_eq!(outputs["tokenUsage"]["outputTokenCount"], 8);
    assert!(lines.lock().unwrap().iter().any(|(_, line)| line.contains("cut off at the limit of tokens")));
}

#[tokio::test]
async fn a_missing_key_or_server_is_said_before_or_at_once() {
    let error = run("ai.chat", chat(&json!({"type": "gemini", "modelName": "m"}), "Hello?")).await.unwrap_err();
    assert!(error.message.contains("gemini needs an `apiKey`"), "{error}");
    let fields = json!({"messages": [{"type": "USER", "content": "Hello?"}]});
    let error = run("ai.chat", fields).await.unwrap_err();
    assert!(error.message.contains("no `provider`"), "{error}");
}
