//! The flows of the Zoomcamp's course that ask a model, as they are: the settings lead them to servers of this machine.

use serde_json::{Value, json};

use crate::cli::world::World;
use crate::common::models::ModelServer;
use jitney::cli::demo::serve::serve;
use tokio_util::sync::CancellationToken;

const KEY: &str = "AIzaSy-key-of-the-course-0123456789";

/// A flow of the course, with the address of its document on this machine, since tests have no internet.
fn flow(world: &World, name: &str, document: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/tests/course/flows/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let start =
        "https://raw.githubusercontent.com/kestra-io/docs/refs/heads/main/src/contents/blogs/release-1-1/index.md";
    world.write(name, text.replace(start, document)).display().to_string()
}

fn outputs(world: &World, task: &str) -> Value {
    let execution = world.jitney(&["executions", "show", &world.newest_id(), "--json"]).ended(0).json();
    execution["tasks"][task]["outputs"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_without_and_with_documents_runs_as_it_is_and_shows_no_key() {
    let (Some(chat), Some(embed)) = (ModelServer::start("imitate"), ModelServer::start("embed")) else { return };
    let world = World::new();
    let settings = json!({"ai": {
        "base_urls": {"gemini": chat.url("")},
        "models": {"gemini-embedding-001":
            {"type": "openai", "model": "multilingual-e5-small-q4", "base_url": embed.url("/v1")}},
    }});
    world.write("jitney.yaml", settings.to_string());
    let blog = "# Kestra 1.1\n\nIntro.\n\n## New filters\n\nFilters were redesigned.\n\n## Multi-agent AI\n\nAgents call agents.\n";
    world.write("mirror/blog.md", blog);
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(world.path("mirror"), shutdown).await.unwrap();
    world.jitney(&["kv", "set", "-n", "zoomcamp", "GEMINI_API_KEY", KEY]).ended(0);

    let without = flow(&world, "chat_without_rag.yaml", "");
    world.jitney(&["validate", &without]).ended(0);
    world.jitney(&["run", &without]).ended(0).says("I cannot say.");
    assert_eq!(outputs(&world, "chat_without_rag")["textOutput"], "I cannot say.");

    let with = flow(&world, "chat_with_rag.yaml", &format!("http://{address}/blog.md"));
    world.jitney(&["validate", &with]).ended(0);
    world.jitney(&["run", &with]).ended(0).says("multi-agent AI");
    let ingested = outputs(&world, "ingest_release_notes");
    assert_eq!((&ingested["ingestedDocuments"], &ingested["segments"]), (&json!(1), &json!(3)), "{ingested}");
    let answer = outputs(&world, "chat_with_rag");
    assert_eq!(answer["completion"], answer["textOutput"]);
    assert_eq!(answer["sources"].as_array().unwrap().len(), 3, "{answer}");
    assert!(answer["sources"].to_string().contains("Filters were redesigned."), "{answer}");
    let asked = chat.get("/__aimock/journal").await.to_string();
    assert!(asked.contains("Answer using the following information"), "{asked}");

    assert!(!world.journal_text().contains(KEY), "the journal has the key");
    let listed = world.jitney(&["kv", "list"]).ended(0);
    assert!(!listed.out.contains(KEY), "{}", listed.out);
    let log = world.jitney(&["executions", "logs", &world.newest_id()]).ended(0);
    assert!(!log.out.contains(KEY) && !log.err.contains(KEY), "{}", log.out);
}
