//! The objects of an informer and their indexes. Plain data: no locks, no IO, and the indexes always agree with the objects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::{Change, ObjectKey};

type KeysOf<K> = Box<dyn Fn(&K) -> Vec<String> + Send + Sync>;

struct Lookup<K> {
    keys: KeysOf<K>,
    members: HashMap<String, BTreeSet<ObjectKey>>,
}

impl<K> Lookup<K> {
    fn insert(&mut self, key: &ObjectKey, object: &K) {
        for value in (self.keys)(object) {
            self.members.entry(value).or_default().insert(key.clone());
        }
    }

    fn remove(&mut self, key: &ObjectKey, object: &K) {
        for value in (self.keys)(object) {
            if let Some(members) = self.members.get_mut(&value) {
                members.remove(key);
                if members.is_empty() {
                    self.members.remove(&value);
                }
            }
        }
    }
}

pub(super) struct Store<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    indexes: Vec<Lookup<K>>,
}

impl<K: kube::Resource> Store<K> {
    pub fn put(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        let key = ObjectKey::of(&*object);
        let old = self.objects.insert(key.clone(), object.clone());
        for index in &mut self.indexes {
            if let Some(old) = &old {
                index.remove(&key, old);
            }
            index.insert(&key, &object);
        }
        old
    }

    pub fn remove(&mut self, object: &K) -> Option<Arc<K>> {
        let key = ObjectKey::of(object);
        let old = self.objects.remove(&key)?;
        for index in &mut self.indexes {
            index.remove(&key, &old);
        }
        Some(old)
    }

    /// Takes over a whole list and returns what changed, in order of keys.
    pub fn replace(&mut self, objects: Vec<Arc<K>>) -> Vec<Change<K>> {
        let fresh: BTreeMap<ObjectKey, Arc<K>> = objects.into_iter().map(|o| (ObjectKey::of(&*o), o)).collect();
        let mut changes = Vec::new();
        for (key, old) in &self.objects {
            match fresh.get(key) {
                None => changes.push(Change::Deleted(old.clone())),
                Some(new) if new.meta().uid != old.meta().uid => {
                    changes.push(Change::Deleted(old.clone()));
                    changes.push(Change::Added(new.clone()));
                }
                Some(new) if new.meta().resource_version != old.meta().resource_version => {
                    changes.push(Change::Modified { old: old.clone(), new: new.clone() });
                }
                Some(_) => {}
            }
        }
        changes.extend(fresh.iter().filter(|(key, _)| !self.objects.contains_key(key)).map(|(_, o)| Change::Added(o.clone())));
        self.objects = fresh;
        for index in &mut self.indexes {
            index.members.clear();
            for (key, object) in &self.objects {
                index.insert(key, object);
            }
        }
        changes
    }
}

impl<K> Store<K> {
    pub fn new() -> Self {
        Self { objects: BTreeMap::new(), indexes: Vec::new() }
    }

    pub fn add_index(&mut self, keys: KeysOf<K>) -> usize {
        let mut index = Lookup { keys, members: HashMap::new() };
        for (key, object) in &self.objects {
            index.insert(key, object);
        }
        self.indexes.push(index);
        self.indexes.len() - 1
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.objects.get(&ObjectKey::new(namespace, name)).cloned()
    }

    pub fn list(&self) -> Vec<Arc<K>> {
        self.objects.values().cloned().collect()
    }

    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = Bound::Included(ObjectKey::new(namespace, ""));
        self.objects.range((from, Bound::Unbounded)).take_while(|(key, _)| key.namespace == namespace).map(|(_, o)| o.clone()).collect()
    }

    pub fn indexed(&self, slot: usize, value: &str) -> Vec<Arc<K>> {
        let Some(members) = self.indexes.get(slot).and_then(|index| index.members.get(value)) else { return Vec::new() };
        members.iter().filter_map(|key| self.objects.get(key).cloned()).collect()
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }
}
