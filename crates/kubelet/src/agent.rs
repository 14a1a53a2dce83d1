//! What every part of the node agent shares: clients, caches, paths and the pods it works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Informer, InformerOptions, Recorder};
use cri::Cri;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Secret, Service};
use kube::Api;
use kube::runtime::watcher;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::cgroup::Cgroups;
use crate::image::Images;
use crate::node::capacity::Machine;
use crate::paths::Paths;
use crate::pod::admit::{Taken, is_extended};
use crate::pod::registry::Registry;
use crate::probe::board::ProbeBoard;
use crate::referenced::Referenced;
use crate::volume::token::Tokens;

pub struct Agent {
    pub config: Config,
    pub paths: Paths,
    pub client: kube::Client,
    pub cri: Cri,
    pub recorder: Recorder,
    pub registry: Arc<Registry>,
    pub config_maps: Referenced<ConfigMap>,
    pub secrets: Referenced<Secret>,
    pub services: Informer<Service>,
    /// This node alone.
    pub node: Informer<Node>,
    pub tokens: Tokens,
    pub images: Images,
    pub probes: Arc<ProbeBoard>,
    pub cgroups: Cgroups,
    pub machine: Machine,
    pub taken: Taken,
    pub shutdown: CancellationToken,
}

impl Agent {
    pub fn new(config: Config, client: kube::Client, machine: Machine, cgroups: Cgroups, shutdown: CancellationToken) -> Arc<Self> {
        let cri = Cri::new(&config.cri_socket);
        let registry = Arc::new(Registry::default());
        let streaming = config.streaming_lists;
        let recorder = Recorder::new(client.clone(), "kubelet", &config.node_name, shutdown.clone());
        let own_node = InformerOptions { watch: watcher::Config::default().fields(&format!("metadata.name={}", config.node_name)), streaming, trim: None };
        let options = InformerOptions { streaming, ..InformerOptions::default() };
        Arc::new(Self {
            paths: Paths { root: config.root_dir.clone(), logs: config.log_dir.clone() },
            cri: cri.clone(),
            recorder,
            config_maps: Referenced::new(client.clone(), streaming, registry.clone(), "configmap"),
            secrets: Referenced::new(client.clone(), streaming, registry.clone(), "secret"),
            services: Informer::start(Api::all(client.clone()), options, shutdown.clone()),
            node: Informer::start(Api::all(client.clone()), own_node, shutdown.clone()),
            tokens: Tokens::new(client.clone()),
            images: Images::new(cri),
            probes: Arc::new(ProbeBoard::default()),
            cgroups,
            machine,
            taken: Taken::default(),
            registry,
            client,
            config,
            shutdown,
        })
    }

    pub fn host_ips(&self) -> Vec<String> {
        vec![self.config.node_ip.to_string()]
    }

    /// What pods may use of a resource of this node.
    pub fn allocatable(&self, name: &str) -> Option<quantity::Quantity> {
        self.machine.allocatable(self.config.max_pods).get(name)?.parse().ok()
    }

    pub fn allocatable_all(&self) -> BTreeMap<String, String> {
        let mut all = self.machine.allocatable(self.config.max_pods);
        all.extend(self.extended_resources());
        all
    }

    /// Resources that others wrote into the node's capacity. Upstream: setters.MachineInfo takes them over as they are.
    pub fn extended_resources(&self) -> BTreeMap<String, String> {
        let node = self.node.get("", &self.config.node_name);
        let capacity = node.as_ref().and_then(|n| n.status.as_ref()).and_then(|s| s.capacity.as_ref());
        capacity.into_iter().flatten().filter(|(name, _)| is_extended(name)).map(|(name, amount)| (name.clone(), amount.0.clone())).collect()
    }
}
