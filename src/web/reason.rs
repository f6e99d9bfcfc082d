//! Why a request has no answer, in a few words.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::text::without_number;

/// The innermost cause of a failed request, as one would say it.
pub fn reason(error: &reqwest::Error) -> String {
    let (mut innermost, mut next): (&dyn Error, Option<&dyn Error>) = (error, error.source());
    let mut is_lookup = false;
    while let Some(cause) = next {
        is_lookup |= cause.to_string().starts_with("dns error");
        (innermost, next) = (cause, cause.source());
    }
    if is_lookup {
        return "the host name cannot be resolved".to_owned();
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => "the connection was refused".to_owned(),
        Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => {
            "the connection was reset".to_owned()
        }
        Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "the host cannot be reached".to_owned(),
        Some(ErrorKind::TimedOut) => "timed out".to_owned(),
        Some(ErrorKind::UnexpectedEof) => "the connection was closed early".to_owned(),
        _ if error.is_timeout() => "timed out".to_owned(),
        _ => without_number(&innermost.to_string()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_is_said_in_plain_words() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = crate::web::client::client(std::time::Duration::from_secs(5)).unwrap();
        let error = client.get(format!("http://{address}")).send().await.unwrap_err();
        assert_eq!(reason(&error), "the connection was refused");
    }
}
