//! Serves a folder on loopback like a server of taxi files: with ranges, ETags and a listing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use axum::Router;
use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::services::ServeDir;

/// Serves `folder` on a free loopback port until `shutdown`; running responses are completed.
///
/// # Errors
/// When no port is available.
pub async fn serve(folder: PathBuf, shutdown: CancellationToken) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let listed = folder.clone();
    let listing = async move |request: Request| list(&listed, request.uri().path());
    let router = Router::new().fallback_service(ServeDir::new(folder).fallback(listing.into_service()));
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
    // If the server fails, every later request fails, too.
    let handle = tokio::spawn(async move { drop(server.await) });
    Ok((address, handle))
}

fn list(folder: &Path, path: &str) -> Response {
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    match plain.then(|| names(&folder.join(relative))) {
        Some(Ok(names)) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page(path, &names)).into_response(),
        _ => (StatusCode::NOT_FOUND, format!("there is no {path} here\n")).into_response(),
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

fn page(path: &str, names: &[String]) -> String {
    let safe = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let items: String = names.iter().map(|name| format!("<li><a href=\"{0}\">{0}</a></li>\n", safe(name))).collect();
    format!("<!doctype html>\n<title>{0}</title>\n<h1>{0}</h1>\n<ul>\n{items}</ul>\n", safe(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::client::client;
    use std::time::Duration;

    #[tokio::test]
    async fn files_come_whole_or_in_part_and_folders_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("green")).unwrap();
        std::fs::write(folder.path().join("green/a.csv.gz"), "0123456789").unwrap();
        let shutdown = CancellationToken::new();
        let (address, server) = serve(folder.path().to_owned(), shutdown.clone()).await.unwrap();
        let client = client(Duration::from_secs(10)).unwrap();
        let get = |path: &str| client.get(format!("http://{address}{path}"));

        let whole = get("/green/a.csv.gz").send().await.unwrap();
        assert_eq!(whole.headers()["content-type"], "application/gzip");
        assert!(whole.headers().contains_key("last-modified"));
        let part = get("/green/a.csv.gz").header("range", "bytes=4-").send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, "456789"));
        let listing = get("/green/").send().await.unwrap().text().await.unwrap();
        assert!(listing.contains("href=\"a.csv.gz\""), "{listing}");
        assert_eq!(get("/green/b.csv.gz").send().await.unwrap().status(), 404);
        assert_eq!(list(&folder.path().join("green"), "/../").status(), 404);

        drop(client);
        shutdown.cancel();
        server.await.unwrap();
    }
}
