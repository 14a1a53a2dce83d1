//! Tokens of service accounts: signed here, and bound to objects that must still be there.

use std::collections::BTreeMap;

use api::meta;
use catalog::walk;
use parking_lot::RwLock;
use pki::TokenSigner;
use serde_json::Value;
use store::{Store, TableId};

use crate::object;
use crate::user::User;

pub struct ServiceAccounts {
    signer: RwLock<TokenSigner>,
    pub issuer: String,
    accounts: TableId,
    pods: TableId,
    secrets: TableId,
    nodes: TableId,
}

impl ServiceAccounts {
    pub fn new(signer: TokenSigner, issuer: &str, store: &Store) -> Self {
        let table = |plural: &str| store.table(&format!("/registry/{plural}"));
        Self { signer: RwLock::new(signer), issuer: issuer.to_owned(), accounts: table("serviceaccounts"), pods: table("pods"), secrets: table("secrets"), nodes: table("nodes") }
    }

    pub fn sign(&self, claims: &Value) -> Result<String, pki::Error> {
        self.signer.read().sign(claims)
    }

    pub fn jwks(&self) -> Value {
        self.signer.read().jwks()
    }

    /// The account behind a token of this server, and the audiences it shares with `wanted`.
    pub fn token(&self, store: &Store, token: &str, wanted: &[&str]) -> Result<(User, Vec<String>), String> {
        let claims = self.signer.read().verify(token).map_err(|_| "invalid bearer token".to_owned())?;
        if walk::text(&claims, "iss") != self.issuer {
            return Err("invalid bearer token".into());
        }
        let audiences: Vec<&str> = match &claims["aud"] {
            Value::String(one) => vec![one],
            many => many.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        };
        let shared: Vec<String> = audiences.into_iter().filter(|a| wanted.contains(a)).map(str::to_owned).collect();
        if shared.is_empty() {
            return Err("token audiences do not match".into());
        }
        let private = &claims["kubernetes.io"];
        let (namespace, name) = (walk::text(private, "namespace"), walk::text(private, "serviceaccount.name"));
        let uid = walk::text(private, "serviceaccount.uid");
        self.exists(store, self.accounts, namespace, name, uid).ok_or("service account has been deleted")?;
        let mut user = User::new(format!("system:serviceaccount:{namespace}:{name}"), &["system:serviceaccounts"]);
        user.groups.insert(1, format!("system:serviceaccounts:{namespace}"));
        user.uid = uid.to_owned();
        self.bound(store, private, namespace, &mut user.extra)?;
        if let Some(id) = claims["jti"].as_str() {
            user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![format!("JTI={id}")]);
        }
        Ok((user, shared))
    }

    fn exists(&self, store: &Store, table: TableId, namespace: &str, name: &str, uid: &str) -> Option<Value> {
        let record = store.view().get(table, &object::key(namespace, name))?;
        let object = object::parse(&record.value);
        (meta::uid(&object) == uid).then_some(object)
    }

    /// A token bound to an object ends with it.
    fn bound(&self, store: &Store, private: &Value, namespace: &str, extra: &mut BTreeMap<String, Vec<String>>) -> Result<(), String> {
        for (key, table, namespace) in [("pod", self.pods, namespace), ("secret", self.secrets, namespace), ("node", self.nodes, "")] {
            let Some(reference) = private.get(key) else { continue };
            let (name, uid) = (walk::text(reference, "name"), walk::text(reference, "uid"));
            self.exists(store, table, namespace, name, uid).ok_or("the object that the token is bound to is gone")?;
            if key != "secret" {
                extra.insert(format!("authentication.kubernetes.io/{key}-name"), vec![name.to_owned()]);
                extra.insert(format!("authentication.kubernetes.io/{key}-uid"), vec![uid.to_owned()]);
            }
        }
        Ok(())
    }
}
