//! Admission plug-ins by upstream's names: which are on, and how some of them are configured.
//!
//! Upstream: `pkg/kubeapiserver/options/plugins.go`; apiserver `pkg/server/options/admission.go`, `pkg/admission/config.go`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::event_rate::{self, Limit};
use crate::image_policy::ImagePolicy;
use crate::node_selector::NodeSelectors;
use crate::pod_security::Settings;
use crate::quota_limits::{self, Limited};
use crate::toleration_restriction::TolerationSettings;

/// Off unless asked for.
const OFF: [&str; 12] = [
    "AlwaysAdmit", "NamespaceAutoProvision", "NamespaceExists", "LimitPodHardAntiAffinityTopology", "AlwaysPullImages", "ImagePolicyWebhook", "PodNodeSelector", "PodTolerationRestriction",
    "EventRateLimit", "ExtendedResourceToleration", "OwnerReferencesPermissionEnforcement", "AlwaysDeny",
];
/// On unless turned off.
// Differs: upstream leaves NodeRestriction and DenyServiceExternalIPs off.
const ON: [&str; 25] = [
    "NamespaceLifecycle", "LimitRanger", "ServiceAccount", "NodeRestriction", "TaintNodesByCondition", "PodSecurity", "Priority", "DefaultTolerationSeconds", "DefaultStorageClass",
    "StorageObjectInUseProtection", "PersistentVolumeClaimResize", "RuntimeClass", "CertificateApproval", "CertificateSigning", "ClusterTrustBundleAttest", "CertificateSubjectRestriction",
    "DefaultIngressClass", "DenyServiceExternalIPs", "PodTopologyLabels", "MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy", "ValidatingAdmissionWebhook", "ResourceQuota", "PodResizeValidator",
];
/// Upstream's that wait for features which are off.
const IDLE: [&str; 4] = ["PodGroupProtection", "PodGroupWorkloadExists", "NodeDeclaredFeatureValidator", "JobValidation"];

/// Which plug-ins are on, and their settings.
#[derive(Debug, Clone, Default)]
pub struct Plugins {
    changed: BTreeSet<&'static str>,
    pub event_limits: Vec<Limit>,
    pub pod_security: Settings,
    pub image_policy: Option<ImagePolicy>,
    pub node_selectors: NodeSelectors,
    pub tolerations: TolerationSettings,
    pub quota_limits: Vec<Limited>,
    pub webhook_kubeconfigs: WebhookKubeconfigs,
}

/// Kubeconfigs that hold what is shown to webhooks.
#[derive(Debug, Clone, Default)]
pub struct WebhookKubeconfigs {
    pub mutating: Option<PathBuf>,
    pub validating: Option<PathBuf>,
}

impl Plugins {
    /// `enable` and `disable` are upstream's flags; `configurations` come from the configuration file, by plug-in.
    pub fn new(enable: &[String], disable: &[String], configurations: &[(String, Value)]) -> Result<Self, String> {
        let mut plugins = Self::default();
        for (names, flag, usual) in [(enable, "enable-admission-plugins", &OFF[..]), (disable, "disable-admission-plugins", &ON[..])] {
            for name in names {
                let known = known(name).map_err(|why| format!("{flag} plugin {name:?} {why}"))?;
                plugins.changed.extend(known.filter(|known| usual.contains(known)));
            }
        }
        if let Some(both) = enable.iter().find(|name| disable.contains(name)) {
            return Err(format!("[{both}] in enable-admission-plugins and disable-admission-plugins overlapped"));
        }
        for (name, configuration) in configurations {
            plugins.configure(name, configuration).map_err(|why| format!("--admission-control-config-file: plugin {name:?}: {why}"))?;
        }
        if plugins.has("EventRateLimit") && plugins.event_limits.is_empty() {
            return Err("EventRateLimit has no limits: give them in --admission-control-config-file, or leave the plug-in off".into());
        }
        if plugins.has("ImagePolicyWebhook") && plugins.image_policy.is_none() {
            return Err("couldn't init admission plugin \"ImagePolicyWebhook\": no config specified: give its imagePolicy in --admission-control-config-file".into());
        }
        Ok(plugins)
    }

    fn configure(&mut self, name: &str, configuration: &Value) -> Result<(), String> {
        known(name)?;
        match name {
            "EventRateLimit" => self.event_limits = event_rate::read(configuration)?,
            "ImagePolicyWebhook" => self.image_policy = Some(ImagePolicy::read(configuration)?),
            "PodNodeSelector" => self.node_selectors = NodeSelectors::read(configuration)?,
            "PodTolerationRestriction" => self.tolerations = TolerationSettings::read(configuration)?,
            "PodSecurity" => self.pod_security = Settings::read(configuration)?,
            "ResourceQuota" => self.quota_limits = quota_limits::read(configuration)?,
            "MutatingAdmissionWebhook" => self.webhook_kubeconfigs.mutating = Some(webhook_kubeconfig(configuration)?),
            "ValidatingAdmissionWebhook" => self.webhook_kubeconfigs.validating = Some(webhook_kubeconfig(configuration)?),
            _ => return Err("it takes no configuration: leave it out".into()),
        }
        Ok(())
    }

    /// Whether a plug-in is on.
    pub fn has(&self, name: &str) -> bool {
        ON.contains(&name) != self.changed.contains(name)
    }
}

/// Upstream: apiserver `pkg/admission/plugin/webhook/config/kubeconfig.go`.
fn webhook_kubeconfig(configuration: &Value) -> Result<PathBuf, String> {
    let of = (configuration["apiVersion"].as_str().unwrap_or_default(), configuration["kind"].as_str().unwrap_or_default());
    if !matches!(of, ("apiserver.config.k8s.io/v1", "WebhookAdmissionConfiguration") | ("apiserver.config.k8s.io/v1alpha1", "WebhookAdmission")) {
        return Err("wanted a WebhookAdmissionConfiguration of apiserver.config.k8s.io/v1".into());
    }
    let file = configuration["kubeConfigFile"].as_str().unwrap_or_default();
    if !file.starts_with('/') {
        return Err(api::FieldError::invalid(&api::Path::new("kubeConfigFile"), file, "must be an absolute file path").to_string());
    }
    Ok(file.into())
}

/// The plug-in of a name; none for one that has nothing to do here.
fn known(name: &str) -> Result<Option<&'static str>, String> {
    if IDLE.contains(&name) {
        return Ok(None);
    }
    OFF.iter().chain(&ON).find(|n| **n == name).map(|n| Some(*n)).ok_or_else(|| "is unknown".into())
}

/// A configuration file: plug-ins, each with its configuration in the file or in another one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdmissionConfiguration {
    api_version: String,
    kind: String,
    #[serde(default)]
    pub plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    pub name: String,
    #[serde(default)]
    pub path: String,
    #[serde(default)]
    pub configuration: Value,
}

impl AdmissionConfiguration {
    pub fn check(&self) -> Result<(), String> {
        let version = self.api_version.strip_prefix("apiserver.config.k8s.io/").unwrap_or_default();
        if self.kind != "AdmissionConfiguration" || !matches!(version, "v1" | "v1alpha1") {
            return Err(format!("it holds a {} of {}, wanted an AdmissionConfiguration of apiserver.config.k8s.io/v1", self.kind, self.api_version));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made(enable: &[&str], disable: &[&str], configurations: &[(String, Value)]) -> Result<Plugins, String> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        Plugins::new(&owned(enable), &owned(disable), configurations)
    }

    #[test]
    fn plug_ins_are_turned_on_and_off() {
        let usual = made(&[], &[], &[]).unwrap();
        assert!(usual.has("NodeRestriction") && usual.has("ResourceQuota") && !usual.has("AlwaysPullImages"));
        let other = made(&["AlwaysPullImages", "NodeRestriction", "JobValidation"], &["ResourceQuota"], &[]).unwrap();
        assert!(other.has("NodeRestriction") && !other.has("ResourceQuota") && other.has("AlwaysPullImages"));
        for (enable, disable, why) in [
            (&["Nothing"][..], &[][..], "enable-admission-plugins plugin \"Nothing\" is unknown"),
            (&["ImagePolicyWebhook"], &[], "no config specified"),
            (&["LimitRanger"], &["LimitRanger"], "overlapped"),
            (&["EventRateLimit"], &[], "EventRateLimit has no limits"),
        ] {
            let told = made(enable, disable, &[]).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        let limits = json!({"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration", "limits": [{"type": "Namespace", "qps": 1, "burst": 2}]});
        assert_eq!(made(&["EventRateLimit"], &[], &[("EventRateLimit".into(), limits)]).unwrap().event_limits.len(), 1);
        let webhook = |file: &str| made(&[], &[], &[("ValidatingAdmissionWebhook".into(), json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": file}))]);
        assert_eq!(webhook("/etc/hooks").unwrap().webhook_kubeconfigs.validating, Some("/etc/hooks".into()));
        assert!(webhook("hooks").unwrap_err().contains("kubeConfigFile: Invalid value: \"hooks\": must be an absolute file path"));
        assert!(made(&[], &[], &[("Priority".into(), json!({}))]).unwrap_err().contains("takes no configuration"));
    }
}
