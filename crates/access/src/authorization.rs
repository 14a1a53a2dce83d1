//! `AuthorizationConfiguration`: who is asked whether somebody may, and in which order.
//!
//! Upstream: apiserver `pkg/apis/apiserver/v1/types.go`, `validation/validation.go`; kube-apiserver's `--authorization-*` flags make the
//! same configuration.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use api::field::Path;
use api::{FieldError, names};
use cel::{Decl, DeclKind, Env, Program, Type, Value as CelValue, Vars};
use serde::Deserialize;
use serde_json::Value;


/// Upstream: more conditions than this are refused.
const MAX_CONDITIONS: usize = 64;
/// Upstream: no call may take longer.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// All modes of upstream, as its messages list them.
const MODES: [&str; 6] = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];

/// One who is asked.
#[derive(Debug)]
pub enum Link {
    AlwaysAllow,
    AlwaysDeny,
    Node,
    Rbac,
    Webhook(Box<WebhookLink>),
}

/// A webhook that judges.
#[derive(Debug)]
pub struct WebhookLink {
    pub name: String,
    pub kubeconfig: PathBuf,
    pub version: String,
    pub timeout: Duration,
    /// How long answers hold; zero: they do not.
    pub authorized: Duration,
    pub unauthorized: Duration,
    /// A failure refuses; without it the next one is asked.
    pub denies_on_failure: bool,
    pub conditions: Conditions,
}

/// Under which conditions a webhook is asked.
#[derive(Debug, Default)]
pub struct Conditions(Vec<Program>);

/// What the order is without any configuration.
pub fn usual() -> Vec<Link> {
    vec![Link::Node, Link::Rbac]
}

/// Upstream's flags about rights.
#[derive(Debug, Clone, Default)]
pub struct AuthorizationFlags {
    pub modes: Vec<String>,
    pub webhook_config: Option<PathBuf>,
    pub webhook_version: String,
    pub authorized: Duration,
    pub unauthorized: Duration,
}

impl AuthorizationFlags {
    /// Upstream: `pkg/kubeapiserver/options/authorization.go`.
    pub fn links(&self) -> Result<Vec<Link>, String> {
        let has_webhook = self.modes.iter().any(|m| m == "Webhook");
        match (&self.webhook_config, has_webhook) {
            (Some(_), false) => return Err("cannot specify --authorization-webhook-config-file without mode Webhook".into()),
            (None, true) => return Err("authorization-mode Webhook's authorization config file not passed".into()),
            _ => {}
        }
        if !matches!(self.webhook_version.as_str(), "v1" | "v1beta1") {
            return Err(format!("unsupported webhook authorizer version {:?}, supported versions are \"v1\", \"v1beta1\"", self.webhook_version));
        }
        let mut links = Vec::new();
        for (i, mode) in self.modes.iter().enumerate() {
            if self.modes.iter().take(i).any(|other| other == mode) {
                return Err(format!("authorization-mode {:?} has mode specified more than once", self.modes));
            }
            let webhook = || WebhookLink {
                name: "default".into(),
                kubeconfig: self.webhook_config.clone().unwrap_or_default(),
                version: self.webhook_version.clone(),
                timeout: MAX_TIMEOUT,
                authorized: self.authorized,
                unauthorized: self.unauthorized,
                denies_on_failure: false,
                conditions: Conditions::default(),
            };
            let webhook = || (mode == "Webhook").then(|| Link::Webhook(Box::new(webhook())));
            links.push(plain(mode).or_else(webhook).ok_or_else(|| not_served(mode))?);
        }
        if links.is_empty() { Err("at least one authorization-mode must be passed".into()) } else { Ok(links) }
    }
}

fn not_served(mode: &str) -> String {
    if mode == "ABAC" {
        return "authorization-mode ABAC is not served: write its rules as roles and bindings and use RBAC".into();
    }
    format!("authorization-mode {mode:?} is not a valid mode: use {}", MODES.join(", "))
}

/// One of those that need no further words.
fn plain(mode: &str) -> Option<Link> {
    Some(match mode {
        "AlwaysAllow" => Link::AlwaysAllow,
        "AlwaysDeny" => Link::AlwaysDeny,
        "Node" => Link::Node,
        "RBAC" => Link::Rbac,
        _ => return None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    #[serde(default)]
    authorizers: Vec<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    name: String,
    webhook: Option<WebhookSection>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WebhookSection {
    #[serde(rename = "authorizedTTL")]
    authorized_ttl: Option<String>,
    cache_authorized_requests: Option<bool>,
    #[serde(rename = "unauthorizedTTL")]
    unauthorized_ttl: Option<String>,
    cache_unauthorized_requests: Option<bool>,
    timeout: Option<String>,
    subject_access_review_version: String,
    match_condition_subject_access_review_version: String,
    failure_policy: String,
    connection_info: ConnectionInfo,
    match_conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ConnectionInfo {
    r#type: String,
    kube_config_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(default)]
    expression: String,
}

/// Reads a configuration file's text.
pub fn read(text: &str) -> Result<Vec<Link>, String> {
    let document: Document = serde_saphyr::from_str(text).map_err(|e| format!("not an AuthorizationConfiguration: {e}"))?;
    crate::head::check(&document.api_version, &document.kind, "AuthorizationConfiguration", &["v1", "v1beta1", "v1alpha1"])?;
    let (root, mut errors, mut links) = (Path::new("authorizers"), Vec::new(), Vec::new());
    if document.authorizers.is_empty() {
        errors.push(FieldError::required(&root, "at least one authorization mode must be defined"));
    }
    for (i, section) in document.authorizers.iter().enumerate() {
        let before = document.authorizers.get(..i).unwrap_or_default();
        links.extend(read_section(section, before, &root.index(i), &mut errors));
    }
    if errors.is_empty() { Ok(links) } else { Err(api::field::aggregate(&errors)) }
}

fn read_section(section: &Section, before: &[Section], path: &Path, errors: &mut Vec<FieldError>) -> Option<Link> {
    let (kind, at) = (section.r#type.as_str(), path.child("type"));
    if kind.is_empty() {
        errors.push(FieldError::required(&at, ""));
        return None;
    }
    if kind == "ABAC" {
        errors.push(FieldError::forbidden(&at, not_served(kind)));
        return None;
    }
    if !MODES.contains(&kind) {
        errors.push(FieldError::not_supported(&at, kind, &MODES));
        return None;
    }
    if kind != "Webhook" && before.iter().any(|other| other.r#type == kind) {
        errors.push(FieldError::duplicate(&at, kind));
        return None;
    }
    let at = path.child("name");
    if section.name.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else if before.iter().any(|other| other.name == section.name) {
        errors.push(FieldError::duplicate(&at, section.name.clone()));
    } else {
        let faults = names::dns1123_subdomain(&section.name);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(&at, section.name.clone(), format!("authorizer name is invalid: {}", faults.join(", "))));
        }
    }
    match (&section.webhook, kind == "Webhook") {
        (None, true) => errors.push(FieldError::required(&path.child("webhook"), "required when type=Webhook")),
        (Some(_), false) => errors.push(FieldError::invalid(&path.child("webhook"), "non-null", "may only be specified when type=Webhook")),
        (None, false) => return plain(kind),
        (Some(webhook), true) => return Some(Link::Webhook(Box::new(webhook.read(&section.name, path, errors)))),
    }
    None
}

impl WebhookSection {
    fn read(&self, name: &str, path: &Path, errors: &mut Vec<FieldError>) -> WebhookLink {
        let time = |text: &Option<String>, usual: Option<&str>, field: &str, errors: &mut Vec<FieldError>| {
            let at = path.child(field);
            match text.as_deref().or(usual) {
                None | Some("0" | "0s") => errors.push(FieldError::required(&at, "")),
                Some(text) => match gotime::at_least_zero(text) {
                    Some(time) => return time,
                    None => errors.push(FieldError::invalid(&at, text, "must be > 0s")),
                },
            }
            Duration::ZERO
        };
        let timeout = time(&self.timeout, None, "timeout", errors);
        if timeout > MAX_TIMEOUT {
            errors.push(FieldError::invalid(&path.child("timeout"), self.timeout.clone().unwrap_or_default(), "must be > 0s and <= 30s"));
        }
        let held = |time: Duration, kept: Option<bool>| if kept == Some(false) { Duration::ZERO } else { time };
        let authorized = held(time(&self.authorized_ttl, Some("5m0s"), "authorizedTTL", errors), self.cache_authorized_requests);
        let unauthorized = held(time(&self.unauthorized_ttl, Some("30s"), "unauthorizedTTL", errors), self.cache_unauthorized_requests);
        let mut one_of = |value: &str, field: &str, known: &[&str]| {
            if value.is_empty() {
                errors.push(FieldError::required(&path.child(field), ""));
            } else if !known.contains(&value) {
                errors.push(FieldError::not_supported(&path.child(field), value, known));
            }
        };
        one_of(&self.subject_access_review_version, "subjectAccessReviewVersion", &["v1", "v1beta1"]);
        one_of(&self.failure_policy, "failurePolicy", &["NoOpinion", "Deny"]);
        let reviewed = self.match_condition_subject_access_review_version.as_str();
        let at = path.child("matchConditionSubjectAccessReviewVersion");
        match reviewed {
            "" if !self.match_conditions.is_empty() => errors.push(FieldError::required(&at, "required if match conditions are specified")),
            "" | "v1" => {}
            other => errors.push(FieldError::not_supported(&at, other, &["v1"])),
        }
        WebhookLink {
            name: name.to_owned(),
            kubeconfig: self.connection_info.read(&path.child("connectionInfo"), errors),
            version: self.subject_access_review_version.clone(),
            timeout,
            authorized,
            unauthorized,
            denies_on_failure: self.failure_policy == "Deny",
            conditions: Conditions::compile(&self.match_conditions, path, errors),
        }
    }
}

impl ConnectionInfo {
    fn read(&self, path: &Path, errors: &mut Vec<FieldError>) -> PathBuf {
        let at = path.child("kubeConfigFile");
        match self.r#type.as_str() {
            "" => errors.push(FieldError::required(&path.child("type"), "")),
            "KubeConfigFile" => match &self.kube_config_file {
                None => errors.push(FieldError::required(&at, "")),
                Some(file) if !FilePath::is_absolute(file) => errors.push(FieldError::invalid(&at, file.display().to_string(), "must be an absolute path")),
                Some(file) => return file.clone(),
            },
            "InClusterConfig" => errors.push(FieldError::forbidden(&path.child("type"), "the API server is not asked by itself: use KubeConfigFile")),
            other => errors.push(FieldError::not_supported(&path.child("type"), other, &["InClusterConfig", "KubeConfigFile"])),
        }
        PathBuf::new()
    }
}

fn text() -> Decl {
    Decl::new(DeclKind::String)
}

fn object(name: &str, fields: &[(&str, Decl)]) -> Decl {
    Decl::record(name, fields.iter().map(|(field, decl)| ((*field).to_owned(), decl.clone())))
}

/// The variable `request`: a review's spec. Upstream: apiserver `pkg/authorization/cel/compile.go`.
static REQUEST: LazyLock<Arc<Decl>> = LazyLock::new(|| {
    let requirement = object("kubernetes.SelectorRequirement", &[("key", text()), ("operator", text()), ("values", Decl::list(text()))]);
    let selector = |name: &str| object(name, &[("rawSelector", text()), ("requirements", Decl::list(requirement.clone()))]);
    let mut resource: Vec<(&str, Decl)> = ["namespace", "verb", "group", "version", "resource", "subresource", "name"].map(|field| (field, text())).into();
    resource.push(("fieldSelector", selector("kubernetes.FieldSelectorAttributes")));
    resource.push(("labelSelector", selector("kubernetes.LabelSelectorAttributes")));
    Arc::new(object(
        "kubernetes.SubjectAccessReviewSpec",
        &[
            ("resourceAttributes", object("kubernetes.ResourceAttributes", &resource)),
            ("nonResourceAttributes", object("kubernetes.NonResourceAttributes", &[("path", text()), ("verb", text())])),
            ("user", text()),
            ("groups", Decl::list(text())),
            ("extra", Decl::map(Decl::list(text()))),
            ("uid", text()),
        ],
    ))
});

impl Conditions {
    fn compile(sections: &[Condition], path: &Path, errors: &mut Vec<FieldError>) -> Self {
        let root = path.child("matchConditions");
        if sections.len() > MAX_CONDITIONS {
            errors.push(FieldError::too_many(&root, sections.len(), MAX_CONDITIONS));
            return Self::default();
        }
        let env = Env::kubernetes().declare("request", REQUEST.clone());
        let mut programs = Vec::new();
        for (i, section) in sections.iter().enumerate() {
            let (at, source) = (root.index(i).child("expression"), section.expression.as_str());
            if source.trim().is_empty() {
                errors.push(FieldError::required(&at, ""));
            } else if sections.iter().take(i).any(|other| other.expression == source) {
                errors.push(FieldError::duplicate(&at, source));
            } else {
                match env.compile(source) {
                    Err(error) => errors.push(FieldError::invalid(&at, source, format!("compilation failed: {error}"))),
                    Ok(program) if program.result_type() != Type::Bool => errors.push(FieldError::invalid(&at, source, format!("must evaluate to bool but got {}", program.result_type()))),
                    Ok(program) => programs.push(program),
                }
            }
        }
        Self(programs)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a webhook is asked about a review's spec. What is false counts before what fails.
    ///
    /// Upstream: apiserver `pkg/authorization/cel/matcher.go`.
    pub fn hold(&self, spec: &Value) -> Result<bool, String> {
        let request = CelValue::json(spec, &REQUEST).map_err(|e| e.to_string())?;
        let mut failed = Vec::new();
        for program in &self.0 {
            match program.evaluate(&Vars::new().with("request", request.clone()), cel::PER_CALL_LIMIT).value {
                Ok(value) if value.as_bool() == Some(true) => {}
                Ok(_) => return Ok(false),
                Err(error) => failed.push(format!("cel evaluation error: expression '{}' resulted in error: {error}", program.source())),
            }
        }
        if failed.is_empty() { Ok(true) } else { Err(failed.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n";
    const WEBHOOK: &str = "- type: Webhook\n  name: hook\n  webhook:\n    timeout: 3s\n    subjectAccessReviewVersion: v1\n    matchConditionSubjectAccessReviewVersion: v1\n    failurePolicy: Deny\n    connectionInfo: {type: KubeConfigFile, kubeConfigFile: /k}\n    matchConditions:\n    - expression: has(request.resourceAttributes)\n    - expression: request.resourceAttributes.namespace != 'kube-system' && !('admins' in request.groups)\n";

    #[test]
    fn webhooks_are_asked_under_conditions() {
        let links = read(&format!("{HEAD}{WEBHOOK}- {{type: RBAC, name: rbac}}\n")).unwrap();
        let [Link::Webhook(hook), Link::Rbac] = links.as_slice() else { panic!("{links:?}") };
        assert_eq!((hook.timeout.as_secs(), hook.authorized.as_secs(), hook.unauthorized.as_secs(), hook.denies_on_failure), (3, 300, 30, true));
        let about = |namespace: &str, group: &str| json!({"user": "eva", "groups": [group], "uid": "", "extra": {}, "resourceAttributes": {"namespace": namespace, "verb": "get", "group": "", "version": "v1", "resource": "pods", "subresource": "", "name": ""}});
        assert_eq!((hook.conditions.hold(&about("a", "b")), hook.conditions.hold(&about("kube-system", "b")), hook.conditions.hold(&about("a", "admins"))), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(hook.conditions.hold(&json!({"user": "", "groups": [], "nonResourceAttributes": {"path": "/", "verb": "get"}})), Ok(false));
    }

    #[test]
    fn faults_are_told_with_their_fields() {
        let refused = |text: &str| read(&format!("{HEAD}{text}")).unwrap_err();
        for (text, why) in [
            ("  []\n".to_owned(), "authorizers: Required value: at least one authorization mode must be defined"),
            ("- {type: RBAC, name: a}\n- {type: RBAC, name: b}\n".to_owned(), "authorizers[1].type: Duplicate value: \"RBAC\""),
            ("- {type: Rbac, name: a}\n".to_owned(), "Unsupported value: \"Rbac\""),
            ("- {type: ABAC, name: a}\n".to_owned(), "ABAC is not served"),
            ("- {type: Webhook, name: a}\n".to_owned(), "authorizers[0].webhook: Required value: required when type=Webhook"),
            (WEBHOOK.replace("timeout: 3s", "timeout: 31s"), "must be > 0s and <= 30s"),
            (WEBHOOK.replace("/k", "k"), "must be an absolute path"),
            (WEBHOOK.replace("Deny", "Never"), "Unsupported value: \"Never\": supported values: \"NoOpinion\", \"Deny\""),
            (WEBHOOK.replace("has(request.resourceAttributes)", "request.user"), "must evaluate to bool but got string"),
            (WEBHOOK.replace("    matchConditionSubjectAccessReviewVersion: v1\n", ""), "required if match conditions are specified"),
        ] {
            let told = refused(&text);
            assert!(told.contains(why), "{why}\n{told}");
        }
    }

    #[test]
    fn flags_make_the_same() {
        let flags = |modes: &[&str]| AuthorizationFlags { modes: modes.iter().map(|m| (*m).to_owned()).collect(), webhook_version: "v1beta1".into(), ..Default::default() };
        assert!(matches!(flags(&["Node", "RBAC"]).links().unwrap().as_slice(), [Link::Node, Link::Rbac]));
        assert_eq!(flags(&["Webhook"]).links().unwrap_err(), "authorization-mode Webhook's authorization config file not passed");
        assert!(flags(&["RBAC", "RBAC"]).links().unwrap_err().contains("more than once"));
        assert!(flags(&["Rbac"]).links().unwrap_err().contains("\"Rbac\" is not a valid mode"));
        let stray = AuthorizationFlags { webhook_config: Some("/k".into()), ..flags(&["RBAC"]) };
        assert_eq!(stray.links().unwrap_err(), "cannot specify --authorization-webhook-config-file without mode Webhook");
    }
}
