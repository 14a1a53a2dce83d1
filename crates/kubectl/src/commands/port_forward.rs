//! `kubectl port-forward`.
// Upstream: kubectl pkg/cmd/portforward/portforward.go, client-go tools/portforward (the sentences).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use spdy::{Connection, StreamReader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, slice};
use crate::select::Info;
use crate::client::escape;
use crate::{complain, pods, run, say, session};

const FLAGS: &[Flag] = &[slice("address", "Addresses to listen on: IP addresses or localhost.").default("localhost"), duration("pod-running-timeout", "1m0s", "How long to wait for a running pod.")];

pub const COMMAND: Command = Command {
    name: "port-forward",
    usage: "TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
    about: "Bring ports of a pod to this machine.",
    examples: "kubectl port-forward pod/mypod 5000 6000\n\n# A service's port, by name\nkubectl port-forward service/myservice 8443:https",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

#[derive(Debug, Clone, Copy, PartialEq)]
struct Ports {
    local: u16,
    remote: u16,
}

async fn run(call: &Call) -> Outcome {
    let Some((who, ports)) = call.args().split_first().filter(|(_, ports)| !ports.is_empty()) else {
        return Err(call.usage("TYPE/NAME and list of ports are required for port-forward"));
    };
    let limit = pods::running_timeout(call)?;
    let info = pods::named(call, who).await?;
    let pod = pods::of_object(call, &info, limit).await?;
    if pod["status"]["phase"] != "Running" {
        return fail(format!("unable to forward port because pod is not running. Current status={}", pod["status"]["phase"].as_str().unwrap_or_default()));
    }
    let ports = ports.iter().map(|text| parse(text, &info, &pod)).collect::<Outcome<Vec<_>>>()?;
    let addresses = addresses(&call.flags.list("address"))?;
    let path = format!("/api/v1/namespaces/{}/pods/{}/portforward", escape(api::meta::namespace(&pod)), escape(api::meta::name(&pod)));
    let connection = session::ports(&*call.api().await?, &path).await.map_err(|e| Failure::Text(format!("error upgrading connection: {}", e.message())))?;
    let connection = Arc::new(Forwarding { connection, requests: AtomicU32::new(0) });
    let (mut listeners, mut is_some_whole) = (Vec::new(), false);
    for ports in &ports {
        is_some_whole |= listen(*ports, &addresses, &mut listeners).await;
    }
    if !is_some_whole {
        let asked: Vec<String> = ports.iter().map(|p| format!("{{{} {}}}", p.local, p.remote)).collect();
        return fail(format!("unable to listen on any of the requested ports: [{}]", asked.join(" ")));
    }
    let serving = futures::future::join_all(listeners.into_iter().map(|(listener, ports)| serve(connection.clone(), listener, ports)));
    tokio::select! {
        _ = serving => Ok(()),
        () = connection.connection.closed() => fail("lost connection to pod"),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Listens on one port of all addresses; says what does not go, and whether all that must be had was.
async fn listen(mut ports: Ports, addresses: &[(IpAddr, Needed)], listeners: &mut Vec<(TcpListener, Ports)>) -> bool {
    let (mut faults, mut is_missed, mut some_of_localhost) = (Vec::new(), false, false);
    for (address, needed) in addresses {
        match TcpListener::bind((*address, ports.local)).await.and_then(|l| Ok((l.local_addr()?.port(), l))) {
            Ok((local, listener)) => {
                ports.local = local;
                say!("Forwarding from {} -> {}", std::net::SocketAddr::from((*address, local)), ports.remote);
                some_of_localhost |= *needed == Needed::AnyOfLocalhost;
                listeners.push((listener, ports));
            }
            Err(e) => {
                is_missed |= *needed == Needed::Itself;
                let family = if address.is_ipv6() { "tcp6" } else { "tcp4" };
                faults.push(format!("unable to create listener: Error listen {family} {}: {}", std::net::SocketAddr::from((*address, ports.local)), crate::failure::go_io(&e)));
            }
        }
    }
    let is_whole = !is_missed && (some_of_localhost || addresses.iter().all(|(_, needed)| *needed != Needed::AnyOfLocalhost));
    if !is_whole {
        complain!("Unable to listen on port {}: Listeners failed to create with the following errors: [{}]", ports.local, faults.join(" "));
    }
    is_whole
}

/// Which addresses must be had.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Needed {
    /// A machine may have only one of localhost's two addresses.
    AnyOfLocalhost,
    Itself,
}

fn addresses(words: &[String]) -> Outcome<Vec<(IpAddr, Needed)>> {
    let mut out: Vec<(IpAddr, Needed)> = Vec::new();
    for word in words {
        let of_word = match word.as_str() {
            "localhost" => vec![(IpAddr::from([127, 0, 0, 1]), Needed::AnyOfLocalhost), (IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]), Needed::AnyOfLocalhost)],
            other => vec![(other.parse().map_err(|_| Failure::Text(format!("{other} is not a valid IP")))?, Needed::Itself)],
        };
        for one in of_word {
            out.retain(|(address, _)| *address != one.0);
            out.push(one);
        }
    }
    out.sort_by_key(|(address, _)| address.to_string());
    Ok(out)
}

/// `8080:80`, `:http`, `5000`: names and a service's ports become ports of the pod.
fn parse(text: &str, info: &Info, pod: &Value) -> Outcome<Ports> {
    let (local, remote) = match text.split(':').collect::<Vec<_>>()[..] {
        [one] => (one, one),
        [local, remote] => (if local.is_empty() { "0" } else { local }, remote),
        // Upstream: what has more parts is taken by its first.
        [first, ..] => (first, first),
        [] => (text, text),
    };
    let target = if info.resource.kind == "Service" { of_service(remote, info, pod)? } else { of_pod(remote, pod)? };
    let local = match local.parse::<u16>() {
        Ok(port) => port,
        Err(_) if local == remote => target,
        Err(_) => return fail(format!("error parsing local port '{local}': strconv.ParseUint: parsing {local:?}: {}", if is_number(local) { "value out of range" } else { "invalid syntax" })),
    };
    if target == 0 {
        return fail("remote port must be > 0");
    }
    Ok(Ports { local, remote: target })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn of_pod(port: &str, pod: &Value) -> Outcome<u16> {
    if let Ok(number) = port.parse::<u16>() {
        return Ok(number);
    }
    if is_number(port) {
        return fail(format!("error parsing remote port '{port}': strconv.ParseUint: parsing {port:?}: value out of range"));
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let found = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten()).find(|p| p["name"] == port);
    match found.and_then(|p| p["containerPort"].as_u64()).and_then(|p| u16::try_from(p).ok()) {
        Some(port) => Ok(port),
        None => fail(format!("Pod '{}' does not have a named port '{port}'", api::meta::name(pod))),
    }
}

fn of_service(port: &str, info: &Info, pod: &Value) -> Outcome<u16> {
    let mut ports = info.object["spec"]["ports"].as_array().into_iter().flatten();
    let found = ports.find(|p| p["name"] == port || p["port"].to_string() == port);
    let Some(found) = found else { return fail(format!("Service {} does not have a service port {port}", info.name)) };
    if info.object["spec"]["clusterIP"] == "None" {
        return of_pod(port, pod);
    }
    match &found["targetPort"] {
        Value::Number(n) => n.as_u64().and_then(|p| u16::try_from(p).ok()).ok_or_else(|| Failure::Text(format!("Service {} has no target port", info.name))),
        Value::String(name) => of_pod(name, pod),
        _ => of_pod(&found["port"].to_string(), pod),
    }
}

/// The connection to the pod; what goes over it is numbered.
struct Forwarding {
    connection: Connection,
    requests: AtomicU32,
}

async fn serve(to: Arc<Forwarding>, listener: TcpListener, ports: Ports) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        say!("Handling connection for {}", ports.local);
        let to = to.clone();
        tokio::spawn(async move {
            if let Err((what, why)) = forward(&to, socket, ports.remote).await {
                crate::call::log('E', "portforward.go:549", &format!("\"{what}\" err=\"{}\" localPort={} remotePort={}", why.escape_default(), ports.local, ports.remote));
            }
        });
    }
}

/// One connection: a stream for what goes wrong, one for the data.
async fn forward(to: &Forwarding, mut socket: TcpStream, port: u16) -> Result<(), (&'static str, String)> {
    let (port, request) = (port.to_string(), to.requests.fetch_add(1, Ordering::Relaxed).to_string());
    let headers = |kind| [("streamtype", kind), ("port", port.as_str()), ("requestid", request.as_str())];
    let (error, nothing) = to.connection.open(&headers("error")).await.map_err(|e| ("Error creating error stream", e.to_string()))?;
    // Nothing is written there.
    let _ = nothing.end().await;
    let (mut data, writer) = to.connection.open(&headers("data")).await.map_err(|e| ("Error creating forwarding stream", e.to_string()))?;
    let (mut from_client, mut to_client) = socket.split();
    let up = async {
        let mut part = vec![0; 32 << 10];
        while let Ok(count @ 1..) = from_client.read(&mut part).await {
            if writer.write(&part[..count]).await.is_err() {
                break;
            }
        }
        let _ = writer.end().await;
        // The pod may still have something to say.
        std::future::pending::<()>().await;
    };
    let down = async {
        while let Some(part) = data.next().await {
            if to_client.write_all(&part).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    // What is still on its way is not waited for, or it would hold up the error.
    let _ = writer.reset().await;
    drop(data);
    match fault(error).await {
        text if text.is_empty() => Ok(()),
        text => {
            to.connection.close();
            Err(("An error occurred forwarding", text))
        }
    }
}

/// What the pod's side complains of; empty where all went well.
async fn fault(mut from: StreamReader) -> String {
    const LONGEST: usize = 64 << 10;
    let mut text = Vec::new();
    while let Some(part) = from.next().await {
        text.extend_from_slice(&part[..part.len().min(LONGEST - text.len())]);
    }
    String::from_utf8_lossy(&text).into_owned()
}
