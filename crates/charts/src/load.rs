//! From files to a chart: of an archive or of a folder, charts below included.
// Upstream: helm pkg/chart/v2/loader/load.go, directory.go, archive.go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::archive::{MAX_CHART_SIZE, MAX_FILE_SIZE, read_archive, without_mark};
use crate::chart::{Chart, File, Lock, Metadata};
use crate::ignore::Rules;

/// Charts hold charts that hold charts; real ones three deep.
const MAX_NESTING: usize = 16;

/// Why a chart could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{0}")]
    Archive(String),
    #[error("{0}")]
    Chart(String),
    #[error("{0}")]
    Undetected(String),
    #[error("{0}")]
    Ignore(String),
    #[error("{what}: {}", io_text(.error))]
    Io { what: String, error: std::io::Error },
}

/// A failure of the file system, in Go's words for the common ones.
pub fn io_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::AlreadyExists => "file exists".into(),
        std::io::ErrorKind::IsADirectory => "is a directory".into(),
        std::io::ErrorKind::NotADirectory => "not a directory".into(),
        _ => error.to_string(),
    }
}

/// Loads a folder or an archive.
pub fn load(path: &Path) -> Result<Chart, LoadError> {
    let io = |error: std::io::Error| LoadError::Io { what: format!("stat {}", path.display()), error };
    if std::fs::metadata(path).map_err(io)?.is_dir() {
        if !path.join("Chart.yaml").exists() {
            return Err(undetected(path, "no such file or directory"));
        }
        return load_files(read_folder(path)?);
    }
    let bytes = std::fs::read(path).map_err(|error| LoadError::Io { what: format!("open {}", path.display()), error })?;
    load_archive(&bytes).map_err(|e| match e {
        LoadError::Archive(_) if path.extension().is_some_and(|e| e == "yaml" || e == "yml") => {
            LoadError::Archive(format!("file '{}' seems to be a YAML file, but expected a gzipped archive", path.display()))
        }
        LoadError::Archive(_) if !bytes.starts_with(&[0x1f, 0x8b]) => {
            LoadError::Archive(format!("file '{}' does not appear to be a gzipped archive; got 'application/octet-stream'", path.display()))
        }
        e => e,
    })
}

/// The failure of a place that has no Chart.yaml, and why.
pub fn undetected(path: &Path, why: &str) -> LoadError {
    let file = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()).join("Chart.yaml");
    LoadError::Undetected(format!("unable to detect chart at {0}: open {0}: {why}", file.display()))
}

/// Loads a chart, where one that is not there is told in the older words.
// Upstream: commands that call pkg/chart/v2/loader themselves.
pub fn load_plain(path: &Path) -> Result<Chart, LoadError> {
    load(path).map_err(|e| if matches!(e, LoadError::Undetected(_)) { LoadError::Chart("Chart.yaml file is missing".into()) } else { e })
}

/// Loads a chart from the bytes of a `.tgz`.
pub fn load_archive(bytes: &[u8]) -> Result<Chart, LoadError> {
    load_files(read_archive(bytes)?)
}

/// Loads a chart from its files; names are relative to it.
pub fn load_files(files: Vec<File>) -> Result<Chart, LoadError> {
    nested(files, 0)
}

fn nested(files: Vec<File>, depth: usize) -> Result<Chart, LoadError> {
    if depth > MAX_NESTING {
        return Err(LoadError::Chart(format!("charts are nested deeper than {MAX_NESTING}")));
    }
    let mut chart = Chart { raw: files.clone(), ..Chart::default() };
    let Some(file) = files.iter().find(|f| f.name == "Chart.yaml") else { return Err(LoadError::Chart("Chart.yaml file is missing".into())) };
    chart.metadata = parse::<Metadata>(file, "cannot load Chart.yaml")?;
    chart.lists_dependencies = goyaml::from_yaml(&file.text()).is_ok_and(|v| v["dependencies"].is_array());
    if !matches!(chart.metadata.api_version.as_str(), "" | "v1" | "v2") {
        // Upstream: the version is looked at first.
        return Err(LoadError::Chart(match crate::version::Version::parse(&chart.metadata.version) {
            None => format!("validation: chart.metadata.version {:?} is invalid", chart.metadata.version),
            Some(_) => "invalid chart apiVersion".into(),
        }));
    }
    if chart.metadata.api_version.is_empty() {
        chart.metadata.api_version = "v1".into();
    }
    let mut below: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in files {
        place(file, &mut chart, &mut below)?;
    }
    chart.metadata.validate().map_err(LoadError::Chart)?;
    for (name, files) in below {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let found = subchart(&name, files, depth).map_err(|e| LoadError::Chart(format!("error unpacking subchart {name} in {}: {e}", chart.name())))?;
        chart.dependencies.extend(found);
    }
    Ok(chart)
}

fn place(file: File, chart: &mut Chart, below: &mut BTreeMap<String, Vec<File>>) -> Result<(), LoadError> {
    let first = chart.metadata.api_version == "v1";
    match file.name.as_str() {
        "Chart.yaml" => {}
        "Chart.lock" => chart.lock = Some(parse::<Lock>(&file, "cannot load Chart.lock")?),
        "values.yaml" => chart.values = crate::values::read(&file.text()).map_err(|e| LoadError::Chart(format!("cannot load values.yaml: cannot unmarshal yaml document: {e}")))?,
        "values.schema.json" => chart.schema = Some(file.data),
        "requirements.yaml" => {
            #[derive(serde::Deserialize, Default)]
            #[serde(default)]
            struct Requirements {
                dependencies: Vec<crate::chart::Dependency>,
            }
            chart.metadata.dependencies = parse::<Requirements>(&file, "cannot load requirements.yaml")?.dependencies;
            chart.lists_dependencies |= !chart.metadata.dependencies.is_empty();
            if first {
                chart.files.push(file);
            }
        }
        "requirements.lock" => {
            chart.lock = Some(parse::<Lock>(&file, "cannot load requirements.lock")?);
            if first {
                chart.files.push(file);
            }
        }
        name if name.starts_with("templates/") => chart.templates.push(file),
        name if name.starts_with("charts/") && !name.ends_with(".prov") => {
            let inner = name["charts/".len()..].to_string();
            let key = inner.split('/').next().unwrap_or_default().to_string();
            below.entry(key).or_default().push(File { name: inner, data: file.data });
        }
        _ => chart.files.push(file),
    }
    Ok(())
}

fn subchart(name: &str, files: Vec<File>, depth: usize) -> Result<Option<Chart>, LoadError> {
    if name.ends_with(".tgz") {
        let Some(file) = files.into_iter().next() else { return Ok(None) };
        if file.name != name {
            return Err(LoadError::Chart(format!("error unpacking subchart tar in {name}: expected {name}, got {}", file.name)));
        }
        return nested(read_archive(&file.data)?, depth + 1).map(Some);
    }
    let inner = files.into_iter().filter_map(|f| f.name.split_once('/').map(|(_, rest)| rest.to_string()).map(|rest| File { name: rest, data: f.data })).collect();
    nested(inner, depth + 1).map(Some)
}

fn parse<T: DeserializeOwned + Default>(file: &File, what: &str) -> Result<T, LoadError> {
    let value = goyaml::from_yaml(&file.text()).map_err(|e| LoadError::Chart(format!("{what}{}error converting YAML to JSON: {e}", colon(what))))?;
    if value.is_null() {
        return Ok(T::default());
    }
    // Upstream: the YAML reader makes texts of numbers and booleans where a field is a text.
    let value = match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(k, v)| (k.clone(), texts(&k, v))).collect()),
        other => other,
    };
    serde_json::from_value(value).map_err(|e| LoadError::Chart(format!("{what}{}error unmarshaling JSON: while decoding JSON: {e}", colon(what))))
}

fn colon(what: &str) -> &'static str {
    if what.ends_with('\t') { "" } else { ": " }
}

/// Reads a Chart.yaml alone, without judging it.
pub fn metadata_of(text: &[u8]) -> Result<Metadata, LoadError> {
    parse(&File { name: "Chart.yaml".into(), data: text.to_vec() }, "unable to parse YAML\n\t")
}

/// Makes texts of scalars, but where a field is no text.
fn texts(field: &str, value: Value) -> Value {
    match (field, value) {
        ("deprecated" | "enabled" | "import-values", value) => value,
        (_, Value::Bool(b)) => Value::String(b.to_string()),
        (_, value @ Value::Number(_)) => Value::String(crate::values::go_text(&value)),
        (field, Value::Array(items)) => Value::Array(items.into_iter().map(|v| texts(field, v)).collect()),
        (_, Value::Object(fields)) => Value::Object(fields.into_iter().map(|(k, v)| (k.clone(), texts(&k, v))).collect()),
        (_, value) => value,
    }
}

/// The files of a folder that `.helmignore` leaves, links followed, in the order of a walk.
pub fn read_folder(folder: &Path) -> Result<Vec<File>, LoadError> {
    let top = std::fs::canonicalize(folder).map_err(|error| LoadError::Io { what: format!("open {}", folder.display()), error })?;
    let rules = match std::fs::read(top.join(".helmignore")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    };
    let mut walk = Walk { rules: Rules::parse(&rules).map_err(LoadError::Ignore)?, files: Vec::new(), left: MAX_CHART_SIZE, open: Vec::new() };
    walk.folder(&top, "")?;
    Ok(walk.files)
}

struct Walk {
    rules: Rules,
    files: Vec<File>,
    left: u64,
    /// The real folders on the way here; one that stands in it again is a loop of links.
    open: Vec<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), LoadError> {
        let io = |error: std::io::Error| LoadError::Io { what: format!("open {}", folder.display()), error };
        let real = std::fs::canonicalize(folder).map_err(io)?;
        if self.open.contains(&real) {
            return Err(LoadError::Chart(format!("error evaluating symlink {}: it leads back to a folder that holds it", folder.display())));
        }
        self.open.push(real);
        let mut names = std::fs::read_dir(folder).map_err(io)?.map(|e| e.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>().map_err(io)?;
        names.sort();
        for name in names {
            let Some(text) = name.to_str() else { return Err(LoadError::Chart(format!("a file's name in {} is no text", folder.display()))) };
            let inner = if prefix.is_empty() { text.to_string() } else { format!("{prefix}/{text}") };
            self.entry(&folder.join(&name), inner)?;
        }
        self.open.pop();
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: String) -> Result<(), LoadError> {
        let io = |error: std::io::Error| LoadError::Io { what: format!("error evaluating symlink {}", path.display()), error };
        let facts = std::fs::metadata(path).map_err(io)?;
        if self.rules.ignores(&name, facts.is_dir()) {
            return Ok(());
        }
        if facts.is_dir() {
            return self.folder(path, &name);
        }
        if !facts.is_file() {
            return Err(LoadError::Chart(format!("cannot load irregular file {} as it has file mode type bits set", path.display())));
        }
        if facts.len() > MAX_FILE_SIZE {
            return Err(LoadError::Chart(format!("chart file {:?} is larger than the maximum file size {MAX_FILE_SIZE}", path.file_name().unwrap_or_default().to_string_lossy())));
        }
        if facts.len() > self.left {
            return Err(LoadError::Chart(format!("chart is larger than the maximum size {MAX_CHART_SIZE}")));
        }
        self.left -= facts.len();
        let data = std::fs::read(path).map_err(|error| LoadError::Io { what: format!("error reading {name}"), error })?;
        self.files.push(File { name, data: without_mark(data) });
        Ok(())
    }
}
