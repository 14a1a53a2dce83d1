//! Which key of etcd is which key of which table.
//!
//! Upstream: `/registry/<resource>/...` for built-in kinds, `/registry/<group>/<resource>/...` for custom ones, and two
//! tables below `services`. A few resources lie under names of old, which the owner of the tables tells.

/// The layout of keys.
#[derive(Clone, Debug)]
pub struct Layout {
    /// What all keys begin with, without a slash at the end.
    pub prefix: String,
    /// Tables whose keys begin otherwise than with their names: `("/registry/nodes", "/registry/minions")`.
    pub renamed: Vec<(String, String)>,
}

impl Layout {
    /// The table and the key within it; none for keys that belong to nobody here.
    pub fn table_of(&self, key: &str) -> Option<(String, String)> {
        let rest = key.strip_prefix(&self.prefix)?;
        let full = format!("/registry{rest}");
        for (table, stored) in &self.renamed {
            if let Some(name) = full.strip_prefix(stored.as_str()).and_then(|r| r.strip_prefix('/')) {
                return Some((table.clone(), name.to_owned()));
            }
        }
        let mut parts = rest.strip_prefix('/')?.splitn(3, '/');
        let (first, second) = (parts.next()?, parts.next()?);
        if first.contains('.') || first == "services" {
            return Some((format!("/registry/{first}/{second}"), parts.next()?.to_owned()));
        }
        let name = match parts.next() {
            Some(third) => format!("{second}/{third}"),
            None => second.to_owned(),
        };
        Some((format!("/registry/{first}"), name))
    }

    pub fn key_of(&self, table: &str, key: &str) -> String {
        let renamed = self.renamed.iter().find(|(name, _)| name == table).map_or(table, |(_, stored)| stored);
        format!("{}{}/{key}", self.prefix, renamed.strip_prefix("/registry").unwrap_or(renamed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_there_and_back() {
        let layout = Layout { prefix: "/other".into(), renamed: vec![("/registry/nodes".into(), "/registry/minions".into()), ("/registry/endpoints".into(), "/registry/services/endpoints".into())] };
        for (table, key, stored) in [
            ("/registry/pods", "a/b", "/other/pods/a/b"),
            ("/registry/namespaces", "a", "/other/namespaces/a"),
            ("/registry/nodes", "a", "/other/minions/a"),
            ("/registry/services/specs", "a/b", "/other/services/specs/a/b"),
            ("/registry/endpoints", "a/b", "/other/services/endpoints/a/b"),
            ("/registry/example.com/widgets", "a/b", "/other/example.com/widgets/a/b"),
        ] {
            assert_eq!(layout.key_of(table, key), stored);
            assert_eq!(layout.table_of(stored), Some((table.to_owned(), key.to_owned())));
        }
        assert_eq!(layout.table_of("compact_rev_key"), None);
        assert_eq!(layout.table_of("/other/ranges"), None);
    }
}
