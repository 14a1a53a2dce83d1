//! The paths beside those of resources: discovery, version, what is told of tokens.
// Upstream: apiserver pkg/server/routes/{version.go,openidmetadata.go}, pkg/endpoints/discovery

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::paths::{MEDIA, api_word, group_version, tag};
use super::schemas::{Definitions, META};
use super::{Dialect, Resource};

/// One path that is only read.
pub(super) struct Root {
    /// The document of the third version that holds it.
    pub document: String,
    path: String,
    id: String,
    tag: String,
    text: &'static str,
    /// What it gives; none for a text.
    gives: Option<String>,
    media: &'static [&'static str],
}

/// All of them. Upstream: groups of custom resources have none.
pub(super) fn all(resources: &[&Resource]) -> Vec<Root> {
    let meta = |kind: &str| Some(format!("{META}.{kind}"));
    let root = |document: &str, id: &str, tag: &str, text, gives, media| Root { document: document.into(), path: format!("/{document}/"), id: id.into(), tag: tag.into(), text, gives, media };
    let mut roots = vec![
        root(".well-known/openid-configuration", "getServiceAccountIssuerOpenIDConfiguration", "WellKnown", "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'", None, &["application/json"]),
        root("openid/v1/jwks", "getServiceAccountIssuerOpenIDKeyset", "openid", "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)", None, &["application/jwk-set+json"]),
        root("version", "getCodeVersion", "version", "get the version information for this server", Some("io.k8s.apimachinery.pkg.version.Info".into()), &["application/json"]),
        root("api", "getCoreAPIVersions", "core", "get available API versions", meta("APIVersions"), &MEDIA),
        root("apis", "getAPIVersions", "apis", "get available API versions", meta("APIGroupList"), &MEDIA),
    ];
    let (mut groups, mut versions) = (BTreeSet::new(), BTreeSet::new());
    for resource in resources.iter().filter(|r| r.custom.is_none()) {
        if !resource.group.is_empty() && groups.insert(resource.group.clone()) {
            let of = Resource { group: resource.group.clone(), ..Resource::default() };
            roots.push(root(&format!("apis/{}", resource.group), &format!("get{}APIGroup", api_word(&of)), tag(&of).trim_end_matches('_'), "get information of a group", meta("APIGroup"), &MEDIA));
        }
        if versions.insert(group_version(resource)) {
            roots.push(root(&group_version(resource), &format!("get{}APIResources", api_word(resource)), &tag(resource), "get available resources", meta("APIResourceList"), &MEDIA));
        }
    }
    roots
}

impl Root {
    /// The path and its item.
    pub fn item(&self, dialect: Dialect, definitions: &mut Definitions) -> (String, Value) {
        let schema = self.gives.as_ref().map_or_else(|| json!({ "type": "string" }), |gives| definitions.reference(gives));
        let mut get = json!({"description": self.text, "operationId": self.id, "tags": [self.tag]});
        if dialect == Dialect::V2 {
            if self.gives.is_some() {
                get["consumes"] = json!(self.media);
            }
            get["produces"] = json!(self.media);
            get["schemes"] = json!(["https"]);
            get["responses"] = json!({"200": {"description": "OK", "schema": schema}, "401": {"description": "Unauthorized"}});
        } else {
            let content: Map<String, Value> = self.media.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect();
            get["responses"] = json!({"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}});
        }
        (self.path.clone(), json!({ "get": get }))
    }
}
