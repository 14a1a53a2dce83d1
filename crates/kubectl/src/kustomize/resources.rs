//! What a kustomization names: files in or below its folder, and other kustomizations; no object twice.
// Upstream: kustomize api/internal/target/kusttarget.go (accumulateResources), api/internal/loader/fileloader.go, loadrestrictions.go.

use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::remote::{self, Clone, Spec};
use super::{Item, Root, load, objects, read_objects};
use crate::failure::{Failure, Outcome, fail};

/// Adds one resource of a kustomization.
pub fn add(root: &Root, name: &str, items: &mut Vec<Item>) -> Outcome {
    if remote::is_file(name) || Spec::parse(name).is_some() {
        return elsewhere(root, name, items);
    }
    let path = clean(&root.folder.join(name));
    if path.is_dir() {
        let new = directory(root, &path).map_err(|why| about(name, &format!("'{}' must resolve to a file", path.display()), &why))?;
        return merge(items, new).map_err(|why| about(name, &format!("'{}' must resolve to a file", path.display()), &format!("recursed merging from path '{}': {why}", path.display())));
    }
    if absent(&path).is_some() {
        let why = no_path(&path);
        return Err(about(name, &why, &format!("must build at directory: not a valid directory: {why}")));
    }
    let no_folder = format!("must build at directory: '{}': file is not directory", path.display());
    let real = std::fs::canonicalize(&path)?;
    if root.is_restricted && !real.starts_with(&root.folder) {
        return Err(about(name, &format!("security; file '{}' is not in or below '{}'", real.display(), root.folder.display()), &no_folder));
    }
    let new = read_objects(&path)?;
    merge(items, new).map_err(|why| Failure::Text(format!("accumulating resources: accumulation err='merging resources from '{name}': {why}': {no_folder}")))
}

/// A file over HTTP, or else a folder of a repository.
fn elsewhere(root: &Root, name: &str, items: &mut Vec<Item>) -> Outcome {
    let found = if remote::is_file(name) {
        match remote::file(name) {
            Ok(text) => objects(name, &text).map_err(|e| e.message()),
            Err(refused) if refused.is_final => return Err(Failure::Text(format!("accumulating resources: accumulating resources from '{name}': {}", refused.why))),
            Err(refused) => Err(refused.why),
        }
    } else {
        Err(no_path(&root.folder.join(name)))
    };
    let why = match found {
        Ok(new) => return merge(items, new).map_err(|why| Failure::Text(format!("accumulating resources: merging resources from '{name}': {why}"))),
        Err(why) => why,
    };
    let Some(spec) = Spec::parse(name) else {
        return Err(about(name, &why, &format!("must build at directory: not a valid directory: {}", no_path(&root.folder.join(name)))));
    };
    let inner = root.clone_of(&spec).map_err(|then| about(name, &why, &then.message()))?;
    let new = load(&inner).map_err(|e| about(name, &why, &format!("recursed accumulation of path '{}': {}", inner.folder.display(), e.message())))?;
    merge(items, new).map_err(|then| about(name, &why, &format!("recursed merging from path '{}': {then}", inner.folder.display())))
}

fn about(name: &str, why: &str, then: &str) -> Failure {
    Failure::Text(format!("accumulating resources: accumulation err='accumulating resources from '{name}': {why}': {then}"))
}

fn directory(root: &Root, path: &Path) -> Result<Vec<Item>, String> {
    let inner = root.below(path)?;
    load(&inner).map_err(|e| format!("recursed accumulation of path '{}': {}", path.display(), e.message()))
}

fn merge(items: &mut Vec<Item>, new: Vec<Item>) -> Result<(), String> {
    for item in new {
        let id = id(&item);
        if items.iter().any(|known| self::id(known) == id) {
            return Err(format!("may not add resource with an already registered id: {id}"));
        }
        items.push(item);
    }
    Ok(())
}

/// `Deployment.v1.apps/name.namespace`
fn id(item: &Item) -> String {
    let version = item.object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.rsplit_once('/').unwrap_or(("[noGrp]", version));
    let namespace = match api::meta::namespace(&item.object) {
        "" => "[noNs]",
        namespace => namespace,
    };
    format!("{}.{version}.{group}/{}.{namespace}", item.kind(), item.name())
}

/// Without `.` and `..`, links left as they are.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Go's words about a path that is not there.
fn no_path(path: &Path) -> String {
    let path = clean(path);
    let absent = absent(&path).unwrap_or_else(|| path.clone());
    format!("evalsymlink failure on '{}' : lstat {}: no such file or directory", path.display(), absent.display())
}

/// The first part of a path that is not there.
pub fn absent(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    parts.into_iter().find(|part| std::fs::symlink_metadata(part).is_err()).map(Path::to_owned)
}

impl Root {
    pub fn of(folder: &Path, is_restricted: bool) -> Outcome<Self> {
        Ok(Self { folder: std::fs::canonicalize(folder)?, visited: Vec::new(), is_restricted, clones: Vec::new() })
    }

    /// A folder of a repository; nothing in it reads outside of its own folder.
    pub fn cloned(spec: &Spec, visited: Vec<PathBuf>, mut clones: Vec<Rc<Clone>>) -> Outcome<Self> {
        let (clone, folder) = spec.fetch()?;
        clones.push(Rc::new(clone));
        Ok(Self { folder, visited, is_restricted: true, clones })
    }

    /// A repository that this kustomization names.
    fn clone_of(&self, spec: &Spec) -> Outcome<Self> {
        if let Some(why) = self.clones.iter().rev().find_map(|clone| clone.cycle(spec)) {
            return fail(why);
        }
        let mut visited = self.visited.clone();
        visited.push(self.folder.clone());
        Self::cloned(spec, visited, self.clones.clone())
    }

    /// Another kustomization that this one names; none that holds one being built.
    pub fn below(&self, path: &Path) -> Result<Self, String> {
        let folder = std::fs::canonicalize(path).map_err(|e| crate::failure::go_io(&e))?;
        if let Some(why) = self.clones.last().and_then(|clone| clone.fault(&folder)) {
            return Err(why);
        }
        let mut visited = self.visited.clone();
        visited.push(self.folder.clone());
        if let Some(holds) = visited.iter().find(|v| v.starts_with(&folder)) {
            return Err(format!("cycle detected: candidate root '{}' contains visited root '{}'", folder.display(), holds.display()));
        }
        Ok(Self { folder, visited, is_restricted: self.is_restricted, clones: self.clones.clone() })
    }
}

/// Components, which work on what is there.
pub fn component(root: &Root, name: &str) -> Outcome<(Root, serde_json::Value)> {
    let found = match Spec::parse(name) {
        Some(spec) => root.clone_of(&spec).map_err(|e| e.message()),
        None => root.below(&clean(&root.folder.join(name))),
    };
    let inner = found.map_err(|why| Failure::Text(format!("accumulating components: accumulation err='{why}'")))?;
    let component = super::read(&inner.folder)?;
    if component["kind"] != "Component" {
        let kind = component["kind"].as_str().unwrap_or("Kustomization");
        return fail(format!("accumulating components: accumulateDirectory: \"expected kind 'Component' for path '{}' but got '{kind}'\"", inner.folder.display()));
    }
    Ok((inner, component))
}

#[cfg(test)]
mod tests {
    use super::super::build;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    #[test]
    fn files_outside_of_the_folder_are_not_read() {
        let folder = tree(&[("in/kustomization.yaml", "resources: [../out.yaml]"), ("out.yaml", MAP)]);
        let why = build(&folder.path().join("in"), true).unwrap_err().message();
        assert!(why.contains("security; file '") && why.contains("is not in or below"), "{why}");
        assert_eq!(build(&folder.path().join("in"), false).unwrap().len(), 1);
    }

    #[test]
    fn kustomizations_that_name_themselves_and_objects_named_twice_are_refused() {
        let folder = tree(&[("a/kustomization.yaml", "resources: [../b]"), ("b/kustomization.yaml", "resources: [../a]"), ("c/kustomization.yaml", "resources: [x.yaml, y.yaml]"), ("c/x.yaml", MAP), ("c/y.yaml", MAP)]);
        let why = build(&folder.path().join("a"), true).unwrap_err().message();
        assert!(why.contains("cycle detected: candidate root '"), "{why}");
        let why = build(&folder.path().join("c"), true).unwrap_err().message();
        assert!(why.contains("may not add resource with an already registered id: ConfigMap.v1.[noGrp]/a.[noNs]"), "{why}");
    }
}
