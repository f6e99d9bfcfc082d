//! Answers of a shape that a task wants, from models that do not always give it.

use serde_json::json;

use super::{chat, run};
use crate::common::models::ModelServer;

#[tokio::test(flavor = "multi_thread")]
async fn fields_and_classes_are_what_the_task_asked_for() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let provider = json!({"type": "openai", "modelName": "m", "baseUrl": server.url("/v1")});
    // The first answer lacks the date, the second has it.
    let fields = json!({
        "provider": provider, "prompt": "Ada wrote to Charles in 1843.", "schemaName": "Letter",
        "jsonFields": ["sender", "date"],
    });
    let outputs = run("io.kestra.plugin.ai.completion.JSONStructuredExtraction", fields).await.unwrap();
    assert_eq!(outputs["jsonOutput"], json!({"sender": "Ada", "date": "1843"}));
    assert_eq!(outputs["extractedJson"], r#"{"sender":"Ada","date":"1843"}"#);

    let classes = |classes: [&str; 2]| json!({"provider": provider, "prompt": "Great taxi.", "classes": classes});
    let outputs =
        run("io.kestra.plugin.ai.completion.Classification", classes(["positive", "negative"])).await.unwrap();
    assert_eq!(outputs["classification"], "positive");
    let error = run("ai.classify", classes(["good", "bad"])).await.unwrap_err();
    assert!(error.message.contains("JSON that is wanted"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_checked_whatever_the_server_makes_of_it() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let provider = json!({"type": "gemini", "modelName": "m", "baseUrl": server.url("/v1beta")});
    let mut fields = chat(&provider, "Say it wrongly");
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    fields["configuration"] = json!({"responseFormat": {"type": "JSON", "jsonSchema": schema}});
    let error = run("ai.chat", fields.clone()).await.unwrap_err();
    assert!(error.message.contains("the JSON that is wanted"), "{error}");
    fields["configuration"] = json!({"responseFormat": {"type": "JSON"}});
    let outputs = run("ai.chat", fields).await.unwrap();
    assert_eq!(outputs["jsonOutput"], json!({"name": 1}));
}
