//! Proxies that are trusted to say who calls: `X-Forwarded-For`, `-Proto` and `-Host`.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;

use crate::diagnostic::Diagnostic;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Marks a request that the client has sent over TLS, to this server or to a trusted proxy.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct OverTls;

/// The addresses of the proxies that are trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads addresses and networks, such as `10.0.0.5` and `172.16.0.0/12`.
    ///
    /// # Errors
    /// When one is neither.
    pub(in crate::server) fn parse(texts: &[String]) -> Result<Self, Diagnostic> {
        let one = |text: &String| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| text.parse()).map_err(|_| {
                Diagnostic::error(format!("`{text}` is not an address of a proxy"))
                    .help("write an IP address or a network, such as 127.0.0.1 or 172.16.0.0/12")
            })
        };
        texts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Replaces peer and host of a request that a trusted proxy has passed on by those of its client.
    pub(in crate::server) fn apply(&self, mut request: Request) -> Request {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        let Some(peer) = peer.filter(|peer| self.has(peer.ip())) else { return request };
        if let Some(client) = self.client(request.headers()) {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, peer.port())));
        }
        match last(request.headers(), &PROTO).map(str::to_ascii_lowercase).as_deref() {
            Some("https") => drop(request.extensions_mut().insert(OverTls)),
            Some(_) => drop(request.extensions_mut().remove::<OverTls>()),
            None => {}
        }
        if let Some(host) = last(request.headers(), &HOST).and_then(|host| HeaderValue::from_str(host).ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        request
    }

    /// The last address of the chain that is no trusted proxy: what is before it may be made up.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let chain: Vec<&str> =
            headers.get_all(&FOR).iter().flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
        let mut client = None;
        for text in chain.iter().rev().map(|text| text.trim()) {
            let Some(address) = address(text) else { break };
            client = Some(address);
            if !self.has(address) {
                break;
            }
        }
        client
    }
}

/// An address, which some proxies write with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The last value of a header, which the proxy next to this server has written.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// Address, host and scheme of a client, as the server sees them.
    fn seen(peer: &str, headers: &[(&str, &str)]) -> (String, String, bool) {
        let trusted = TrustedProxies::parse(&["10.0.0.5".to_owned(), "172.16.0.0/12".to_owned()]).unwrap();
        let mut request = Request::builder().header("host", "inside");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let request = trusted.apply(request);
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().unwrap().0.ip().to_string();
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        (peer, host, request.extensions().get::<OverTls>().is_some())
    }

    #[test]
    fn a_trusted_proxy_tells_the_client_and_nobody_else_does() {
        let headers = [
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "jitney.example.com"),
        ];
        let of = |address: &str, host: &str, tls| (address.to_owned(), host.to_owned(), tls);
        assert_eq!(seen("10.0.0.5", &headers), of("2.2.2.2", "jitney.example.com", true));
        assert_eq!(seen("::ffff:172.17.0.1", &headers), of("2.2.2.2", "jitney.example.com", true));
        assert_eq!(seen("10.0.0.6", &headers), of("10.0.0.6", "inside", false));
        assert_eq!(seen("10.0.0.5", &[]), of("10.0.0.5", "inside", false));
    }

    #[test]
    fn of_a_chain_the_last_address_counts_that_is_no_proxy() {
        let client = |chain: &str| seen("10.0.0.5", &[("x-forwarded-for", chain)]).0;
        assert_eq!(client("6.6.6.6, 3.3.3.3, 172.16.1.1"), "3.3.3.3");
        assert_eq!(client("172.16.1.1, 10.0.0.5"), "172.16.1.1");
        assert_eq!(client("1.1.1.1, nonsense"), "10.0.0.5");
        assert_eq!(client("[2001:db8::1]:4711"), "2001:db8::1");
        let chained = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "a, b")];
        assert_eq!(seen("10.0.0.5", &chained), ("10.0.0.5".to_owned(), "b".to_owned(), false));
    }

    #[test]
    fn a_setting_that_is_no_address_is_refused() {
        for text in ["proxy", "10.0.0.0/64", ""] {
            let refused = TrustedProxies::parse(&[text.to_owned()]).unwrap_err();
            assert!(refused.message.contains("is not an address of a proxy"), "{refused}");
        }
    }
}
