//! `AuthenticationConfiguration`: who may issue tokens, and where nobody in particular may ask.
//!
//! Upstream: apiserver `pkg/apis/apiserver/v1/types.go`, `validation/validation.go`; kube-apiserver's `--oidc-*` flags make the
//! same configuration of one issuer.

use api::FieldError;
use api::field::Path;
use serde::Deserialize;

use crate::Issuer;
use crate::jwt::Algorithm;

/// Upstream: more issuers than this are refused.
const MAX_ISSUERS: usize = 64;

/// Where requests without credentials are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Health and version only.
    // Differs: upstream serves them everywhere unless told otherwise; here a request without credentials is a 401.
    #[default]
    Public,
    Everywhere,
    At(Vec<String>),
    Nowhere,
}

/// What was configured, ready for use.
#[derive(Default)]
pub struct Authentication {
    pub issuers: Vec<Issuer>,
    pub anonymous: Option<Anonymous>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    #[serde(default)]
    jwt: Vec<JwtAuthenticator>,
    anonymous: Option<AnonymousSection>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AnonymousSection {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    path: String,
}

/// One issuer as it is written down.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JwtAuthenticator {
    pub issuer: IssuerSection,
    pub claim_validation_rules: Vec<ClaimValidationRule>,
    pub claim_mappings: ClaimMappings,
    pub user_validation_rules: Vec<UserValidationRule>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IssuerSection {
    pub url: String,
    #[serde(rename = "discoveryURL")]
    pub discovery_url: String,
    pub certificate_authority: String,
    pub audiences: Vec<String>,
    pub audience_match_policy: String,
    pub egress_selector_type: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClaimValidationRule {
    pub claim: String,
    pub required_value: String,
    pub expression: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserValidationRule {
    pub expression: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimMappings {
    pub username: ClaimOrExpression,
    pub groups: ClaimOrExpression,
    pub uid: ClaimOrExpression,
    pub extra: Vec<ExtraMapping>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimOrExpression {
    pub claim: String,
    pub prefix: Option<String>,
    pub expression: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExtraMapping {
    pub key: String,
    pub value_expression: String,
}

impl Authentication {
    /// Reads a configuration file's text. `own` are issuers that nobody else may be: the server's own.
    pub fn read(text: &str, own: &[&str]) -> Result<Self, String> {
        let document: Document = serde_saphyr::from_str(text).map_err(|e| format!("not an AuthenticationConfiguration: {e}"))?;
        crate::head::check(&document.api_version, &document.kind, "AuthenticationConfiguration", &["v1", "v1beta1", "v1alpha1"])?;
        let algorithms = Algorithm::ALL.map(|(_, algorithm)| algorithm);
        let (issuers, mut errors) = Self::issuers(document.jwt, &algorithms, own);
        let anonymous = document.anonymous.map(|section| {
            if !section.enabled && !section.conditions.is_empty() {
                let shown: Vec<_> = section.conditions.iter().map(|c| c.path.clone()).collect();
                errors.push(FieldError::invalid(&Path::new("anonymous").child("conditions"), shown, "enabled should be set to true when conditions are defined"));
            }
            section.meaning()
        });
        Self { issuers, anonymous }.unless(&errors)
    }

    /// The configuration that flags make.
    pub fn of_flags(flags: &OidcFlags, own: &[&str]) -> Result<Self, String> {
        let mut algorithms = Vec::new();
        for name in &flags.signing_algs {
            algorithms.push(Algorithm::parse(name).ok_or_else(|| format!("oidc: unsupported signing alg: {name:?}"))?);
        }
        if algorithms.is_empty() {
            algorithms.push(Algorithm::Rs256);
        }
        let (issuers, errors) = Self::issuers(vec![flags.authenticator()], &algorithms, own);
        Self { issuers, anonymous: None }.unless(&errors)
    }

    fn unless(self, errors: &[FieldError]) -> Result<Self, String> {
        if errors.is_empty() { Ok(self) } else { Err(format!("invalid authentication configuration: {}", api::field::aggregate(errors))) }
    }

    fn issuers(sections: Vec<JwtAuthenticator>, algorithms: &[Algorithm], own: &[&str]) -> (Vec<Issuer>, Vec<FieldError>) {
        let root = Path::new("jwt");
        if sections.len() > MAX_ISSUERS {
            return (Vec::new(), vec![FieldError::too_many(&root, sections.len(), MAX_ISSUERS)]);
        }
        let (mut issuers, mut errors) = (Vec::<Issuer>::new(), Vec::new());
        for (i, section) in sections.iter().enumerate() {
            let at = root.index(i);
            let issuer = Issuer::compile(section, algorithms, &at, own, &mut errors);
            if issuers.iter().any(|other| other.url == issuer.url) {
                errors.push(FieldError::duplicate(&at.child("issuer").child("url"), issuer.url.clone()));
            }
            if !issuer.discovery_url.is_empty() && issuers.iter().any(|other| other.discovery_url == issuer.discovery_url) {
                errors.push(FieldError::duplicate(&at.child("issuer").child("discoveryURL"), issuer.discovery_url.clone()));
            }
            issuers.push(issuer);
        }
        (issuers, errors)
    }
}

impl AnonymousSection {
    fn meaning(self) -> Anonymous {
        match (self.enabled, self.conditions.is_empty()) {
            (false, _) => Anonymous::Nowhere,
            (true, true) => Anonymous::Everywhere,
            (true, false) => Anonymous::At(self.conditions.into_iter().map(|c| c.path).collect()),
        }
    }
}

/// Upstream's flags for one issuer, files read.
#[derive(Debug, Clone, Default)]
pub struct OidcFlags {
    pub issuer_url: String,
    pub client_id: String,
    pub ca: String,
    pub username_claim: String,
    pub username_prefix: String,
    pub groups_claim: String,
    pub groups_prefix: String,
    pub required_claims: Vec<(String, String)>,
    pub signing_algs: Vec<String>,
}

impl OidcFlags {
    /// Upstream: `pkg/kubeapiserver/options/authentication.go`, `ToAuthenticationConfig`.
    fn authenticator(&self) -> JwtAuthenticator {
        let claim = if self.username_claim.is_empty() { "sub" } else { &self.username_claim };
        let prefix = match self.username_prefix.as_str() {
            "-" => String::new(),
            "" if claim != "email" => format!("{}#", self.issuer_url),
            given => given.to_owned(),
        };
        let groups = if self.groups_claim.is_empty() {
            ClaimOrExpression::default()
        } else {
            ClaimOrExpression { claim: self.groups_claim.clone(), prefix: Some(self.groups_prefix.clone()), expression: String::new() }
        };
        let required = self.required_claims.iter().map(|(claim, value)| ClaimValidationRule { claim: claim.clone(), required_value: value.clone(), ..Default::default() });
        JwtAuthenticator {
            issuer: IssuerSection { url: self.issuer_url.clone(), certificate_authority: self.ca.clone(), audiences: vec![self.client_id.clone()], ..Default::default() },
            claim_validation_rules: required.collect(),
            claim_mappings: ClaimMappings { username: ClaimOrExpression { claim: claim.to_owned(), prefix: Some(prefix), expression: String::new() }, groups, ..Default::default() },
            user_validation_rules: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";

    fn refused(rest: &str) -> String {
        Authentication::read(&format!("{HEAD}{rest}"), &["https://own"]).err().unwrap_or_default()
    }

    #[test]
    fn faults_are_told_with_their_fields() {
        let why = refused("jwt:\n- issuer: {url: http://own, discoveryURL: 'http://own/', audiences: [a, a]}\n  claimMappings: {username: {claim: sub}, extra: [{key: Team, valueExpression: claims.team}]}\n");
        for part in [
            "jwt[0].issuer.url: Invalid value: \"http://own\": URL scheme must be https",
            "jwt[0].issuer.discoveryURL: Invalid value: \"http://own/\": discoveryURL must be different from URL",
            "jwt[0].issuer.audiences[1]: Duplicate value: \"a\"",
            "jwt[0].issuer.audienceMatchPolicy: Invalid value: \"\": audienceMatchPolicy must be MatchAny for multiple audiences",
            "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing",
            "jwt[0].claimMappings.extra[0].key: Invalid value: \"Team\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ] {
            assert!(why.contains(part), "{part}\n{why}");
        }
        assert!(refused("jwt:\n- issuer: {url: 'https://own', audiences: [a]}\n  claimMappings: {username: {expression: 'claims.sub'}}\n").contains("URL must not overlap with disallowed issuers: [https://own]"));
        assert!(refused("jwt:\n- issuer: {url: 'https://a', audiences: [a]}\n  claimMappings: {username: {expression: 'claims.email'}}\n").contains("claims.email_verified must be used"));
        assert!(refused("jwt:\n- issuer: {url: 'https://a', audiences: [a]}\n  claimMappings: {username: {expression: 'nobody'}}\n").contains("compilation failed: ERROR: <input>:1:1: undeclared reference to 'nobody'"));
        assert!(refused("anonymous: {enabled: false, conditions: [{path: /livez}]}\n").contains("enabled should be set to true when conditions are defined"));
        assert!(refused("jwts: []\n").contains("jwts"));
        assert!(Authentication::read("apiVersion: v1\nkind: Pod\n", &[]).is_err());
    }

    #[test]
    fn places_without_credentials_are_named() {
        let read = |rest: &str| Authentication::read(&format!("{HEAD}{rest}"), &[]).unwrap().anonymous;
        assert_eq!(read(""), None);
        assert_eq!(read("anonymous: {enabled: true}\n"), Some(Anonymous::Everywhere));
        assert_eq!(read("anonymous: {enabled: true, conditions: [{path: /livez}]}\n"), Some(Anonymous::At(vec!["/livez".into()])));
        assert_eq!(read("anonymous: {enabled: false}\n"), Some(Anonymous::Nowhere));
    }
}
