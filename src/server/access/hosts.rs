//! The host names that the server answers to, and the pages that may call it: protection against DNS rebinding and cross-site
//! requests.
//!
//! A browser sends requests for any page that it shows, with the login that it has stored. `Host` is the name that the page
//! used, `Sec-Fetch-Site` and `Origin` say where the page came from. Programs such as curl send neither of the latter.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, header};

use crate::diagnostic::Diagnostic;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host names of a server.
#[derive(Clone, Debug)]
pub(super) struct AllowedHosts {
    listen: IpAddr,
    names: Vec<String>,
}

/// Why a request is rejected, whatever login it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OriginError {
    /// It names no host, or more than one.
    NoHost,
    /// It is addressed to another host.
    Host(String),
    /// It was sent by a page of another site.
    Site,
}

impl AllowedHosts {
    /// The names of a server that listens on an address, besides those of loopback.
    pub(super) fn new(listen: IpAddr, names: &[String]) -> Result<Self, Diagnostic> {
        let name = |text: &String| match Authority::parse(text) {
            Some(Authority { name, port: None }) => Ok(name),
            _ => Err(Diagnostic::error(format!("`{text}` is not a host name"))
                .help("write only a name or an IP address, such as `jitney.example.com`: no `http://` and no port")),
        };
        Ok(Self { listen, names: names.iter().map(name).collect::<Result<_, _>>()? })
    }

    /// Checks that a request is addressed to this host and was not sent by a page of another.
    pub(super) fn check(&self, request: &Request) -> Result<(), OriginError> {
        let headers = request.headers();
        let named = one(headers, &header::HOST).ok_or(OriginError::NoHost)?;
        let host = Authority::parse(named).filter(|host| self.has(&host.name));
        let host = host.ok_or_else(|| OriginError::Host(named.to_owned()))?;
        // The address of a request to a proxy contains the host too.
        if let Some(target) = request.uri().authority()
            && Authority::parse(target.as_str()).is_none_or(|target| target.name != host.name)
        {
            return Err(OriginError::Host(target.to_string()));
        }
        if comes_from(headers, &host) || follows_link(request) { Ok(()) } else { Err(OriginError::Site) }
    }

    /// Whether a name is one of the server's. An attacker can let a DNS name of his own resolve to this machine, but not an IP
    /// address: a server that listens on all addresses therefore answers to each of them.
    fn has(&self, name: &str) -> bool {
        let is_own = |ip: IpAddr| {
            let ip = ip.to_canonical();
            let listens_there = ip == self.listen || (self.listen.is_unspecified() && !ip.is_unspecified());
            ip.is_loopback() || listens_there
        };
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(is_own) || self.names.iter().any(|own| own == name)
    }
}

/// Whether a browser opens a page because somebody followed a link of another site. That changes nothing, and the other site
/// sees nothing of the page, which may not be framed.
fn follows_link(request: &Request) -> bool {
    let has = |name, value: &str| one(request.headers(), &HeaderName::from_static(name)) == Some(value);
    request.method() == Method::GET
        && !request.uri().path().starts_with("/api/")
        && has("sec-fetch-mode", "navigate")
        && has("sec-fetch-dest", "document")
}

/// Whether a request was sent by a page of this host, or by no page at all.
fn comes_from(headers: &HeaderMap, host: &Authority) -> bool {
    match one(headers, &SITE) {
        Some("same-origin") => return true,
        // The user has entered the address: no page has sent it, so that `Origin` must not name one either.
        Some("none") => {}
        None if !headers.contains_key(SITE) => {}
        _ => return false,
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = one(headers, &header::ORIGIN).and_then(|origin| origin.split_once("://"));
    let Some((scheme, Some(origin))) = origin.map(|(scheme, rest)| (scheme, Authority::parse(rest))) else {
        return false;
    };
    // Behind a proxy with TLS the page's scheme is not ours, so that a default port equals none.
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = |authority: &Authority| authority.port.filter(|port| *port != usual);
    origin.name == host.name && port(&origin) == port(host)
}

/// The value of a header that occurs exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok();
    value.filter(|_| values.next().is_none())
}

/// A host and port, as `Host` and `Origin` have them. An IPv6 address is without its brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    name: String,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let (inner, rest) = bracketed.split_once(']')?;
                (inner.parse::<std::net::Ipv6Addr>().ok()?.to_string(), rest)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (text[..end].to_ascii_lowercase(), &text[end..])
            }
        };
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        let port = match rest.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if rest.is_empty() => None,
            _ => return None,
        };
        (!name.is_empty() && name.chars().all(is_plain)).then_some(Self { name, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, names: &[&str], headers: &[(&str, &str)]) -> Result<(), OriginError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut request = Request::builder().uri("/api/v1/flows/search");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        AllowedHosts::new(listen.parse().unwrap(), &names)
            .unwrap()
            .check(&request.body(axum::body::Body::empty()).unwrap())
    }

    fn is_ours(listen: &str, names: &[&str], host: &str) -> bool {
        check(listen, names, &[("host", host)]).is_ok()
    }

    #[test]
    fn a_server_answers_to_its_own_names_alone() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.3.2.1", "[::1]:8080", "[::1]"] {
            assert!(is_ours("127.0.0.1", &[], host), "{host}");
        }
        let foreign = [
            "evil.example",
            "evil.example:8080",
            "[::1]evil.example",
            "[::1]:evil",
            "[::1",
            "localhost.evil.example",
            "localhost:80:80",
            "localhost:",
            "user@localhost",
            "10.0.0.5",
            "0.0.0.0:8080",
            "",
        ];
        for host in foreign {
            assert!(!is_ours("127.0.0.1", &[], host), "{host}");
        }
        assert!(is_ours("127.0.0.1", &["Jitney.Example.com"], "jitney.example.com"));
        assert!(!is_ours("127.0.0.1", &["jitney.example.com"], "x.jitney.example.com"));
        assert!(is_ours("10.0.0.5", &[], "10.0.0.5:8080") && !is_ours("10.0.0.5", &[], "10.0.0.6:8080"));
        assert_eq!(check("127.0.0.1", &[], &[]), Err(OriginError::NoHost));
        assert_eq!(check("127.0.0.1", &[], &[("host", "localhost"), ("host", "localhost")]), Err(OriginError::NoHost));
    }

    #[test]
    fn on_all_addresses_each_is_a_name_but_no_other_is() {
        for host in ["192.168.1.7:8080", "localhost:8080", "[2001:db8::1]:8080"] {
            assert!(is_ours("0.0.0.0", &[], host), "{host}");
        }
        assert!(!is_ours("0.0.0.0", &[], "evil.example") && is_ours("::", &["server"], "server:8080"));
    }

    #[test]
    fn a_page_of_another_site_is_refused_and_a_program_is_not() {
        let from = |headers: &[(&str, &str)]| {
            let host = [("host", "localhost:8080")];
            check("127.0.0.1", &[], &[&host, headers].concat())
        };
        assert_eq!(from(&[]), Ok(()));
        for site in ["same-origin", "none"] {
            assert_eq!(from(&[("sec-fetch-site", site), ("origin", "http://localhost:8080")]), Ok(()));
        }
        for site in ["cross-site", "same-site", "", "anything"] {
            assert_eq!(from(&[("sec-fetch-site", site)]), Err(OriginError::Site), "{site}");
        }
        for origin in ["http://evil.example", "null"] {
            assert_eq!(from(&[("sec-fetch-site", "none"), ("origin", origin)]), Err(OriginError::Site), "{origin}");
        }
        assert_eq!(from(&[("origin", "http://localhost:8080")]), Ok(()));
        for origin in ["http://evil.example", "null", "http://localhost:3000", "http://localhost", "http://"] {
            assert_eq!(from(&[("origin", origin)]), Err(OriginError::Site), "{origin}");
        }
    }

    #[test]
    fn behind_a_proxy_that_speaks_tls_its_name_counts() {
        let from = |host: &str, origin: &str| {
            check("127.0.0.1", &["jitney.example.com"], &[("host", host), ("origin", origin)]).is_ok()
        };
        assert!(from("jitney.example.com", "https://jitney.example.com"));
        assert!(from("jitney.example.com:8443", "https://jitney.example.com:8443"));
        assert!(!from("jitney.example.com", "https://evil.example"));
    }

    #[test]
    fn a_setting_that_is_no_host_name_is_refused() {
        for text in ["http://jitney.example.com", "jitney.example.com:8080", "*", ""] {
            let refused = AllowedHosts::new("127.0.0.1".parse().unwrap(), &[text.to_owned()]).unwrap_err();
            assert!(refused.message.contains("is not a host name"), "{refused}");
        }
    }
}
