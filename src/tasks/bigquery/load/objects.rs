//! The objects that a load job reads: which there are, and how a CSV file among them begins.

use std::io::{BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use reqwest::header::RANGE;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::super::client::BigQueryClient;
use crate::gcp::{Api, GoogleLogin, Service};
use crate::stream::{Encoding, decode_excerpt};
use crate::task::TaskError;

/// Enough for a header of some hundred columns.
const SNIFFED_BYTES: u64 = 64 * 1024;

/// An object of Cloud Storage.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Object {
    pub(super) name: String,
    #[serde(default)]
    pub(super) size: String,
    #[serde(default)]
    pub(super) crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListingPage {
    #[serde(default)]
    items: Vec<Object>,
    next_page_token: Option<String>,
}

/// Cloud Storage, for a look at what BigQuery is to read.
pub(super) struct Objects<'a> {
    bigquery: &'a BigQueryClient<'a>,
    api: Api,
}

impl<'a> Objects<'a> {
    pub(super) async fn open(bigquery: &'a BigQueryClient<'a>, login: &GoogleLogin<'_>) -> Result<Self, TaskError> {
        Ok(Self { bigquery, api: Api::open(bigquery.context, Service::Storage, login).await? })
    }

    /// The objects behind an address, which may hold one `*`.
    ///
    /// # Errors
    /// When there are none.
    pub(super) async fn find(&self, uri: &str) -> Result<Vec<Object>, TaskError> {
        let (bucket, name) = split(uri)?;
        let (start, end) = name.split_once('*').unwrap_or((name, ""));
        let what = format!("looking up {uri}");
        let (mut found, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut url = self.url(&["b", bucket, "o"])?;
            url.query_pairs_mut().append_pair("prefix", start);
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("pageToken", token);
            }
            let retry = &self.bigquery.retry;
            let page: ListingPage =
                self.api.call(retry, &what, || self.api.request_to(Method::GET, url.as_str())).await?;
            found.extend(
                page.items
                    .into_iter()
                    .filter(|object| if name.contains('*') { object.name.ends_with(end) } else { object.name == name }),
            );
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        if found.is_empty() {
            return Err(TaskError::permanent(format!("{what}: the object does not exist"))
                .help(format!("`gcloud storage ls gs://{bucket}/` lists the objects; `gcs.upload` uploads files")));
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// The first line of an object, unpacked.
    pub(super) async fn first_line(
        &self,
        uri: &str,
        object: &Object,
        encoding: Option<&Encoding>,
    ) -> Result<String, TaskError> {
        let (bucket, _) = split(uri)?;
        let what = format!("reading the header of gs://{bucket}/{}", object.name);
        let mut url = self.url(&["b", bucket, "o", &object.name])?;
        url.query_pairs_mut().append_pair("alt", "media");
        let head = self.bigquery.retry.run(|| async {
            let request =
                self.api.request_to(Method::GET, url.as_str()).header(RANGE, format!("bytes=0-{}", SNIFFED_BYTES - 1));
            let response = self.api.send(&what, request).await?;
            if !response.status().is_success() {
                return Err(self.api.google_error(&what, response).await.request_error());
            }
            response.bytes().await.map_err(|error| crate::web::RequestError::from_reqwest(&what, error))
        });
        let head = head.await?;
        let line = first_line(&head, encoding).map_err(|error| TaskError::permanent(&what).caused_by(error))?;
        line.ok_or_else(|| {
            TaskError::permanent(format!("{what}: the first line is longer than {SNIFFED_BYTES} bytes, or empty"))
        })
    }

    fn url(&self, segments: &[&str]) -> Result<Url, TaskError> {
        let wrong = || TaskError::permanent(format!("`{}` is not a Cloud Storage address", self.api.endpoint));
        let mut url = Url::parse(&self.api.endpoint).map_err(|_| wrong())?;
        url.path_segments_mut().map_err(|()| wrong())?.extend(["storage", "v1"]).extend(segments);
        Ok(url)
    }
}

fn split(uri: &str) -> Result<(&str, &str), TaskError> {
    let parts = uri.strip_prefix("gs://").and_then(|rest| rest.split_once('/'));
    parts.filter(|(bucket, name)| !bucket.is_empty() && !name.is_empty()).ok_or_else(|| {
        TaskError::permanent(format!("`{uri}` is not a Cloud Storage address")).help("write gs://bucket/folder/name")
    })
}

/// The head of a file may be cut within a line, or within gzip's blocks.
fn first_line(head: &[u8], encoding: Option<&Encoding>) -> std::io::Result<Option<String>> {
    let packed = head.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(head)) } else { Box::new(head) };
    let mut line = Vec::new();
    BufReader::with_capacity(512, reader).take(SNIFFED_BYTES).read_until(b'\n', &mut line)?;
    let line = decode_excerpt(encoding, &line).trim_end().to_owned();
    Ok((!line.is_empty()).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_first_line_is_found_in_the_head_of_a_packed_file() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all("\u{feff}a,b\r\n".as_bytes()).unwrap();
        (0..100_000).for_each(|row| writeln!(packed, "{row},{}", row * 7919).unwrap());
        let packed = packed.finish().unwrap();
        assert_eq!(first_line(&packed[..20_000], None).unwrap().as_deref(), Some("a,b"));
        assert_eq!(first_line(b"x,y\n1,2\n", None).unwrap().as_deref(), Some("x,y"));
        let latin1 = Encoding::parse("ISO-8859-1").ok();
        assert_eq!(first_line(b"gr\xf6\xdfe\n", latin1.as_ref()).unwrap().as_deref(), Some("größe"));
        assert_eq!(first_line(b"", None).unwrap(), None);
    }
}
