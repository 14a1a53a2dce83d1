//! ControllerRevisions.

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "ControllerRevision", "controllerrevisions", true).columns(columns(&["Name", "Controller", "Revision#", "Age"]), |object, now| {
        let owner = walk::list(object, "metadata.ownerReferences").iter().find(|o| walk::flag(o, "controller"));
        let controller = owner.map_or("<none>".to_owned(), |o| {
            let (group, _) = api::resource::split_api_version(walk::text(o, "apiVersion"));
            let kind = walk::text(o, "kind").to_lowercase();
            if group.is_empty() { format!("{kind}/{}", walk::text(o, "name")) } else { format!("{kind}.{group}/{}", walk::text(o, "name")) }
        });
        vec![name(object), controller.into(), walk::int(object, "revision").into(), age(object, now)]
    })
}
