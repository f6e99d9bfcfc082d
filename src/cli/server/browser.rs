//! `--open`: the server's pages in the browser.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Stdio;

use tokio::process::Command;

use crate::config::Settings;

/// The programs that open an address: of Linux, of macOS, of WSL.
const PROGRAMS: [&str; 3] = ["xdg-open", "open", "wslview"];

/// Opens the address on which a server listens. The server works without: what goes wrong is logged.
pub(super) fn open(settings: &Settings, listens: SocketAddr) {
    let address = format!("http://{}/", reachable(listens));
    let Some(program) = PROGRAMS.iter().find_map(|name| settings.find_program(name)) else {
        let text = format!("cannot open a browser: there is no `xdg-open` or `open` on PATH; open {address} yourself");
        return tracing::warn!(target: "jitney::server", "{text}");
    };
    let started =
        Command::new(&program).arg(&address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(error) = started {
        let program = program.display();
        tracing::warn!(target: "jitney::server", "cannot start `{program}`: {error}; open {address} yourself");
    }
}

/// The address for a browser of this machine: all addresses are also the loopback one.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let host = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(host, listens.port())
}
