//! `kubectl cp`: files from and to containers, by the container's own tar.
//!
//! What comes back is hostile until proven otherwise: names that lead out of the target and links are refused.
// Upstream: kubectl pkg/cmd/cp/cp.go; CVE-2018-1002100, CVE-2019-1002101, CVE-2019-11246, CVE-2019-11249, CVE-2019-11251.

use std::io::{Read, Write as _};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Failure, Outcome, fail, path_error};
use crate::flags::{Flag, int, text, yes_no};
use crate::session::{self, Target};
use crate::{complain, pods, run};

const FLAGS: &[Flag] = &[
    text("container", "", "The container; the pod's default unless said.").short('c'),
    yes_no("no-preserve", "Do not keep owner and permissions."),
    int("retries", "0", "How often to go on after a broken copy; 0 never."),
];

pub const COMMAND: Command = Command {
    name: "cp",
    usage: "<file-spec-src> <file-spec-dest>",
    about: "Copy files and folders from and to containers.\n\nThe container needs tar. Links are not followed.",
    examples: "kubectl cp /tmp/foo_dir some-pod:/tmp/bar_dir\n\n# From a pod of another namespace\nkubectl cp some-namespace/some-pod:/tmp/foo /tmp/bar",
    flags: &[FLAGS],
    run: run!(run),
    ..EMPTY
};

struct Place {
    namespace: String,
    pod: String,
    file: String,
}

fn parse(text: &str) -> Outcome<Place> {
    let invalid = || Failure::Text("filespec must match the canonical format: [[namespace/]pod:]file/path".into());
    let Some((who, file)) = text.split_once(':') else { return Ok(Place { namespace: String::new(), pod: String::new(), file: text.to_owned() }) };
    if who.is_empty() {
        return Err(invalid());
    }
    match who.split('/').collect::<Vec<_>>()[..] {
        [pod] => Ok(Place { namespace: String::new(), pod: pod.into(), file: file.into() }),
        [namespace, pod] => Ok(Place { namespace: namespace.into(), pod: pod.into(), file: file.into() }),
        _ => Err(invalid()),
    }
}

async fn run(call: &Call) -> Outcome {
    let [from, to] = call.args() else { return fail("source and destination are required") };
    let (from, to) = (parse(from)?, parse(to)?);
    if !from.pod.is_empty() && !to.pod.is_empty() {
        return fail("one of src or dest must be a local file specification");
    }
    if from.file.is_empty() || to.file.is_empty() {
        return fail("filepath can not be empty");
    }
    if !from.pod.is_empty() {
        return fetch(call, &from, Path::new(&to.file)).await;
    }
    if !to.pod.is_empty() {
        return send(call, Path::new(&from.file), &to).await;
    }
    fail("one of src or dest must be a remote file specification")
}

async fn target(call: &Call, place: &Place, command: Vec<String>, stdin: bool) -> Outcome<Target> {
    let namespace = if place.namespace.is_empty() { call.namespace()?.name } else { place.namespace.clone() };
    let pod: Value = call.api().await?.get(&format!("/api/v1/namespaces/{namespace}/pods/{}", crate::client::escape(&place.pod))).await?;
    let container = pods::container(&pod, call.flags.text("container"), false)?;
    Ok(Target { namespace, pod: place.pod.clone(), container, verb: "exec", command, stdin, tty: false, stderr: true })
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|w| (*w).to_owned()).collect()
}

async fn send(call: &Call, from: &Path, to: &Place) -> Outcome {
    if !from.exists() {
        return fail(format!("{} doesn't exist in local filesystem", from.display()));
    }
    let mut remote = to.file.trim_end_matches('/').to_owned();
    if remote.is_empty() {
        remote = "/".into();
    }
    let base = from.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // A folder there takes the file under its own name.
    let probe = target(call, to, words(&["test", "-d", &remote]), false).await?;
    if session::piped(call, &probe, None, tokio::io::sink(), tokio::io::sink()).await? == 0 {
        remote = format!("{}/{base}", remote.trim_end_matches('/'));
    }
    let (folder, name) = remote.rsplit_once('/').map_or((".", remote.as_str()), |(f, n)| (if f.is_empty() { "/" } else { f }, n));
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    let packed = if from.is_dir() { archive.append_dir_all(name, from) } else { archive.append_path_with_name(from, name) };
    packed.map_err(|e| Failure::Text(path_error("open", &from.display().to_string(), &e)))?;
    let bytes = archive.into_inner()?;
    let mut command = vec!["tar", "-xmf", "-", "-C", folder];
    if call.flags.yes("no-preserve") {
        command = vec!["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-", "-C", folder];
    }
    let target = target(call, to, words(&command), true).await?;
    session::ended(session::piped(call, &target, Some(Box::new(std::io::Cursor::new(bytes))), tokio::io::stdout(), tokio::io::stderr()).await?)
}

async fn fetch(call: &Call, from: &Place, to: &Path) -> Outcome {
    let clean = from.file.trim_end_matches('/');
    let target = target(call, from, words(&["tar", "cf", "-", clean]), false).await?;
    let mut bytes = Vec::new();
    let code = session::piped(call, &target, None, std::io::Cursor::new(&mut bytes), tokio::io::stderr()).await?;
    let base = Path::new(clean).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let to = if to.is_dir() && !base.is_empty() { to.join(base) } else { to.to_owned() };
    unpack(&bytes, clean.trim_start_matches('/'), &to)?;
    session::ended(code)
}

/// Where an entry goes; nothing for what would leave the target.
fn inside(to: &Path, prefix: &str, name: &Path) -> Option<PathBuf> {
    let rest = name.strip_prefix("/").unwrap_or(name);
    let rest = rest.strip_prefix(prefix).ok()?;
    if !rest.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    Some(if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) })
}

fn unpack(bytes: &[u8], prefix: &str, to: &Path) -> Outcome {
    let mut archive = tar::Archive::new(bytes);
    let fault = |e: std::io::Error| Failure::Text(crate::failure::go_io(&e));
    let mut links = false;
    for entry in archive.entries().map_err(fault)? {
        let mut entry = entry.map_err(fault)?;
        let name = entry.path().map_err(fault)?.into_owned();
        let Some(target) = inside(to, prefix, &name) else {
            complain!("warning: skipping entry {name:?}: it would be outside of the destination");
            continue;
        };
        // Links that an archive brought, or that lie in the way, could lead anywhere.
        let through_link = target.parent().is_some_and(|p| p.starts_with(to) && p.ancestors().take_while(|a| a.starts_with(to) && *a != to).any(|a| std::fs::symlink_metadata(a).is_ok_and(|m| m.file_type().is_symlink())));
        match entry.header().entry_type() {
            tar::EntryType::Directory if !through_link => std::fs::create_dir_all(&target)?,
            tar::EntryType::Regular if !through_link => {
                if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
                    std::fs::create_dir_all(parent)?;
                }
                if std::fs::symlink_metadata(&target).is_ok_and(|m| m.file_type().is_symlink()) {
                    std::fs::remove_file(&target)?;
                }
                let mut file = std::fs::File::create(&target).map_err(|e| Failure::Text(path_error("open", &target.display().to_string(), &e)))?;
                let mut buffer = [0; 16 * 1024];
                loop {
                    let read = entry.read(&mut buffer)?;
                    if read == 0 {
                        break;
                    }
                    file.write_all(&buffer[..read])?;
                }
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                if !links {
                    complain!("warning: skipping symlink: {name:?} -> {:?} (consider using \"kubectl exec -n \"x\" \"pod\" -- tar cf - \"file\" | tar xf -\")", entry.link_name().ok().flatten().unwrap_or_default());
                }
                links = true;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn entries_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("out");
        unpack(&archive(&[("data/a", "1"), ("data/../../evil", "2"), ("other", "3"), ("/data/b/c", "4")]), "data", &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "1");
        assert_eq!(std::fs::read_to_string(to.join("b/c")).unwrap(), "4");
        assert!(!folder.path().join("evil").exists() && !to.join("other").exists());
    }

    #[test]
    fn links_are_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (to, outside) = (folder.path().join("out"), folder.path().join("outside"));
        std::fs::create_dir_all(&to).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, to.join("link")).unwrap();
        unpack(&archive(&[("data/link/evil", "2")]), "data", &to).unwrap();
        assert!(!outside.join("evil").exists());
    }
}
