//! The example application: one page that says which pod served it, on port 8080 (or $PORT), and /healthz.
//! Ends cleanly on SIGTERM. Standard library only: the build script compiles it with a bare rustc.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PAGE: &str = include_str!("hello.html");
const CONNECTIONS_MAX: usize = 64;
const HEAD_MAX: u64 = 16 * 1024;

static OPEN: AtomicUsize = AtomicUsize::new(0);
static SERVED: AtomicUsize = AtomicUsize::new(0);

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIG_BLOCK: i32 = 0;

#[repr(C)]
struct SignalSet([u64; 16]);

unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> i32;
    fn sigaddset(set: *mut SignalSet, signal: i32) -> i32;
    fn sigprocmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
    fn sigwait(set: *const SignalSet, signal: *mut i32) -> i32;
}

fn main() {
    let mut set = SignalSet([0; 16]);
    // SAFETY: every pointer is to a live local of the size the C library expects. Threads inherit the mask.
    unsafe {
        sigemptyset(&mut set);
        sigaddset(&mut set, SIGINT);
        sigaddset(&mut set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, std::ptr::null_mut());
    }
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    let listener = match TcpListener::bind(format!("[::]:{port}")).or_else(|_| TcpListener::bind(format!("0.0.0.0:{port}"))) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("hello: cannot listen on port {port}: {e}");
            std::process::exit(1);
        }
    };
    println!("hello: serving on port {port}");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if OPEN.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                OPEN.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            std::thread::spawn(move || {
                let _ = serve(stream);
                OPEN.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    let mut signal = 0;
    // SAFETY: as above.
    unsafe { sigwait(&set, &mut signal) };
    println!("hello: ended by signal {signal} after {} pages", SERVED.load(Ordering::Relaxed));
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    let client = stream.peer_addr()?.ip().to_canonical().to_string();
    loop {
        let mut reader = BufReader::new(stream.try_clone()?.take(HEAD_MAX));
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        if method.is_empty() {
            return Ok(());
        }
        let mut close = line.trim_end().ends_with("HTTP/1.0");
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 {
                return Ok(());
            }
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            close |= header == "connection: close";
        }
        let (status, kind, body) = match (method.as_str(), path.split('?').next().unwrap_or_default()) {
            ("GET" | "HEAD", "/") => ("200 OK", "text/html; charset=utf-8", page(&client)),
            ("GET" | "HEAD", "/healthz") => ("200 OK", "text/plain", "ok\n".into()),
            ("GET" | "HEAD", _) => ("404 Not Found", "text/plain", "not found\n".into()),
            _ => ("405 Method Not Allowed", "text/plain", "only GET\n".into()),
        };
        close |= !matches!(method.as_str(), "GET" | "HEAD");
        let after = if close { "close" } else { "keep-alive" };
        let mut answer =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: {after}\r\n\r\n", body.len());
        if method != "HEAD" {
            answer.push_str(&body);
        }
        stream.write_all(answer.as_bytes())?;
        if close {
            return Ok(());
        }
    }
}

fn page(client: &str) -> String {
    let count = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    let named = |name: &str, otherwise: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).unwrap_or_else(|| otherwise.into());
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    PAGE.replace("{{pod}}", &escape(&named("POD_NAME", hostname.trim())))
        .replace("{{namespace}}", &escape(&named("POD_NAMESPACE", "not told")))
        .replace("{{node}}", &escape(&named("NODE_NAME", "not told")))
        .replace("{{client}}", &escape(client))
        .replace("{{count}}", &count.to_string())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
