//! The newcomer's first command: from nothing to a page served by a cluster.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build;
use crate::run::{output, root, run};

/// How long the example application may take, in seconds.
const PATIENCE: &str = "120";

#[derive(clap::Args)]
pub struct Args {
    /// Where the cluster keeps everything
    #[arg(long, default_value = "/var/lib/knarr", env = "KNARR_DATA_DIR")]
    pub data_dir: std::path::PathBuf,
    /// Further settings for `knarr up`, such as `-- --port 7443`
    #[arg(last = true)]
    pub rest: Vec<String>,
}

pub fn start(args: &Args) -> Result<()> {
    if !build::is_root()? {
        bail!("a node needs root: run `sudo -E cargo xtask up`");
    }
    build::ensure_node()?;
    build::ensure(&[("curl", "curl")])?;
    println!("building (the first time takes some minutes)");
    let binary = build::release()?;
    let knarr = |words: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--data-dir").arg(&args.data_dir).args(words);
        command
    };
    run(knarr(&["up"]).args(&args.rest))?;
    run(knarr(&["apply", "-f"]).arg(root().join("examples/hello.yaml")))?;
    let kubeconfig = args.data_dir.join("kubeconfig");
    let address = service_address(&kubeconfig)?;
    let start = Instant::now();
    let page = page(&address)?;
    println!("{:>6} ms  the example application answers", start.elapsed().as_millis());
    println!("\n{}\n\nserved by the example application at http://{address}/ through its Service\n", page.trim());
    println!("The kubeconfig is {}. Three things to try:\n", kubeconfig.display());
    println!("  {} status", binary.display());
    println!("  KUBECONFIG={} kubectl get all -n hello     (kubectl: apt-get install kubernetes-client)", kubeconfig.display());
    println!("  {} down", binary.display());
    Ok(())
}

/// The cluster address of the example's Service, asked of the API as the kubeconfig's user.
fn service_address(kubeconfig: &Path) -> Result<String> {
    let text = std::fs::read_to_string(kubeconfig).with_context(|| kubeconfig.display().to_string())?;
    let field = |key: &str| {
        let found = text.lines().find_map(|line| line.trim().strip_prefix("- ").unwrap_or(line.trim()).strip_prefix(key));
        found.map(|value| value.trim().trim_matches('"').to_owned()).with_context(|| format!("{}: no {key}", kubeconfig.display()))
    };
    let folder = kubeconfig.parent().context("the kubeconfig has no folder")?.join("xtask-curl");
    std::fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    for (key, name) in [("certificate-authority-data:", "ca"), ("client-certificate-data:", "cert"), ("client-key-data:", "key")] {
        let path = folder.join(name);
        decode(&field(key)?, &path)?;
        files.push(path);
    }
    let url = format!("{}/api/v1/namespaces/hello/services/hello", field("server:")?);
    let answer = output(Command::new("curl").args(["-sS", "--fail", "--cacert"]).arg(&files[0]).arg("--cert").arg(&files[1]).arg("--key").arg(&files[2]).arg(&url));
    std::fs::remove_dir_all(&folder)?;
    let service: Value = serde_json::from_str(&answer?).context("the Service is no JSON")?;
    service["spec"]["clusterIP"].as_str().map(str::to_owned).context("the Service has no cluster address")
}

fn decode(text: &str, path: &Path) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut child = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(file).spawn().context("could not start base64")?;
    child.stdin.take().context("no standard input")?.write_all(text.as_bytes())?;
    if !child.wait()?.success() {
        bail!("base64 could not decode a certificate of the kubeconfig");
    }
    Ok(())
}

/// The page, as soon as one copy serves it: curl asks again where it is refused, for a bounded time.
fn page(address: &str) -> Result<String> {
    let args = ["-sS", "--fail", "--retry", PATIENCE, "--retry-delay", "1", "--retry-all-errors", "--retry-max-time", PATIENCE, "--connect-timeout", "2"];
    output(Command::new("curl").args(args).arg(format!("http://{address}/")))
        .with_context(|| format!("the example application did not answer within {PATIENCE} s; `kubectl describe pods -n hello` tells why"))
}
