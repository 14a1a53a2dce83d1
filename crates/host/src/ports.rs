//! Who listens on a TCP port, read from /proc.

use std::fmt;
use std::time::{Duration, Instant};

/// The process that holds a port, as far as /proc tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: Option<i32>,
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{} (process {pid})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A killed process lets go of its sockets only as its end completes: so long a holder that nobody can see is looked for again.
const ENDING: Duration = Duration::from_secs(3);

/// None when the port is free on every address.
pub fn port_holder(port: u16) -> Option<Holder> {
    let start = Instant::now();
    loop {
        let holder = holder_now(port)?;
        if holder.pid.is_some() || start.elapsed() > ENDING {
            return Some(holder);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn holder_now(port: u16) -> Option<Holder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let unknown = Holder { pid: None, name: "a process that cannot be seen from here".into() };
    let socket = format!("socket:[{inode}]");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Some(unknown) };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(files) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.to_str() == Some(socket.as_str())));
        if holds {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned();
            return Some(Holder { pid: Some(pid), name });
        }
    }
    Some(unknown)
}

/// Lines look like `0: 0100007F:1F90 00000000:0000 0A ... inode ...`; state 0A is LISTEN.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, at) = fields.get(1)?.rsplit_once(':')?;
        let matches = u16::from_str_radix(at, 16).ok()? == port && *fields.get(3)? == "0A";
        if matches { fields.get(9)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(port_holder(port).unwrap().pid, Some(std::process::id() as i32));
        drop(listener);
        assert_eq!(port_holder(port), None);
    }
}
