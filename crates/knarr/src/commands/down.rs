//! `knarr down`: end the server, the containers and everything they left on the machine.

use std::time::Duration;

use host::{Layout, Waited};

use crate::cli::DownArgs;
use crate::cluster::{daemon, kubeconfig, teardown};
use crate::failure::failure;
use crate::say::{self, Progress};
use crate::settings::Settings;

/// A server that was asked to end answers what it was asked, and writes its record.
const SERVER_GRACE: Duration = Duration::from_secs(90);

pub async fn run(layout: &Layout, args: &DownArgs) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(failure("not running as root", "run the same command with sudo"));
    }
    let progress = Progress::new(false);
    if !layout.data.exists() && !layout.run.exists() {
        say::line(format!("There is no cluster at {}. Nothing was changed.", layout.data.display()));
        return Ok(());
    }
    // Broken settings must not keep a cluster from ending; only the pods' range is needed of them.
    let settings = Settings::load(layout).unwrap_or_default();
    let pod_cidr = settings.as_ref().map_or("10.42.0.0/24", |s| s.pod_cidr.as_str());
    if let Some(server) = daemon::lasting(layout).await {
        let asked = settings.as_ref().and_then(|s| s.access.serving.shutdown().ok()).unwrap_or_default();
        if server.stop(SERVER_GRACE + asked.delay + asked.watch_grace).await == Waited::StillRuns {
            return Err(failure(format!("the server (process {}) does not end", server.pid), "see what it waits for: cat /proc/PID/stack"));
        }
        progress.step("server ended");
    }
    let ended = teardown::run(layout, pod_cidr).await;
    let swept = &ended.swept;
    let counts = [(ended.pods, "pod"), (swept.processes, "process"), (swept.mounts, "mount"), (swept.links, "link"), (swept.groups, "cgroup")];
    let words: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| plural(*count, word)).collect();
    progress.step(if words.is_empty() { "nothing was left to end".into() } else { format!("ended {}", words.join(", ")) });
    if !ended.swept.left.is_empty() {
        return Err(failure(
            format!("something would not go:\n  {}", ended.swept.left.join("\n  ")),
            "run `knarr down` again; if it stays, the lines above say what to look at",
        ));
    }
    if args.purge {
        host::purge(layout)?;
        if let (Some(path), Some(settings)) = (kubeconfig::users_own(), &settings)
            && kubeconfig::remove(&path, &settings.name).unwrap_or(false)
        {
            progress.step(format!("context {} taken out of {}", settings.name, path.display()));
        }
        progress.ready(format!("{} is gone", layout.data.display()));
    } else {
        progress.ready(format!("ended; the data stays in {} (`knarr up` starts it again, `knarr down --purge` removes it)", layout.data.display()));
    }
    Ok(())
}

fn plural(count: usize, word: &str) -> String {
    let ending = match (count, word.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {word}{ending}")
}
