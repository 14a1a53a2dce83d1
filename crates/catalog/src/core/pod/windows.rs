//! Validation of what is said for Windows alone.
//!
//! Upstream: `validateWindowsSecurityContextOptions` and `validateWindowsHostProcessPod` in
//! `pkg/apis/core/validation/validation.go`.

use std::sync::LazyLock;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use regex::Regex;
use serde_json::Value;

use crate::walk;

const SPEC_KIB: usize = 64;
const LONGEST_DOMAIN: usize = 256;
const LONGEST_USER: usize = 104;
const NO_USER: &str = "\"/\\:;|=,+*?<>@[]";

/// `windowsOptions` of a security context.
pub fn options(errors: &mut FieldErrors, context: &Value, path: &Path) {
    let (options, path) = (walk::at(context, "windowsOptions"), path.child("windowsOptions"));
    if let Some(name) = walk::at(options, "gmsaCredentialSpecName").as_str() {
        crate::check::syntax(errors, &path.child("gmsaCredentialSpecName"), name, names::dns1123_subdomain(name));
    }
    if let Some(spec) = walk::at(options, "gmsaCredentialSpec").as_str() {
        let mut say = |fault: String| errors.push(FieldError::invalid(&path.child("gmsaCredentialSpec"), spec, fault));
        match spec.len() {
            0 => say("gmsaCredentialSpec cannot be an empty string".into()),
            long if long > SPEC_KIB << 10 => say(format!("gmsaCredentialSpec size must be under {SPEC_KIB} KiB")),
            _ => {}
        }
    }
    if let Some(name) = walk::at(options, "runAsUserName").as_str() {
        errors.extend(user_faults(name).into_iter().map(|fault| FieldError::invalid(&path.child("runAsUserName"), name, fault)));
    }
}

fn user_faults(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('\\').collect();
    let whole = match parts.as_slice() {
        _ if name.is_empty() => "runAsUserName cannot be an empty string",
        _ if name.chars().any(|c| c.is_ascii_control()) => "runAsUserName cannot contain control characters",
        [user] => return account_faults(None, user),
        [domain, user] => return account_faults(Some(domain), user),
        _ => "runAsUserName cannot contain more than one backslash",
    };
    vec![whole.into()]
}

fn account_faults(domain: Option<&str>, user: &str) -> Vec<String> {
    static DOMAIN: LazyLock<Regex> = LazyLock::new(|| {
        let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
        Regex::new(&format!(r#"^(?:[^\\/:*?"<>|.][^\\/:*?"<>|]{{0,14}}|{label}(?:\.{label})*)$"#)).expect("a constant pattern")
    });
    let mut faults = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= LONGEST_DOMAIN) {
        faults.push(format!("runAsUserName's Domain length must be under {LONGEST_DOMAIN} characters"));
    }
    if domain.is_some_and(|domain| !DOMAIN.is_match(domain)) {
        faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".into());
    }
    match user.len() {
        0 => faults.push("runAsUserName's User cannot be empty".into()),
        long if long > LONGEST_USER => faults.push(format!("runAsUserName's User length must not be longer than {LONGEST_USER} characters")),
        _ => {}
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        faults.push("runAsUserName's User cannot contain only periods or spaces".into());
    }
    if user.contains(|c| NO_USER.contains(c)) {
        faults.push(format!("runAsUserName's User cannot contain the following characters: {NO_USER}"));
    }
    faults
}

/// Containers that are processes of their host: all of a pod's or none, on the host's network.
pub fn host_process(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let of = |context: &Value| walk::at(context, "securityContext.windowsOptions.hostProcess").as_bool();
    let (whole, mut count, mut on_host) = (of(spec), 0, 0);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (i, container) in walk::list(spec, list).iter().enumerate() {
            let own = of(container);
            count += 1;
            on_host += usize::from(own.or(whole) == Some(true));
            if let (Some(whole), Some(own)) = (whole, own)
                && whole != own
            {
                let path = path.child(list).index(i).child("securityContext").child("windowsOptions").child("hostProcess");
                errors.push(FieldError::invalid(&path, own, format!("pod hostProcess value must be identical if both are specified, was {whole}")));
            }
        }
    }
    if on_host == 0 {
        return;
    }
    if on_host != count {
        errors.push(FieldError::invalid(path, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"));
    }
    if !walk::flag(spec, "hostNetwork") {
        errors.push(FieldError::invalid(&path.child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers"));
    }
}

#[cfg(test)]
mod tests {
    use super::user_faults;

    #[test]
    fn accounts_have_names() {
        assert!([r"ContainerAdministrator", r"NT AUTHORITY\NETWORK SERVICE", r"a.example.com\me"].iter().all(|name| user_faults(name).is_empty()));
        assert_eq!(user_faults(r"a\b\c"), ["runAsUserName cannot contain more than one backslash"]);
        assert_eq!(user_faults(r".a\.."), ["runAsUserName's Domain doesn't match the NetBios nor the DNS format", "runAsUserName's User cannot contain only periods or spaces"]);
        assert_eq!(user_faults("a\u{7}"), ["runAsUserName cannot contain control characters"]);
        assert_eq!(user_faults("a@b"), ["runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"]);
    }
}
