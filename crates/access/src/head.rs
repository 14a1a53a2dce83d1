//! How the server's configuration files begin.

/// Their group.
const GROUP: &str = "apiserver.config.k8s.io";

/// Whether a file holds what is wanted, in one of the versions; the first of them is named where it does not.
pub fn check(api_version: &str, kind: &str, wanted: &str, versions: &[&str]) -> Result<(), String> {
    let version = api_version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    if kind == wanted && versions.contains(&version) {
        return Ok(());
    }
    let article = if wanted.starts_with(['A', 'E']) { "an" } else { "a" };
    Err(format!("it holds a {kind} of {api_version}, wanted {article} {wanted} of {GROUP}/{}", versions.first().unwrap_or(&"v1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_a_file_holds_is_told() {
        assert_eq!(check("apiserver.config.k8s.io/v1beta1", "A", "A", &["v1", "v1beta1"]), Ok(()));
        assert_eq!(check("v1", "Pod", "EncryptionConfiguration", &["v1"]).unwrap_err(), "it holds a Pod of v1, wanted an EncryptionConfiguration of apiserver.config.k8s.io/v1");
        assert!(check("apiserver.config.k8s.io/v2", "A", "A", &["v1"]).is_err());
    }
}
