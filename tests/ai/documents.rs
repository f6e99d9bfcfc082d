//! Documents into stores, and the right passage back, with a real model of embeddings.

use serde_json::{Value, json};

use super::{context, run};
use crate::common::attempt;
use crate::common::models::ModelServer;
use crate::common::postgres;

/// Passages of ten kinds.
const PASSAGES: [&str; 10] = [
    "The yellow taxis of New York may pick up passengers anywhere in the five boroughs.",
    "PostgreSQL stores large values out of line in a TOAST table and compresses them.",
    "Bread rises because yeast turns sugar into carbon dioxide, which the dough holds.",
    "Photosynthesis lets plants turn sunlight, water and carbon dioxide into sugar.",
    "A violin has four strings, which are tuned in perfect fifths.",
    "Mount Everest is the highest mountain above sea level, at 8,849 metres.",
    "The heart pumps blood through the body about seventy times a minute.",
    "A backfill runs a flow again for every month of a past period.",
    "The Roman Republic ended when Augustus became the first emperor.",
    "Glaciers move slowly downhill under their own weight and carve valleys.",
];

/// Questions, each with the number of the passage that answers it.
const QUESTIONS: [(&str, usize); 5] = [
    ("How do I load the data of past months?", 7),
    ("Why does dough get bigger?", 2),
    ("What is the tallest peak on Earth?", 5),
    ("Who was the first Roman emperor?", 8),
    ("Where does Postgres keep big values?", 1),
];

fn provider(server: &ModelServer) -> Value {
    json!({"type": "openai", "modelName": "multilingual-e5-small-q4", "baseUrl": server.url("/v1")})
}

fn ingest(server: &ModelServer, store: &Value, passages: &[&str]) -> Value {
    let documents: Vec<Value> = passages.iter().map(|text| json!({"content": text})).collect();
    json!({"provider": provider(server), "embeddings": store, "fromDocuments": documents, "drop": true})
}

async fn finds_the_right_passages(store: Value) {
    let Some(server) = ModelServer::start("embed") else { return };
    let home = tempfile::tempdir().unwrap();
    let task = async |kind: &str, fields: Value| attempt::run(context(home.path(), json!({})).0, kind, fields).await;
    let outputs = task("ai.ingest", ingest(&server, &store, &PASSAGES)).await.unwrap();
    assert_eq!((&outputs["ingestedDocuments"], &outputs["segments"]), (&json!(10), &json!(10)));
    let search = |query: &str, most: usize| json!({"provider": provider(&server), "embeddings": store, "query": query, "maxResults": most, "minScore": 0.0});
    for (question, number) in QUESTIONS {
        let outputs = task("io.kestra.plugin.ai.rag.Search", search(question, 3)).await.unwrap();
        assert_eq!(outputs["results"][0], PASSAGES[number], "{question}: {outputs:?}");
        assert_eq!(outputs["size"], 3);
        let metadata = &outputs["sources"][0]["metadata"];
        assert_eq!(metadata["source"], format!("fromDocuments[{number}]"));
        assert!(metadata["score"].as_f64().unwrap() > 0.8, "{metadata}");
    }
    // The same documents again, without `drop`, change nothing; others in their place leave none of them.
    let mut again = ingest(&server, &store, &PASSAGES);
    again["drop"] = false.into();
    task("ai.ingest", again).await.unwrap();
    assert_eq!(task("ai.search", search("taxi", 100)).await.unwrap()["size"], 10);
    task("ai.ingest", ingest(&server, &store, &PASSAGES[..2])).await.unwrap();
    assert_eq!(task("ai.search", search("taxi", 100)).await.unwrap()["size"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_passage_of_ten_comes_first_from_the_key_value_store() {
    finds_the_right_passages(json!({"type": "io.kestra.plugin.ai.embeddings.KestraKVStore", "kvName": "facts"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_passage_of_ten_comes_first_from_postgres() {
    let url = postgres::database("ai_passages").await;
    finds_the_right_passages(json!({"type": "postgres", "url": url, "table": "passages"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_gemini_holds_for_vectors_too() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let home = tempfile::tempdir().unwrap();
    let provider = json!({
        "type": "io.kestra.plugin.ai.provider.GoogleGemini", "modelName": "gemini-embedding-001", "apiKey": "key-0123456789",
        "baseUrl": server.url(""),
    });
    let documents = json!([{"content": "A taxi is a car."}]);
    let fields = json!({"provider": provider, "embeddings": {"type": "kv"}, "fromDocuments": documents});
    attempt::run(context(home.path(), json!({})).0, "ai.ingest", fields).await.unwrap();
    let search = json!({"provider": provider, "embeddings": {"type": "kv"}, "query": "A taxi is a car."});
    let outputs = attempt::run(context(home.path(), json!({})).0, "ai.search", search).await.unwrap();
    assert_eq!(outputs["results"], json!(["A taxi is a car."]));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_pages_and_inline_texts_are_cut_at_their_headings() {
    let Some(server) = ModelServer::start("embed") else { return };
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("docs")).unwrap();
    let guide = "# Guide\n\n## Loading\n\nA load is one transaction.\n\n## Backfills\n\nA backfill runs past months.\n";
    std::fs::write(home.path().join("docs/guide.md"), guide).unwrap();
    let page = "<html><head><title>x</title></head><body><h1>Taxis</h1><p>Green &amp; yellow.</p><script>no()</script></body></html>";
    std::fs::write(home.path().join("docs/page.html"), page).unwrap();
    let store = json!({"type": "kv"});
    let fields = json!({
        "provider": provider(&server), "embeddings": store, "fromPath": "docs", "metadata": {"team": "data"},
    });
    let outputs = attempt::run(context(home.path(), json!({})).0, "ai.ingest", fields).await.unwrap();
    assert_eq!((&outputs["ingestedDocuments"], &outputs["segments"]), (&json!(2), &json!(4)), "{outputs:?}");
    assert_eq!(outputs["embeddingStoreOutputs"]["kvName"], "flow-embedding-store");
    let search =
        json!({"provider": provider(&server), "embeddings": store, "query": "colours of taxis", "maxResults": 1});
    let outputs = attempt::run(context(home.path(), json!({})).0, "ai.search", search).await.unwrap();
    let found = &outputs["sources"][0];
    assert_eq!(found["content"], "# Taxis\n\nGreen & yellow.");
    assert_eq!((&found["metadata"]["source"], &found["metadata"]["heading"]), (&json!("page.html"), &json!("Taxis")));
    assert_eq!(found["metadata"]["team"], "data");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_compared_is_named() {
    let Some(server) = ModelServer::start("embed") else { return };
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("a.pdf"), "%PDF-1.7").unwrap();
    let store = json!({"type": "kv"});
    let fields = json!({"provider": provider(&server), "embeddings": store, "fromPath": "a.pdf"});
    let error = attempt::run(context(home.path(), json!({})).0, "ai.ingest", fields).await.unwrap_err();
    assert!(error.message.contains("`a.pdf` is a PDF"), "{error}");
    let search = json!({"provider": provider(&server), "embeddings": store, "query": "x"});
    let error = run("ai.search", search).await.unwrap_err();
    assert!(error.message.contains("no embedding store `flow-embedding-store`"), "{error}");
}
