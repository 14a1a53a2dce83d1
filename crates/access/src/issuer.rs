//! One issuer of tokens: which tokens are its, and which user a token's claims make.
//!
//! Upstream: apiserver `plugin/pkg/authenticator/token/oidc/oidc.go`, coreos/go-oidc `verify.go`.

use api::FieldError;
use api::field::Path;
use cel::Program;
use serde_json::{Map, Value, json};

use crate::User;
use crate::configuration::{ClaimValidationRule, IssuerSection, JwtAuthenticator, UserValidationRule};
use crate::expressions::Over;
use crate::jwt::Algorithm;
use crate::mapping::{self, Mapping};

/// Upstream: clocks may differ by so much in `nbf`, but not in `exp`.
const LEEWAY_SECONDS: f64 = 300.0;

enum ClaimRule {
    Required { claim: String, value: String },
    Expression(Program, String),
}

/// An issuer, compiled.
pub struct Issuer {
    pub url: String,
    /// Where its description is; empty: below its own address.
    pub discovery_url: String,
    /// Whom the server trusts there, in PEM; empty: the machine's roots.
    pub certificate_authority: String,
    /// By which way it is reached: `controlplane`, `cluster`; empty: directly.
    pub egress: String,
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    username: Mapping,
    groups: Mapping,
    uid: Mapping,
    extra: Vec<(String, Program)>,
    claim_rules: Vec<ClaimRule>,
    user_rules: Vec<(Program, String)>,
}

impl Issuer {
    /// Reads an issuer's section; all faults go to `errors`.
    pub fn compile(section: &JwtAuthenticator, algorithms: &[Algorithm], path: &Path, own: &[&str], errors: &mut Vec<FieldError>) -> Self {
        check_issuer(&section.issuer, own, &path.child("issuer"), errors);
        let claim_rules = claim_rules(&section.claim_validation_rules, &path.child("claimValidationRules"), errors);
        let (mappings, at) = (&section.claim_mappings, path.child("claimMappings"));
        let username = mapping::prefixed(&mappings.username, true, &at.child("username"), errors);
        let groups = mapping::prefixed(&mappings.groups, false, &at.child("groups"), errors);
        let uid = mapping::plain(&mappings.uid, &at.child("uid"), errors);
        let extra = mapping::extra(&mappings.extra, &at.child("extra"), errors);
        mapping::check_email(mappings, &section.claim_validation_rules, &at, errors);
        Self {
            url: section.issuer.url.clone(),
            discovery_url: section.issuer.discovery_url.clone(),
            certificate_authority: section.issuer.certificate_authority.clone(),
            egress: section.issuer.egress_selector_type.clone(),
            audiences: section.issuer.audiences.clone(),
            algorithms: algorithms.to_vec(),
            user_rules: user_rules(&section.user_validation_rules, &path.child("userValidationRules"), errors),
            username,
            groups,
            uid,
            extra,
            claim_rules,
        }
    }

    /// The claim that holds groups, which may be kept elsewhere.
    pub fn groups_claim(&self) -> Option<&str> {
        match &self.groups {
            Mapping::Claim { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether a token with these claims is for this server, and now.
    pub fn check(&self, claims: &Map<String, Value>, now: jiff::Timestamp) -> Result<(), String> {
        let audiences: Vec<&str> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !self.audiences.iter().any(|a| audiences.contains(&a.as_str())) {
            return Err(format!("oidc: verify token: oidc: expected audience in {:?} got {audiences:?}", self.audiences));
        }
        let time = |key: &str| claims.get(key).and_then(Value::as_f64);
        let now = now.as_millisecond() as f64 / 1000.0;
        // Upstream: a token without an end has ended.
        if time("exp").is_none_or(|end| end < now) {
            return Err("oidc: verify token: oidc: token is expired".into());
        }
        if time("nbf").is_some_and(|begin| now + LEEWAY_SECONDS < begin) {
            return Err("oidc: verify token: oidc: current time is before the nbf (not before) time".into());
        }
        Ok(())
    }

    /// The user that verified claims make.
    pub fn user(&self, claims: &Map<String, Value>) -> Result<User, String> {
        let claims = &mapping::as_value(claims);
        let name = self.username.text("username", claims)?.unwrap_or_default();
        if name.is_empty() {
            return Err("oidc: the username is empty".into());
        }
        self.check_email(claims)?;
        let mut user = User { name, groups: self.groups.texts("group", claims)?, uid: self.uid.text("uid", claims)?.unwrap_or_default(), ..User::default() };
        for (key, program) in &self.extra {
            let values = mapping::expressed(program, claims).map_err(|why| format!("oidc: error evaluating extra claim expression: {}: {why}", program.source()))?;
            if !values.is_empty() {
                user.extra.insert(key.clone(), values);
            }
        }
        self.check_claims(claims)?;
        let info = json!({"username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra});
        for (program, message) in &self.user_rules {
            holds(Over::User, program, message, &info).map_err(|why| format!("oidc: error evaluating user info validation rule: {why}"))?;
        }
        Ok(user)
    }

    /// Upstream: an address as the name must be verified, where the token tells.
    fn check_email(&self, claims: &Value) -> Result<(), String> {
        match (&self.username, claims.get("email_verified")) {
            (Mapping::Claim { name, .. }, Some(verified)) if name == "email" => match verified.as_bool() {
                Some(true) => Ok(()),
                Some(false) => Err("oidc: email not verified".into()),
                None => Err("oidc: parse 'email_verified' claim: it is no boolean".into()),
            },
            _ => Ok(()),
        }
    }

    fn check_claims(&self, claims: &Value) -> Result<(), String> {
        for rule in &self.claim_rules {
            match rule {
                ClaimRule::Required { claim, value } => match claims.get(claim) {
                    None => return Err(format!("oidc: required claim {claim} not present in ID token")),
                    Some(Value::String(found)) if found == value => {}
                    Some(Value::String(found)) => return Err(format!("oidc: required claim {claim} value does not match. Got = {found}, want = {value}")),
                    Some(_) => return Err(format!("oidc: parse claim {claim}: it is no string")),
                },
                ClaimRule::Expression(program, message) => {
                    holds(Over::Claims, program, message, claims).map_err(|why| format!("oidc: error evaluating claim validation expression: {why}"))?;
                }
            }
        }
        Ok(())
    }
}

fn holds(over: Over, program: &Program, message: &str, input: &Value) -> Result<(), String> {
    match over.evaluate(program, input)? {
        Value::Bool(true) => Ok(()),
        Value::Bool(false) => Err(format!("validation expression '{}' failed: {message}", program.source())),
        _ => Err("validation expression must return a boolean".into()),
    }
}

fn check_issuer(issuer: &IssuerSection, own: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    if issuer.url.is_empty() {
        errors.push(FieldError::required(&path.child("url"), ""));
    } else {
        check_url(&issuer.url, own, &path.child("url"), errors);
    }
    let discovery = issuer.discovery_url.as_str();
    if !discovery.is_empty() {
        let at = path.child("discoveryURL");
        if !issuer.url.is_empty() && issuer.url.trim_end_matches('/') == discovery.trim_end_matches('/') {
            errors.push(FieldError::invalid(&at, discovery, "discoveryURL must be different from URL"));
        }
        check_url(discovery, &[], &at, errors);
    }
    check_audiences(issuer, path, errors);
    if !issuer.certificate_authority.is_empty() && !issuer.certificate_authority.contains("-----BEGIN CERTIFICATE-----") {
        errors.push(FieldError::invalid(&path.child("certificateAuthority"), "<omitted>", "data does not contain any valid RSA or ECDSA certificates"));
    }
    if !matches!(issuer.egress_selector_type.as_str(), "" | "controlplane" | "cluster") {
        errors.push(FieldError::invalid(&path.child("egressSelectorType"), issuer.egress_selector_type.as_str(), "egress selector must be either controlplane or cluster"));
    }
}

fn check_audiences(issuer: &IssuerSection, path: &Path, errors: &mut Vec<FieldError>) {
    let (at, policy) = (path.child("audiences"), issuer.audience_match_policy.as_str());
    if issuer.audiences.is_empty() {
        errors.push(FieldError::required(&at, format!("at least one {at} is required")));
        return;
    }
    for (i, audience) in issuer.audiences.iter().enumerate() {
        if audience.is_empty() {
            errors.push(FieldError::required(&at.index(i), ""));
        }
        if issuer.audiences.iter().take(i).any(|other| other == audience) {
            errors.push(FieldError::duplicate(&at.index(i), audience.clone()));
        }
    }
    let of = path.child("audienceMatchPolicy");
    if issuer.audiences.len() > 1 && policy != "MatchAny" {
        errors.push(FieldError::invalid(&of, policy, "audienceMatchPolicy must be MatchAny for multiple audiences"));
    } else if !matches!(policy, "" | "MatchAny") {
        errors.push(FieldError::invalid(&of, policy, "audienceMatchPolicy must be empty or MatchAny for single audience"));
    }
}

fn check_url(text: &str, own: &[&str], path: &Path, errors: &mut Vec<FieldError>) {
    let mut wrong = |why: String| errors.push(FieldError::invalid(path, text, why));
    if own.contains(&text) {
        wrong(format!("URL must not overlap with disallowed issuers: [{}]", own.join(" ")));
    }
    let uri = text.split('#').next().unwrap_or_default().parse::<http::Uri>();
    let Ok(uri) = uri else { return wrong("it is no URL".into()) };
    if uri.scheme_str() != Some("https") {
        wrong("URL scheme must be https".into());
    }
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        wrong("URL must not contain a username or password".into());
    }
    if uri.query().is_some_and(|q| !q.is_empty()) {
        wrong("URL must not contain a query".into());
    }
    if text.split_once('#').is_some_and(|(_, fragment)| !fragment.is_empty()) {
        wrong("URL must not contain a fragment".into());
    }
}

fn claim_rules(sections: &[ClaimValidationRule], path: &Path, errors: &mut Vec<FieldError>) -> Vec<ClaimRule> {
    let mut rules = Vec::new();
    for (i, section) in sections.iter().enumerate() {
        let (at, before) = (path.index(i), sections.get(..i).unwrap_or_default());
        match (section.claim.as_str(), section.expression.as_str()) {
            ("", "") => errors.push(FieldError::required(&at, "claim or expression is required")),
            (claim, "") => {
                if !section.message.is_empty() {
                    errors.push(FieldError::invalid(&at.child("message"), section.message.clone(), "may not be specified when claim is set"));
                }
                if before.iter().any(|other| other.claim == claim) {
                    errors.push(FieldError::duplicate(&at.child("claim"), claim));
                }
                rules.push(ClaimRule::Required { claim: claim.to_owned(), value: section.required_value.clone() });
            }
            ("", expression) => {
                if !section.required_value.is_empty() {
                    errors.push(FieldError::invalid(&at.child("requiredValue"), section.required_value.clone(), "may not be specified when expression is set"));
                }
                if before.iter().any(|other| other.expression == expression) {
                    errors.push(FieldError::duplicate(&at.child("expression"), expression));
                } else if let Some(program) = Over::Claims.compile(expression, true, &at.child("expression"), errors) {
                    rules.push(ClaimRule::Expression(program, section.message.clone()));
                }
            }
            (claim, _) => errors.push(FieldError::invalid(&at, claim, "claim and expression can't both be set")),
        }
    }
    rules
}

fn user_rules(sections: &[UserValidationRule], path: &Path, errors: &mut Vec<FieldError>) -> Vec<(Program, String)> {
    let mut rules = Vec::new();
    for (i, section) in sections.iter().enumerate() {
        let at = path.index(i).child("expression");
        if section.expression.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if sections.iter().take(i).any(|other| other.expression == section.expression) {
            errors.push(FieldError::duplicate(&at, section.expression.clone()));
        } else if let Some(program) = Over::User.compile(&section.expression, true, &at, errors) {
            rules.push((program, section.message.clone()));
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Authentication, OidcFlags};

    fn of(rest: &str) -> Issuer {
        let text = format!("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer: {{url: 'https://a', audiences: [x, y], audienceMatchPolicy: MatchAny}}\n{rest}");
        Authentication::read(&text, &[]).unwrap_or_else(|why| panic!("{why}")).issuers.remove(0)
    }

    fn user(issuer: &Issuer, claims: Value) -> Result<User, String> {
        issuer.user(claims.as_object().unwrap())
    }

    #[test]
    fn expressions_make_users() {
        let issuer = of(concat!(
            "  claimValidationRules: [{expression: \"claims.hd == 'example.org'\", message: wrong domain}, {claim: kind, requiredValue: person}]\n",
            "  claimMappings:\n    username: {expression: \"'who:' + claims.sub\"}\n    groups: {expression: \"claims.roles.split(',')\"}\n",
            "    uid: {claim: id}\n    extra: [{key: example.org/team, valueExpression: \"claims.?team.orValue('')\"}]\n",
            "  userValidationRules: [{expression: \"!user.username.startsWith('system:') && user.groups.all(g, !g.startsWith('system:'))\", message: reserved}]\n",
        ));
        let claims = json!({"sub": "eva", "hd": "example.org", "kind": "person", "roles": "a,b", "id": "1", "team": "blue"});
        let made = user(&issuer, claims.clone()).unwrap();
        assert_eq!((made.name.as_str(), made.groups.join("+"), made.uid.as_str()), ("who:eva", "a+b".into(), "1"));
        assert_eq!(made.extra["example.org/team"], ["blue"]);
        let with = |key: &str, value: Value| {
            let mut claims = claims.clone();
            claims[key] = value;
            user(&issuer, claims).unwrap_err()
        };
        assert!(with("hd", json!("other")).ends_with("failed: wrong domain"));
        assert!(with("kind", json!("robot")).contains("Got = robot, want = person"));
        assert!(with("roles", json!("system:masters")).ends_with("failed: reserved"));
        assert!(with("sub", json!(7)).contains("no such overload"));
    }

    #[test]
    fn flags_prefix_names_with_the_issuer() {
        let flags = OidcFlags { issuer_url: "https://a".into(), client_id: "x".into(), groups_claim: "groups".into(), groups_prefix: "g:".into(), ..Default::default() };
        let issuer = Authentication::of_flags(&flags, &[]).unwrap_or_default().issuers.remove(0);
        let made = user(&issuer, json!({"sub": "eva", "groups": "one"})).unwrap();
        assert_eq!((made.name.as_str(), made.groups[0].as_str()), ("https://a#eva", "g:one"));
        assert!(user(&issuer, json!({"groups": []})).unwrap_err().contains("claim not present"));
        let email = OidcFlags { username_claim: "email".into(), ..flags.clone() };
        let issuer = Authentication::of_flags(&email, &[]).unwrap_or_default().issuers.remove(0);
        assert_eq!(user(&issuer, json!({"email": "e@x"})).unwrap().name, "e@x");
        assert_eq!(user(&issuer, json!({"email": "e@x", "email_verified": false})).unwrap_err(), "oidc: email not verified");
        assert!(Authentication::of_flags(&OidcFlags { signing_algs: vec!["HS256".into()], ..flags }, &[]).is_err());
    }

    #[test]
    fn tokens_are_for_this_server_and_now() {
        let issuer = of("  claimMappings: {username: {claim: sub, prefix: ''}}\n");
        let now = jiff::Timestamp::from_second(1000).unwrap();
        let check = |claims: Value| issuer.check(claims.as_object().unwrap(), now);
        assert_eq!(check(json!({"aud": "y", "exp": 1001})), Ok(()));
        assert_eq!(check(json!({"aud": ["z", "x"], "exp": 1001.5, "nbf": 1299})), Ok(()));
        assert!(check(json!({"aud": "z", "exp": 1001})).unwrap_err().contains("expected audience in [\"x\", \"y\"] got [\"z\"]"));
        for wrong in [json!({"aud": "x"}), json!({"aud": "x", "exp": 999}), json!({"aud": "x", "exp": 2000, "nbf": 1301}), json!({"aud": "x", "exp": "2000"})] {
            assert!(check(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
