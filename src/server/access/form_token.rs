//! Takes the token of a form out of the request, so that handlers see the fields that they know.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

/// The field's name.
const FIELD: &str = "csrf";
/// How scripts send it.
const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// How much of a body is read in search of the field, which must be its first.
const MAX_BYTES: usize = 1024;

/// Where a field ends, and how a body begins that has it.
struct FieldFrame {
    begin: Vec<u8>,
    end: Vec<u8>,
    /// Whether a body may end with the field.
    may_be_last: bool,
    /// How much of `end` belongs to what follows.
    kept: usize,
}

impl FieldFrame {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if kind.starts_with("application/x-www-form-urlencoded") {
            let begin = format!("{FIELD}=").into_bytes();
            return Some(Self { begin, end: b"&".to_vec(), may_be_last: true, kept: 0 });
        }
        let (_, boundary) = kind.strip_prefix("multipart/form-data")?.split_once("boundary=")?;
        let boundary = boundary.split(';').next()?.trim().trim_matches('"');
        let begin = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{FIELD}\"\r\n\r\n").into_bytes();
        let end = format!("\r\n--{boundary}").into_bytes();
        Some(Self { begin, kept: end.len() - 2, end, may_be_last: false })
    }

    /// The token of a body, and where what follows it begins; none if it is not there, or not yet.
    fn find<'a>(&self, body: &'a [u8], is_whole: bool) -> Option<(&'a [u8], usize)> {
        let rest = body.strip_prefix(self.begin.as_slice())?;
        match rest.windows(self.end.len()).position(|window| window == self.end) {
            Some(at) => Some((&rest[..at], self.begin.len() + at + self.end.len() - self.kept)),
            None => (is_whole && self.may_be_last).then_some((rest, body.len())),
        }
    }

    /// Whether a body may still turn out to begin with the field.
    fn is_open(&self, body: &[u8]) -> bool {
        let common = body.len().min(self.begin.len());
        body.len() < MAX_BYTES && body[..common] == self.begin[..common]
    }
}

/// The request without the token, and the token: that of the header, else of the form's first field.
pub(super) async fn take(request: Request) -> (Request, Option<String>) {
    if let Some(token) = request.headers().get(HEADER) {
        let token = token.to_str().ok().map(str::to_owned);
        return (request, token);
    }
    let Some(frame) = FieldFrame::of(request.headers()) else { return (request, None) };
    let (mut parts, body) = request.into_parts();
    // Read again behind its end, by whoever reads a form that has no other field.
    let mut chunks = body.into_data_stream().fuse();
    let (mut begin, mut is_whole) = (BytesMut::new(), false);
    while !is_whole && frame.is_open(&begin) && frame.find(&begin, false).is_none() {
        match chunks.next().await {
            Some(Ok(chunk)) => begin.extend_from_slice(&chunk),
            // What was cut off lacks its token, or is noticed by the handler.
            Some(Err(_)) | None => is_whole = true,
        }
    }
    let mut begin = begin.freeze();
    let found = frame.find(&begin, is_whole).map(|(token, at)| (String::from_utf8_lossy(token).into_owned(), at));
    let token = found.map(|(token, at)| {
        begin = begin.slice(at..);
        parts.headers.remove(header::CONTENT_LENGTH);
        token
    });
    let first = futures_util::stream::iter((!begin.is_empty()).then_some(Ok::<Bytes, axum::Error>(begin)));
    (Request::from_parts(parts, Body::from_stream(first.chain(chunks))), token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token of a body that comes in pieces of this size, and what is left of it.
    async fn taken(kind: &str, body: &str, size: usize) -> (Option<String>, String) {
        let pieces: Vec<_> =
            body.as_bytes().chunks(size).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        let request = Request::builder().header(header::CONTENT_TYPE, kind);
        let request = request.body(Body::from_stream(futures_util::stream::iter(pieces))).unwrap();
        let (request, token) = take(request).await;
        let left = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        (token, String::from_utf8(left.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_first_field_is_taken_out_of_a_form() {
        let form = "application/x-www-form-urlencoded";
        let part = |name: &str, value: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let multi = "multipart/form-data; boundary=x";
        let (csrf, month) = (part("csrf", "abc"), part("month", "01"));
        let token = || Some("abc".to_owned());
        for size in [1, 7, 4096] {
            assert_eq!(taken(form, "csrf=abc&month=01", size).await, (token(), "month=01".to_owned()));
            assert_eq!(taken(form, "csrf=abc", size).await, (token(), String::new()));
            assert_eq!(taken(form, "month=01&csrf=abc", size).await, (None, "month=01&csrf=abc".to_owned()));
            let whole = taken(multi, &format!("{csrf}{month}--x--\r\n"), size).await;
            assert_eq!(whole, (token(), format!("{month}--x--\r\n")));
            assert_eq!(taken(multi, &format!("{csrf}--x--\r\n"), size).await, (token(), "--x--\r\n".to_owned()));
            assert_eq!(taken(multi, &month, size).await, (None, month.clone()));
        }
        let endless = format!("csrf={}&", "a".repeat(100_000));
        assert_eq!(taken(form, &endless, 100).await, (None, endless));
        assert_eq!(taken("text/plain", "csrf=abc", 3).await, (None, "csrf=abc".to_owned()));
    }
}
