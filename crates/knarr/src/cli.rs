//! The command line: one struct per command, help that teaches by example.

mod access;
mod accounts;
mod audit;
mod limits;
mod serving;
pub mod upstream;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

pub use access::AccessArgs;
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "knarr",
    version,
    about = "Kubernetes in one binary",
    arg_required_else_help = true,
    after_help = "Examples:\n  knarr up                          start a cluster on this machine\n  knarr apply -f app.yaml           bring objects to it\n  knarr status                      how it is\n  knarr image import myapp.tar      give it an image of your own\n  knarr down                        end it; its data stays\n\nThe log level is set by KNARR_LOG, such as KNARR_LOG=debug or KNARR_LOG=info,kubelet=debug."
)]
pub struct Cli {
    /// Where the cluster keeps everything [default: /var/lib/knarr]
    #[arg(long, global = true, value_name = "DIR", env = "KNARR_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Start a cluster on this machine and wait until it works
    #[command(after_help = "Examples:\n  knarr up\n  knarr up --data-dir /srv/second --port 7443 --kubelet-port 11250 --pod-cidr 10.52.0.0/24 --service-cidr 10.53.0.0/16\n\nThe kubeconfig is written to DIR/kubeconfig and its context merged into ~/.kube/config. A second `knarr up` changes nothing.")]
    Up(ClusterArgs),
    /// End the cluster: its containers, its processes, its network
    #[command(after_help = "Examples:\n  knarr down             everything ends; objects, volumes and images stay for the next `knarr up`\n  knarr down --purge     and its data is removed")]
    Down(DownArgs),
    /// Show how the cluster is
    Status,
    /// Run everything in the foreground, as `up` does in the background
    Server(ServerArgs),
    /// Bring the objects of files to the cluster (server-side apply)
    #[command(after_help = "Examples:\n  knarr apply -f app.yaml\n  knarr apply -f ./manifests/\n  cat app.yaml | knarr apply -f -")]
    Apply(ApplyArgs),
    /// Bring, list or remove container images
    #[command(subcommand, after_help = "Examples:\n  docker save myapp:1.0 -o myapp.tar && knarr image import myapp.tar\n  knarr image ls\n  knarr image rm docker.io/library/myapp:1.0\n\nArchives put into DIR/images are imported at each start.")]
    Image(ImageCommand),
    /// Keys of what is encrypted on disk
    #[command(subcommand, after_help = "Examples:\n  knarr encryption rotate && knarr down && knarr up     encrypt with a fresh key from now on")]
    Encryption(EncryptionCommand),
    /// Charts: install, upgrade, roll back, remove them (Helm 4)
    #[command(after_help = "Examples:\n  knarr helm install web ./web\n  knarr helm --help")]
    Helm,
    /// Objects of any cluster: show, change, watch them (kubectl 1.37)
    #[command(after_help = "Examples:\n  knarr kubectl get pods -A\n  knarr kubectl --help")]
    Kubectl,
    /// Make links to this binary under the names of its tools, such as helm
    #[command(after_help = "Examples:\n  knarr install-links /usr/local/bin")]
    InstallLinks(LinksArgs),
    /// Run only the API server
    #[command(after_help = "Examples:\n  knarr --data-dir /srv/api apiserver --port 7443\n  knarr apiserver --etcd-servers https://10.0.0.1:2379 --etcd-cafile ca.crt --etcd-certfile client.crt --etcd-keyfile client.key")]
    Apiserver(ClusterArgs),
    /// Run only the scheduler, against any cluster
    Scheduler(ComponentArgs),
    /// Run only the controllers, against any cluster
    Controllers(ControllersArgs),
    /// Run only the node agent, against any cluster
    Kubelet(KubeletArgs),
    /// Run only the service proxy, against any cluster
    Proxy(ProxyArgs),
    /// Run only the cluster's DNS, against any cluster
    Dns(DnsArgs),
}

/// What a cluster is made of. What is left out is as at the last start.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// Name of the cluster and of its kubeconfig context [default: knarr]
    #[arg(long)]
    pub name: Option<String>,
    /// Port of the API server [default: 6443]
    #[arg(long, alias = "secure-port")]
    pub port: Option<u16>,
    /// Port of the node agent [default: 10250]
    #[arg(long)]
    pub kubelet_port: Option<u16>,
    /// Name of this node [default: the machine's name]
    #[arg(long)]
    pub node_name: Option<String>,
    /// Address of this node [default: that of the default route]
    #[arg(long, alias = "advertise-address")]
    pub node_ip: Option<IpAddr>,
    /// Addresses of the pods [default: 10.42.0.0/24]
    #[arg(long, value_name = "RANGE")]
    pub pod_cidr: Option<String>,
    /// Addresses of the services [default: 10.43.0.0/16]
    #[arg(long, value_name = "RANGE", alias = "service-cluster-ip-range")]
    pub service_cidr: Option<String>,
    /// Give every service account a Secret with a token that does not end, as clusters before 1.24 did
    #[arg(long)]
    pub account_secrets: bool,
    #[command(flatten)]
    pub etcd: EtcdArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// An etcd that holds the objects instead of the data folder; several servers may share one.
#[derive(Args, Clone, Debug, Default)]
pub struct EtcdArgs {
    /// Keep the objects in etcd, such as https://10.0.0.1:2379,https://10.0.0.2:2379 [default: in the data folder]
    #[arg(long = "etcd-servers", value_name = "URL", value_delimiter = ',')]
    pub servers: Vec<String>,
    /// Authority of etcd's certificates
    #[arg(long = "etcd-cafile", value_name = "FILE", requires = "servers")]
    pub ca: Option<PathBuf>,
    /// Certificate to show to etcd
    #[arg(long = "etcd-certfile", value_name = "FILE", requires = "servers")]
    pub certificate: Option<PathBuf>,
    /// Its key
    #[arg(long = "etcd-keyfile", value_name = "FILE", requires = "servers")]
    pub key: Option<PathBuf>,
    /// What all keys in etcd begin with
    #[arg(long = "etcd-prefix", value_name = "PATH", default_value = "/registry")]
    pub prefix: String,
    /// How long etcd may take to answer until /livez and /readyz say so [default: 2s]
    #[arg(long = "etcd-healthcheck-timeout", hide_short_help = true, value_name = "TIME", value_parser = access::duration)]
    pub health_timeout: Option<String>,
    /// How long until /readyz alone says so [default: 2s]
    #[arg(long = "etcd-readycheck-timeout", hide_short_help = true, value_name = "TIME", value_parser = access::duration)]
    pub ready_timeout: Option<String>,
}

#[derive(Args)]
pub struct ServerArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Progress as lines of JSON, for `up`
    #[arg(long, hide = true)]
    pub machine: bool,
}

#[derive(Args)]
pub struct LinksArgs {
    /// The folder that the links are made in
    pub dir: PathBuf,
}

#[derive(Args)]
pub struct DownArgs {
    /// Also remove the data: objects, volumes, images, keys
    #[arg(long)]
    pub purge: bool,
}

#[derive(Args)]
pub struct ApplyArgs {
    /// A file, a folder (its .yaml, .yml and .json files), or - for the standard input
    #[arg(short, long = "filename", required = true, value_name = "FILE|DIR|-")]
    pub filename: Vec<PathBuf>,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// Take over fields that another manager holds
    #[arg(long)]
    pub force_conflicts: bool,
    /// Which cluster [default: that of the data folder]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum ImageCommand {
    /// Import archives as `docker save` or `ctr images export` write them
    Import {
        #[arg(required = true, value_name = "FILE.tar")]
        files: Vec<PathBuf>,
    },
    /// List the images on this node
    #[command(visible_alias = "list")]
    Ls,
    /// Remove images from this node
    Rm {
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
}

#[derive(Subcommand)]
pub enum EncryptionCommand {
    /// Put a fresh key first
    Rotate,
}

#[derive(Args)]
pub struct ComponentArgs {
    /// How the cluster is reached
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
}

#[derive(Args)]
pub struct ControllersArgs {
    #[command(flatten)]
    pub component: ComponentArgs,
    /// The cluster's CA, published in each namespace
    #[arg(long, value_name = "FILE.crt")]
    pub cluster_ca: Option<PathBuf>,
    /// Folder of the volumes of `knarr.io/local-path`
    #[arg(long, value_name = "DIR")]
    pub volumes: Option<PathBuf>,
    /// The node whose volume folders are made here
    #[arg(long)]
    pub node_name: Option<String>,
    /// Sign the cluster's facts for bootstrap tokens, and remove such tokens when they have ended
    #[arg(long)]
    pub bootstrap_tokens: bool,
    /// Make a Secret with a token for each service account, as servers before 1.24 wait for
    #[arg(long, requires = "cluster_ca")]
    pub account_secrets: bool,
}

#[derive(Args)]
pub struct KubeletArgs {
    #[command(flatten)]
    pub component: ComponentArgs,
    /// Name of this node [default: the machine's name]
    #[arg(long)]
    pub node_name: Option<String>,
    /// Address of this node [default: that of the default route]
    #[arg(long)]
    pub node_ip: Option<IpAddr>,
    /// Socket of the container runtime
    #[arg(long, value_name = "SOCKET", default_value = "/run/containerd/containerd.sock")]
    pub runtime: PathBuf,
    /// Addresses of DNS servers for pods
    #[arg(long = "cluster-dns", value_name = "IP")]
    pub cluster_dns: Vec<IpAddr>,
    /// Where the node agent's own API is served
    #[arg(long, default_value = "0.0.0.0:10250")]
    pub listen: SocketAddr,
    /// Certificate of that API; without it the API is not served
    #[arg(long, value_name = "FILE.crt", requires_all = ["tls_key", "client_ca"])]
    pub tls_cert: Option<PathBuf>,
    #[arg(long, value_name = "FILE.key")]
    pub tls_key: Option<PathBuf>,
    /// Authority of the clients of that API
    #[arg(long, value_name = "FILE.crt")]
    pub client_ca: Option<PathBuf>,
    /// Manifests of pods that run without an API
    #[arg(long, value_name = "DIR")]
    pub static_pods: Option<PathBuf>,
}

#[derive(Args)]
pub struct ProxyArgs {
    #[command(flatten)]
    pub component: ComponentArgs,
    /// Name of this node [default: the machine's name]
    #[arg(long)]
    pub node_name: Option<String>,
    /// The nftables table to keep
    #[arg(long, default_value = "knarr")]
    pub table: String,
    #[arg(long, value_name = "RANGE", default_value = "10.42.0.0/24")]
    pub pod_cidr: String,
    #[arg(long, value_name = "RANGE", default_value = "10.43.0.0/16")]
    pub service_cidr: String,
}

#[derive(Args)]
pub struct DnsArgs {
    #[command(flatten)]
    pub component: ComponentArgs,
    #[arg(long, default_value = "127.0.0.1:10053")]
    pub listen: SocketAddr,
    #[arg(long, default_value = "cluster.local")]
    pub domain: String,
    /// Whose name servers are asked about everything else
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub resolv_conf: PathBuf,
}
