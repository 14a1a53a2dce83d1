//! Adoption and release: which of the objects in a namespace are mine, which become mine, which I let go.
//!
//! Pure. It never takes what another controller owns, and never adopts for an owner that is being deleted.
//! Upstream: pkg/controller/controller_ref_manager.go.

use std::sync::Arc;

use client::{Action, Target, controller_owner};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::json;

use scheduling::labels::Labels;

/// Who claims.
pub(crate) struct Claimant<'a> {
    pub owner: OwnerReference,
    pub deleting: bool,
    pub selects: &'a dyn Fn(Option<&Labels>) -> bool,
}

/// The objects that count as the claimant's now, and the writes that make it so.
pub(crate) struct Claim<K> {
    pub mine: Vec<Arc<K>>,
    pub actions: Vec<Action>,
    /// True when something would be adopted: worth a look whether the owner still lives.
    pub adopts: bool,
}

pub(crate) fn claim<K>(claimant: &Claimant<'_>, objects: impl IntoIterator<Item = Arc<K>>) -> Claim<K>
where
    K: kube::Resource<DynamicType = ()>,
{
    let mut claim = Claim { mine: Vec::new(), actions: Vec::new(), adopts: false };
    for object in objects {
        let matches = (claimant.selects)(object.meta().labels.as_ref());
        match controller_owner(&*object) {
            Some(owner) if owner.uid != claimant.owner.uid => {}
            Some(_) if matches || claimant.deleting => claim.mine.push(object),
            Some(_) => claim.actions.extend(release(&*object, &claimant.owner.uid)),
            None if !matches || claimant.deleting || object.meta().deletion_timestamp.is_some() => {}
            None => {
                claim.actions.push(adopt(&*object, &claimant.owner));
                claim.adopts = true;
                claim.mine.push(object);
            }
        }
    }
    claim
}

fn adopt<K: kube::Resource<DynamicType = ()>>(object: &K, owner: &OwnerReference) -> Action {
    let mut owners: Vec<_> = object.meta().owner_references.iter().flatten().filter(|o| o.uid != owner.uid).cloned().collect();
    owners.push(owner.clone());
    Action::Patch { target: Target::of(object), subresource: client::Subresource::None, body: json!({"metadata": {"ownerReferences": owners}}), announce: None }
}

/// Lets go of an object; one that is being deleted anyway is left alone.
fn release<K: kube::Resource<DynamicType = ()>>(object: &K, uid: &str) -> Option<Action> {
    if object.meta().deletion_timestamp.is_some() {
        return None;
    }
    let owners: Vec<_> = object.meta().owner_references.iter().flatten().filter(|o| o.uid != uid).cloned().collect();
    Some(Action::Patch { target: Target::of(object), subresource: client::Subresource::None, body: json!({"metadata": {"ownerReferences": owners}}), announce: None })
}

/// Asks the API itself whether the owner of this uid still lives: a cache may show the dead.
pub(crate) async fn lives<K>(api: kube::Api<K>, name: &str, uid: &str) -> Result<bool, client::Error>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let found = api.get_opt(name).await?;
    Ok(found.is_some_and(|o| o.meta().uid.as_deref() == Some(uid) && o.meta().deletion_timestamp.is_none()))
}
