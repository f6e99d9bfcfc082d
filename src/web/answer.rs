//! The content of answers, within bounds.

use std::time::Duration;

use reqwest::Response;

use super::RequestError;

/// More of a page that explains a refusal is not looked at,
const MAX_HEAD_BYTES: usize = 64 << 10;
/// nor waited for any longer. What comes may come in many pieces, and a secret in two of them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// All bytes of an answer; none if they are more than `most`. `what` is being done.
///
/// # Errors
/// When the connection breaks.
pub async fn whole(what: &str, mut response: Response, most: usize) -> Result<Option<Vec<u8>>, RequestError> {
    let mut bytes = Vec::new();
    while let Some(piece) = piece(what, &mut response).await? {
        if bytes.len() + piece.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

/// The next piece of an answer.
///
/// # Errors
/// When the connection breaks.
pub async fn piece(what: &str, response: &mut Response) -> Result<Option<bytes::Bytes>, RequestError> {
    response.chunk().await.map_err(|error| RequestError::from_reqwest(what, error))
}

/// The beginning of what a server says about a refusal. It only explains: a failure to read it must not hide the status.
pub async fn head(response: &mut Response) -> Vec<u8> {
    let mut head = Vec::new();
    let reading = async {
        while head.len() < MAX_HEAD_BYTES
            && let Ok(Some(piece)) = response.chunk().await
        {
            head.extend_from_slice(&piece);
        }
    };
    // What came until then must do.
    let _ = tokio::time::timeout(HEAD_TIMEOUT, reading).await;
    head
}
