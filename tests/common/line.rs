//! A line to a server that breaks where a test wants it to.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// The most that is kept of what a client sends.
const MAX_HEARD: usize = 16 << 20;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is closed at once.
    Refuse,
    /// What the client sends beyond so many bytes goes nowhere, and no end of it is seen.
    StallAfter(usize),
    /// The client's COMMIT does not reach the server, and the line is cut.
    CutBeforeCommit,
    /// The COMMIT reaches the server, and the line is cut when it has answered.
    CutAfterCommit,
}

/// A proxy in front of a server on this machine.
pub struct Line {
    pub address: SocketAddr,
    /// Connections so far.
    pub count: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
    /// Bytes that clients have sent so far.
    pub sent: Arc<AtomicUsize>,
}

impl Line {
    /// The connections, by their number from 0, meet what `fault` says.
    pub fn to(server: SocketAddr, fault: impl Fn(usize) -> Fault + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let counted = count.clone();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let kept = heard.clone();
        let sent = Arc::<AtomicUsize>::default();
        let all = sent.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let fault = fault(counted.fetch_add(1, Ordering::SeqCst));
                let client = client.unwrap();
                if fault == Fault::Refuse {
                    continue;
                }
                let server = TcpStream::connect(server).unwrap();
                let (kept, all) = (kept.clone(), all.clone());
                std::thread::spawn(move || join(client, server, fault, (&kept, &all)));
            }
        });
        Self { address, count, heard, sent }
    }

    /// The statements that the only client has sent, without TLS.
    pub fn statements(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let length = |at: usize| Some(u32::from_be_bytes(heard.get(at..at + 4)?.try_into().unwrap()) as usize);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap()).into_owned();
        // The first message has no letter.
        let (mut at, mut statements) = (length(0).unwrap_or(0), Vec::new());
        while let (Some(kind), Some(size)) = (heard.get(at), length(at + 1)) {
            let body = heard.get(at + 5..at + 1 + size).unwrap_or_default();
            match kind {
                b'Q' => statements.push(text(body)),
                b'P' => statements.push(text(body.splitn(2, |byte| *byte == 0).nth(1).unwrap())),
                _ => {}
            }
            at += 1 + size;
        }
        statements
    }

    /// The address of a database, with this line in place of its server's own host and port.
    pub fn url(&self, url: &str) -> String {
        let (login, rest) = url.rsplit_once('@').unwrap();
        format!("{login}@{}/{}", self.address, rest.split_once('/').unwrap().1)
    }
}

/// Where the server behind an address listens.
pub fn server_of(url: &str) -> SocketAddr {
    url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.parse().unwrap()
}

fn join(client: TcpStream, server: TcpStream, fault: Fault, (heard, all): (&Mutex<Vec<u8>>, &AtomicUsize)) {
    let (answered, answers) = mpsc::channel();
    let (mut down_from, mut down_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let count @ 1.. = down_from.read(&mut buffer).unwrap_or(0) {
            // Nobody may ask any more.
            let _ = answered.send(());
            if down_to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = down_to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to, mut sent) = (client, server, 0);
    let mut buffer = [0; 1 << 16];
    while let count @ 1.. = from.read(&mut buffer).unwrap_or(0) {
        let bytes = &buffer[..count];
        all.fetch_add(count, Ordering::SeqCst);
        {
            let mut heard = heard.lock().unwrap();
            let room = MAX_HEARD - heard.len();
            heard.extend_from_slice(&bytes[..count.min(room)]);
        }
        let is_commit = bytes.windows(7).any(|part| part == b"COMMIT\0");
        match fault {
            Fault::StallAfter(limit) if sent + count > limit => {
                // The sockets stay open, and nothing moves.
                loop {
                    std::thread::park();
                }
            }
            Fault::CutBeforeCommit if is_commit => break,
            Fault::CutAfterCommit if is_commit => {
                // The answer must not get through.
                from.shutdown(Shutdown::Both).unwrap();
                while answers.try_recv().is_ok() {}
                to.write_all(bytes).unwrap();
                answers.recv().unwrap();
                break;
            }
            _ => {}
        }
        sent += count;
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
