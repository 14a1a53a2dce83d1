//! AppArmor profiles: what a container asks for, and whether this host can enforce it.
//!
//! Upstream: `getAppArmorProfile` in pkg/kubelet/kuberuntime/helpers.go, pkg/security/apparmor/validate.go.

use std::path::Path;

use cri::{ProfileType, SecurityProfile};
use k8s_openapi::api::core::v1::{AppArmorProfile, Container, Pod};

use super::security::pod_context;

/// Where the kernel says whether it enforces profiles.
const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";

/// What a container says wins over its pod. Profiles in annotations became fields when the pod was written.
fn said<'a>(pod: &'a Pod, container: &'a Container) -> Option<&'a AppArmorProfile> {
    let own = container.security_context.as_ref().and_then(|c| c.app_armor_profile.as_ref());
    own.or_else(|| pod_context(pod).and_then(|c| c.app_armor_profile.as_ref()))
}

/// The profile as runtimes know it, and in the form that old ones know.
pub fn profile(pod: &Pod, container: &Container) -> Result<Option<(SecurityProfile, String)>, String> {
    let Some(profile) = said(pod, container) else { return Ok(None) };
    let plain = |kind: ProfileType, name: &str| Ok(Some((SecurityProfile { profile_type: kind as i32, localhost_ref: String::new() }, name.to_owned())));
    match profile.type_.as_str() {
        "RuntimeDefault" => plain(ProfileType::RuntimeDefault, "runtime/default"),
        "Unconfined" => plain(ProfileType::Unconfined, "unconfined"),
        "Localhost" => {
            let name = profile.localhost_profile.clone().ok_or("missing localhost apparmor profile name")?;
            let old = format!("localhost/{name}");
            Ok(Some((SecurityProfile { profile_type: ProfileType::Localhost as i32, localhost_ref: name }, old)))
        }
        other => Err(format!("unknown apparmor profile type: {other:?}")),
    }
}

/// Why this host cannot enforce what a pod asks for.
pub fn fault(pod: &Pod) -> Option<&'static str> {
    (is_required(pod) && !is_enabled(Path::new(ENABLED))).then_some("AppArmor is not enabled on the host")
}

fn is_required(pod: &Pod) -> bool {
    let confines = |profile: Option<&AppArmorProfile>| profile.is_some_and(|profile| profile.type_ != "Unconfined");
    let containers = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    confines(pod_context(pod).and_then(|c| c.app_armor_profile.as_ref())) || containers.into_iter().any(|container| confines(said(pod, container)))
}

fn is_enabled(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|said| said.first() == Some(&b'Y'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(of_pod: Value, own: Value) -> Pod {
        let context = |profile: Value| if profile.is_null() { json!({}) } else { json!({"appArmorProfile": profile}) };
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"securityContext": context(of_pod), "containers": [{"name": "c", "securityContext": context(own)}]}})).unwrap()
    }

    #[test]
    fn a_container_wins_over_its_pod() {
        let cases = [
            (json!(null), json!(null), None, false),
            (json!({"type": "RuntimeDefault"}), json!(null), Some((0, "", "runtime/default")), true),
            (json!({"type": "Unconfined"}), json!({"type": "Localhost", "localhostProfile": "tight"}), Some((2, "tight", "localhost/tight")), true),
            (json!(null), json!({"type": "Unconfined"}), Some((1, "", "unconfined")), false),
        ];
        for (of_pod, own, wanted, required) in cases {
            let pod = pod(of_pod, own);
            let container = &pod.spec.as_ref().unwrap().containers[0];
            let got = profile(&pod, container).unwrap();
            assert_eq!(got.as_ref().map(|(new, old)| (new.profile_type, new.localhost_ref.as_str(), old.as_str())), wanted);
            assert_eq!(is_required(&pod), required);
        }
        let nameless = pod(json!({"type": "Localhost"}), json!(null));
        assert!(profile(&nameless, &nameless.spec.as_ref().unwrap().containers[0]).is_err());
    }

    #[test]
    fn a_host_enforces_what_its_kernel_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("enabled");
        assert!(!is_enabled(&file));
        for (text, enabled) in [("N\n", false), ("Y\n", true), ("", false)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(is_enabled(&file), enabled);
        }
    }
}
