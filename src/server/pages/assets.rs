//! The files that pages load: part of the program, at an address that changes with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use sha2::{Digest, Sha256};

use super::packing::{packed, takes_gzip};
use crate::server::api::error::ApiError;
use crate::text::hex;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
    /// Gzipped, where that makes it smaller.
    packed: LazyLock<Option<Vec<u8>>>,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            content: include_bytes!(concat!("assets/built/", $name)),
            packed: LazyLock::new(|| packed(include_bytes!(concat!("assets/built/", $name)), Compression::best())),
        }
    };
}

static ALL: [Asset; 7] = [
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("api.js", "text/javascript; charset=utf-8"),
    asset!("data.js", "text/javascript; charset=utf-8"),
    asset!("editor.js", "text/javascript; charset=utf-8"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("inter.woff2", "font/woff2"),
];

/// A name for the present content of all of them.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    ALL.iter().for_each(|asset| digest.update(asset.content));
    hex(&digest.finalize()[..6])
});

/// A file. A browser keeps it for good, unless its page is of another version of the program.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>, request: HeaderMap) -> Response {
    let Some(asset) = ALL.iter().find(|asset| asset.name == name) else {
        return ApiError::not_found(format!("there is no file `{name}`")).into_response();
    };
    let kept = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept), (header::VARY, "accept-encoding")];
    match asset.packed.as_deref().filter(|_| takes_gzip(&request)) {
        Some(packed) => (StatusCode::OK, headers, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (StatusCode::OK, headers, asset.content).into_response(),
    }
}
