//! `kubectl proxy`: the API on a local port, with this user's rights.
// Upstream: kubectl pkg/cmd/proxy/proxy.go, pkg/proxy/proxy_server.go (which requests are let through).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio::net::{TcpListener, UnixListener};

use crate::call::Call;
use crate::client::Api;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, int, text, yes_no};
use crate::{run, say};

const FLAGS: &[Flag] = &[
    text("www", "", "A folder to serve files of.").short('w'),
    text("www-prefix", "/static/", "Where the files are served.").short('P'),
    text("api-prefix", "/", "Where the API is served."),
    text("accept-paths", "^.*", "Paths to let through."),
    text("reject-paths", "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach", "Paths to refuse."),
    text("accept-hosts", "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$", "Hosts to answer to."),
    text("reject-methods", "^$", "Methods to refuse."),
    int("port", "8001", "The port; 0 is any free one.").short('p'),
    text("address", "127.0.0.1", "The address."),
    yes_no("disable-filter", "Let everything through. That is dangerous where others reach the port."),
    text("unix-socket", "", "A socket to listen on instead of a port.").short('u'),
    duration("keepalive", "0s", "How often idle connections are asked for; taken for compatibility."),
    yes_no("append-server-path", "Put the server's own path before each request's."),
];

pub const COMMAND: Command = Command {
    name: "proxy",
    usage: "[--port=PORT] [--www=static-dir] [--www-prefix=prefix] [--api-prefix=prefix]",
    about: "Serve the API server on a local port.\n\nWhoever reaches the port has this user's rights.",
    examples: "kubectl proxy --port=8011",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

struct Filter {
    accept_paths: Vec<regex::Regex>,
    reject_paths: Vec<regex::Regex>,
    accept_hosts: Vec<regex::Regex>,
    reject_methods: Vec<regex::Regex>,
    off: bool,
}

fn patterns(text: &str) -> Outcome<Vec<regex::Regex>> {
    text.split(',').map(|p| regex::Regex::new(p).map_err(|e| Failure::Text(format!("error parsing regexp: {p}: {e}")))).collect()
}

impl Filter {
    fn of(call: &Call) -> Outcome<Self> {
        let flags = &call.flags;
        Ok(Self {
            accept_paths: patterns(flags.text("accept-paths"))?,
            reject_paths: patterns(flags.text("reject-paths"))?,
            accept_hosts: patterns(flags.text("accept-hosts"))?,
            reject_methods: patterns(flags.text("reject-methods"))?,
            off: flags.yes("disable-filter"),
        })
    }

    fn lets(&self, method: &str, path: &str, host: &str) -> bool {
        let any = |all: &[regex::Regex], text: &str| all.iter().any(|r| r.is_match(text));
        let host = if host.starts_with('[') { host.split_inclusive(']').next().unwrap_or(host) } else { host.split(':').next().unwrap_or(host) };
        self.off || (!any(&self.reject_paths, path) && !any(&self.reject_methods, method) && any(&self.accept_paths, path) && any(&self.accept_hosts, host))
    }
}

struct Proxy {
    api: Rc<Api>,
    filter: Filter,
    api_prefix: String,
    www: Option<(PathBuf, String)>,
}

async fn run(call: &Call) -> Outcome {
    let flags = &call.flags;
    if !call.args().is_empty() {
        return Err(Failure::Text(format!("unknown command {:?} for \"kubectl proxy\"", call.args()[0])));
    }
    if flags.given("port") && flags.int("port") != 8001 && !flags.text("unix-socket").is_empty() {
        return fail("cannot set --unix-socket and --port at the same time");
    }
    let mut api_prefix = flags.text("api-prefix").to_owned();
    if !api_prefix.ends_with('/') {
        api_prefix.push('/');
    }
    let www = Some(flags.text("www")).filter(|w| !w.is_empty()).map(|w| (PathBuf::from(w), flags.text("www-prefix").to_owned()));
    let proxy = Rc::new(Proxy { api: call.api().await?, filter: Filter::of(call)?, api_prefix, www });
    let local = tokio::task::LocalSet::new();
    let work = async {
        if flags.text("unix-socket").is_empty() {
            let address: SocketAddr = format!("{}:{}", flags.text("address"), flags.int("port")).parse().map_err(|e| Failure::Text(format!("invalid address: {e}")))?;
            let listener = TcpListener::bind(address).await.map_err(|e| Failure::Text(format!("listen tcp {address}: {}", crate::failure::go_io(&e))))?;
            say!("Starting to serve on {}", listener.local_addr()?);
            loop {
                let (socket, _) = listener.accept().await?;
                serve(proxy.clone(), TokioIo::new(socket));
            }
        }
        let path = flags.text("unix-socket");
        // A socket that an earlier proxy left is in the way.
        if std::fs::symlink_metadata(path).is_ok_and(|m| std::os::unix::fs::FileTypeExt::is_socket(&m.file_type())) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        say!("Starting to serve on {path}");
        loop {
            let (socket, _) = listener.accept().await?;
            serve(proxy.clone(), TokioIo::new(socket));
        }
    };
    local.run_until(async {
        tokio::select! {
            result = work => result,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
    .await
}

fn serve<S>(proxy: Rc<Proxy>, socket: TokioIo<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    tokio::task::spawn_local(async move {
        let service = hyper::service::service_fn(move |request| {
            let proxy = proxy.clone();
            async move { Ok::<_, Infallible>(answer(&proxy, request).await) }
        });
        // A client that goes away is its own affair.
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(socket, service).await;
    });
}

fn plain(code: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.as_bytes().to_vec()));
    *response.status_mut() = code;
    response
}

async fn answer(proxy: &Proxy, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let host = request.headers().get("host").and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned();
    if let Some((folder, prefix)) = &proxy.www
        && let Some(file) = path.strip_prefix(prefix.as_str())
    {
        return serve_file(folder, file);
    }
    if !proxy.filter.lets(request.method().as_str(), &path, &host) {
        return plain(StatusCode::FORBIDDEN, "Forbidden");
    }
    let Some(rest) = path.strip_prefix(proxy.api_prefix.as_str()) else { return plain(StatusCode::NOT_FOUND, "404 page not found\n") };
    let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else { return plain(StatusCode::BAD_REQUEST, "the request's body could not be read\n") };
    let mut builder = Request::builder().method(parts.method).uri(format!("/{rest}{query}"));
    for (name, value) in &parts.headers {
        // Who asks is this user, whatever the client says; the rest is between two connections.
        if !["host", "connection", "authorization", "content-length", "transfer-encoding", "accept-encoding"].contains(&name.as_str()) {
            builder = builder.header(name, value);
        }
    }
    let Ok(forwarded) = builder.body(bytes.to_vec()) else { return plain(StatusCode::BAD_REQUEST, "bad request\n") };
    match proxy.api.send_any(forwarded).await {
        Ok(mut response) => {
            response.headers_mut().remove("transfer-encoding");
            response.headers_mut().remove("connection");
            response
        }
        Err(e) => plain(StatusCode::BAD_GATEWAY, &format!("{}\n", e.message())),
    }
}

fn serve_file(folder: &Path, file: &str) -> Response<Body> {
    let inside = Path::new(file).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    match std::fs::read(folder.join(file)) {
        Ok(bytes) if inside => {
            let mut response = Response::new(Body::from(bytes));
            let kind = match Path::new(file).extension().and_then(|e| e.to_str()) {
                Some("html") => "text/html; charset=utf-8",
                Some("js") => "text/javascript; charset=utf-8",
                Some("css") => "text/css; charset=utf-8",
                Some("json") => "application/json",
                _ => "application/octet-stream",
            };
            response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}
