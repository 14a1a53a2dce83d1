//! `kubectl port-forward`.
// Upstream: kubectl pkg/cmd/portforward/portforward.go, client-go tools/portforward (the sentences).

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail};
use crate::flags::{Flag, duration, slice};
use crate::select::Info;
use crate::{complain, pods, run, say};

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
    let info = pods::named(call, who).await?;
    let pod = pods::of_object(call, &info, call.flags.duration("pod-running-timeout")).await?;
    if pod["status"]["phase"] != "Running" {
        return fail(format!("unable to forward port because pod is not running. Current status={}", pod["status"]["phase"].as_str().unwrap_or_default()));
    }
    let ports = ports.iter().map(|text| parse(text, &info, &pod)).collect::<Outcome<Vec<_>>>()?;
    let api: Api<Pod> = Api::namespaced(call.api().await?.client.clone(), api::meta::namespace(&pod));
    let name = api::meta::name(&pod).to_owned();
    let mut listeners = Vec::new();
    for ports in ports {
        let mut some = false;
        for (address, required) in addresses(&call.flags.list("address"))? {
            match TcpListener::bind((address, ports.local)).await {
                Ok(listener) => {
                    some = true;
                    let local = listener.local_addr()?;
                    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
                    say!("Forwarding from {host}:{} -> {}", local.port(), ports.remote);
                    listeners.push((listener, ports));
                }
                Err(e) if required => complain!("Unable to listen on port {}: Listeners failed to create with the following errors: [unable to create listener: Error listen tcp4 {address}:{}: {}]", ports.local, ports.local, crate::failure::go_io(&e)),
                // A machine may have only one of localhost's two addresses.
                Err(_) => {}
            }
        }
        if !some {
            return fail(format!("unable to listen on any of the requested ports: [{{{} {}}}]", ports.local, ports.remote));
        }
    }
    let serving = futures::future::join_all(listeners.into_iter().map(|(listener, ports)| serve(api.clone(), name.clone(), listener, ports)));
    tokio::select! {
        _ = serving => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn addresses(words: &[String]) -> Outcome<Vec<(IpAddr, bool)>> {
    let mut out = Vec::new();
    for word in words {
        if word == "localhost" {
            out.push((IpAddr::from([127, 0, 0, 1]), true));
            out.push((IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]), false));
            continue;
        }
        out.push((word.parse().map_err(|_| Failure::Text(format!("{word} is not a valid IP")))?, true));
    }
    Ok(out)
}

/// `8080:80`, `:http`, `5000`: names and a service's ports become ports of the pod.
fn parse(text: &str, info: &Info, pod: &Value) -> Outcome<Ports> {
    let invalid = || Failure::Text(format!("invalid port format '{text}'"));
    let (local, remote) = match text.split(':').collect::<Vec<_>>()[..] {
        [one] => (one, one),
        [local, remote] => (if local.is_empty() { "0" } else { local }, remote),
        _ => return Err(invalid()),
    };
    let target = if info.resource.kind == "Service" { of_service(remote, info, pod)? } else { of_pod(remote, pod)? };
    let local = match local.parse::<u16>() {
        Ok(port) => port,
        Err(_) if local == remote => target,
        Err(_) => return fail(format!("error parsing local port '{local}': strconv.ParseUint: parsing {local:?}: invalid syntax")),
    };
    if target == 0 {
        return fail("remote port must be > 0");
    }
    Ok(Ports { local, remote: target })
}

fn of_pod(port: &str, pod: &Value) -> Outcome<u16> {
    if let Ok(number) = port.parse::<u16>() {
        return Ok(number);
    }
    if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() {
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

async fn serve(api: Api<Pod>, pod: String, listener: TcpListener, ports: Ports) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let local = listener.local_addr().map_or(ports.local, |a| a.port());
        say!("Handling connection for {local}");
        let (api, pod) = (api.clone(), pod.clone());
        tokio::spawn(async move {
            if let Err(why) = forward(&api, &pod, socket, ports.remote).await {
                complain!("E{} portforward.go:424] \"Unhandled Error\" err=\"an error occurred forwarding {local} -> {}: {why}\"", jiff::Zoned::now().strftime("%m%d %H:%M:%S%.6f"), ports.remote);
            }
        });
    }
}

async fn forward(api: &Api<Pod>, pod: &str, mut socket: TcpStream, port: u16) -> Result<(), String> {
    let mut forwarder = api.portforward(pod, &[port]).await.map_err(|e| format!("error forwarding port {port} to pod {pod}: {}", crate::client::chain(&e)))?;
    let fault = forwarder.take_error(port);
    let Some(mut stream) = forwarder.take_stream(port) else { return Err("no stream".into()) };
    // Either end may go first: that is how connections end.
    let _ = tokio::io::copy_bidirectional(&mut socket, &mut stream).await;
    drop(stream);
    if let Some(fault) = fault
        && let Ok(Some(why)) = tokio::time::timeout(std::time::Duration::from_millis(100), fault).await
    {
        return Err(why);
    }
    forwarder.abort();
    Ok(())
}
