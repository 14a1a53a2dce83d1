//! Tokens of service accounts: signed here, and bound to objects that must still be there.

use std::collections::BTreeMap;

use api::meta;
use catalog::walk;
use parking_lot::RwLock;
use pki::TokenSigner;
use serde_json::Value;
use store::{Store, TableId};

use crate::config::AccountTokens;
use crate::object;
use crate::user::User;

/// What was deleted counts as there for that long. Upstream: go-jose/v4/jwt DefaultLeeway in `pkg/serviceaccount/claims.go`.
const LEEWAY_SECONDS: i64 = 60;
const INVALIDATED: &str = "service account token has been invalidated";

pub struct ServiceAccounts {
    signer: RwLock<TokenSigner>,
    settings: AccountTokens,
    accounts: TableId,
    pods: TableId,
    secrets: TableId,
    nodes: TableId,
}

impl ServiceAccounts {
    pub fn new(signer: TokenSigner, settings: &AccountTokens, store: &Store) -> Self {
        let table = |plural: &str| store.table(&format!("/registry/{plural}"));
        Self { signer: RwLock::new(signer), settings: settings.clone(), accounts: table("serviceaccounts"), pods: table("pods"), secrets: table("secrets"), nodes: table("nodes") }
    }

    /// Whom tokens have to be for.
    pub fn audiences(&self) -> Vec<&str> {
        self.settings.audiences().iter().map(String::as_str).collect()
    }

    pub fn sign(&self, claims: &Value) -> Result<String, pki::Error> {
        self.signer.read().sign(claims)
    }

    pub fn jwks(&self) -> Value {
        self.signer.read().jwks()
    }

    pub fn algorithms(&self) -> Vec<String> {
        self.signer.read().algorithms()
    }

    /// The account behind a token of this server, and the audiences it shares with `wanted`.
    ///
    /// Upstream: `pkg/serviceaccount/jwt.go`, `claims.go`.
    pub fn token(&self, store: &Store, token: &str, wanted: &[&str]) -> Result<(User, Vec<String>), String> {
        let claims = self.signer.read().verify(token).map_err(|_| "invalid bearer token".to_owned())?;
        if !self.settings.issuers.iter().any(|issuer| issuer == walk::text(&claims, "iss")) {
            return Err("invalid bearer token".into());
        }
        let audiences: Vec<&str> = match &claims["aud"] {
            Value::String(one) => vec![one],
            many => many.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        let shared: Vec<String> = audiences.iter().filter(|a| wanted.contains(a)).map(|a| (*a).to_owned()).collect();
        if shared.is_empty() {
            return Err(format!("token audiences {audiences:?} is invalid for the target audiences {wanted:?}"));
        }
        let private = &claims["kubernetes.io"];
        let (namespace, name) = (walk::text(private, "namespace"), walk::text(private, "serviceaccount.name"));
        let uid = walk::text(private, "serviceaccount.uid");
        let account = Self::find(store, self.accounts, namespace, name).ok_or_else(|| format!("serviceaccounts {name:?} not found"))?;
        if went_away(&account) {
            return Err(format!("service account {namespace}/{name} has been deleted"));
        }
        if meta::uid(&account) != uid {
            return Err(format!("service account UID ({}) does not match claim ({uid})", meta::uid(&account)));
        }
        let mut user = User::new(format!("system:serviceaccount:{namespace}:{name}"), &["system:serviceaccounts"]);
        user.groups.insert(1, format!("system:serviceaccounts:{namespace}"));
        user.uid = uid.to_owned();
        self.bound(store, private, namespace, &mut user.extra)?;
        if let Some(id) = claims["jti"].as_str() {
            user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![format!("JTI={id}")]);
        }
        Ok((user, shared))
    }

    fn find(store: &Store, table: TableId, namespace: &str, name: &str) -> Option<Value> {
        let record = store.view().get(table, &object::key(namespace, name))?;
        Some(object::parse(&record.value))
    }

    /// A token bound to an object ends with it; the node of a bound pod is told, but need not be there.
    fn bound(&self, store: &Store, private: &Value, namespace: &str, extra: &mut BTreeMap<String, Vec<String>>) -> Result<(), String> {
        for (key, table, namespace) in [("secret", self.secrets, namespace), ("pod", self.pods, namespace), ("node", self.nodes, "")] {
            let Some(reference) = private.get(key) else { continue };
            let (name, uid) = (walk::text(reference, "name"), walk::text(reference, "uid"));
            if key != "node" || private.get("pod").is_none() {
                let object = Self::find(store, table, namespace, name).filter(|object| !went_away(object)).ok_or(INVALIDATED)?;
                let found = meta::uid(&object);
                if found != uid {
                    return Err(format!("{key} UID ({found}) does not match service account {key} ref claim ({uid})"));
                }
            }
            if key != "secret" {
                for (fact, value) in [("name", name), ("uid", uid)] {
                    if !value.is_empty() {
                        extra.insert(format!("authentication.kubernetes.io/{key}-{fact}"), vec![value.to_owned()]);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether an object is being deleted and its time was up a while ago.
fn went_away(object: &Value) -> bool {
    let when = walk::text(object, "metadata.deletionTimestamp").parse::<jiff::Timestamp>();
    when.is_ok_and(|when| when.as_second() < jiff::Timestamp::now().as_second() - LEEWAY_SECONDS)
}
