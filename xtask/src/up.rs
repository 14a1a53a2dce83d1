//! The newcomer's first command: from nothing to a page served by a cluster.

use std::path::Path;
use std::process::Command;
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
    let address = service_address(&args.data_dir)?;
    let start = Instant::now();
    let page = page(&address)?;
    println!("{:>6} ms  the example application answers", start.elapsed().as_millis());
    println!("\n{}\n\nserved by the example application at http://{address}/ through its Service\n", page.trim());
    println!("The kubeconfig is {}. Three things to try:\n", kubeconfig.display());
    println!("  {} status", binary.display());
    println!("  {} kubectl --kubeconfig {} get all -n hello", binary.display(), kubeconfig.display());
    println!("  {} down", binary.display());
    Ok(())
}

/// The cluster address of the example's Service, asked of the API with the administrator's certificate.
fn service_address(data: &Path) -> Result<String> {
    let pki = |name: &str| data.join("pki").join(name);
    let kubeconfig = data.join("kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).with_context(|| kubeconfig.display().to_string())?;
    let server = text.lines().find_map(|line| line.trim().strip_prefix("server:")).with_context(|| format!("{}: no server", kubeconfig.display()))?;
    let url = format!("{}/api/v1/namespaces/hello/services/hello", server.trim().trim_matches('"'));
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--cacert"]).arg(pki("ca.crt")).arg("--cert").arg(pki("admin.crt")).arg("--key").arg(pki("admin.key")).arg(&url);
    let service: Value = serde_json::from_str(&output(&mut curl)?).context("the Service is no JSON")?;
    service["spec"]["clusterIP"].as_str().map(str::to_owned).context("the Service has no cluster address")
}

/// The page, as soon as one copy serves it: curl asks again where it is refused, for a bounded time.
fn page(address: &str) -> Result<String> {
    let args = ["-sS", "--fail", "--retry", PATIENCE, "--retry-delay", "1", "--retry-all-errors", "--retry-max-time", PATIENCE, "--connect-timeout", "2"];
    output(Command::new("curl").args(args).arg(format!("http://{address}/")))
        .with_context(|| format!("the example application did not answer within {PATIENCE} s; `kubectl describe pods -n hello` tells why"))
}
