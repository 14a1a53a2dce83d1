//! A proxy beside the cluster that CONNECTs, on a port or a socket; it tells what it was asked for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Where nobody is let through to.
const FORBIDDEN: &str = "10.";

pub struct Tunnel {
    /// The targets, in the order they came.
    pub asked: Receiver<String>,
    /// 0 for a socket.
    pub port: u16,
}

impl Tunnel {
    pub fn on_port() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Self { asked: accept(move || listener.accept().and_then(|(line, _)| Ok((TcpStream::try_clone(&line)?, line)))), port }
    }

    pub fn on_socket(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        Self { asked: accept(move || listener.accept().and_then(|(line, _)| Ok((UnixStream::try_clone(&line)?, line)))), port: 0 }
    }
}

fn accept<L: Read + Write + Send + 'static>(next: impl Fn() -> io::Result<(L, L)> + Send + 'static) -> Receiver<String> {
    let (told, asked) = channel();
    std::thread::spawn(move || {
        while let Ok((from, to)) = next() {
            let told = told.clone();
            std::thread::spawn(move || serve(from, to, &told));
        }
    });
    asked
}

fn serve(from: impl Read + Send + 'static, mut to: impl Write + Send + 'static, told: &Sender<String>) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head)? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let _ = told.send(target.to_owned());
    if target.starts_with(FORBIDDEN) {
        return to.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
    let (mut server, answers) = TcpStream::connect(target).and_then(|server| Ok((server.try_clone()?, server)))?;
    to.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    std::thread::spawn(move || io::copy(&mut &answers, &mut to));
    let _ = io::copy(&mut from, &mut server);
    server.shutdown(Shutdown::Both)
}
