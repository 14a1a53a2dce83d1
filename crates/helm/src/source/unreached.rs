//! Why a server was not reached, in the words of Go's `net` package, which people know from Helm.

use std::error::Error;
use std::io::ErrorKind;
use std::net::ToSocketAddrs as _;

/// The words for an error of a request to a host; those of other faults are the library's own.
pub fn reason(host: &str, port: u16, error: &(dyn Error + 'static)) -> String {
    let mut at = error;
    let mut io = None;
    loop {
        io = at.downcast_ref::<std::io::Error>().or(io);
        match at.source() {
            Some(next) => at = next,
            None => break,
        }
    }
    let text = at.to_string();
    if text.contains("lookup address information") || text.contains("failed to lookup") {
        return format!("dial tcp: lookup {host}{}: no such host", resolver());
    }
    if text.contains("UnknownIssuer") {
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority".into();
    }
    match io.map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => format!("dial tcp {}: connect: connection refused", address(host, port)),
        Some(ErrorKind::TimedOut) => format!("dial tcp {}: i/o timeout", address(host, port)),
        Some(ErrorKind::ConnectionReset) => "read: connection reset by peer".into(),
        Some(ErrorKind::HostUnreachable) => format!("dial tcp {}: connect: no route to host", address(host, port)),
        Some(ErrorKind::NetworkUnreachable) => format!("dial tcp {}: connect: network is unreachable", address(host, port)),
        Some(ErrorKind::UnexpectedEof) => "EOF".into(),
        _ => text,
    }
}

/// Like [`reason`], for a URL.
pub fn of_url(url: &reqwest::Url, error: &(dyn Error + 'static)) -> String {
    reason(url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default(), error)
}

/// The address that was dialled: IPv4 goes before IPv6.
fn address(host: &str, port: u16) -> String {
    let found: Vec<_> = (host.trim_matches(['[', ']']), port).to_socket_addrs().into_iter().flatten().collect();
    found.iter().find(|a| a.is_ipv4()).or(found.first()).map_or_else(|| format!("{host}:{port}"), ToString::to_string)
}

/// ` on` the first name server of this machine.
fn resolver() -> String {
    let conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let server = conf.lines().find_map(|l| l.trim().strip_prefix("nameserver")?.split_whitespace().next().map(str::to_owned));
    server.map_or_else(String::new, |s| format!(" on {s}:53"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn refused_names_the_address() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(super::reason("127.0.0.1", 1, &refused), "dial tcp 127.0.0.1:1: connect: connection refused");
        assert_eq!(super::reason("[::1]", 1, &refused), "dial tcp [::1]:1: connect: connection refused");
    }
}
