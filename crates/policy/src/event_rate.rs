//! EventRateLimit: how many events may be written, by the whole server, a namespace, a user, or one source about one object.
//!
//! Pure: the time is an argument. Keeps true: it remembers at most as many of each as its configuration says.
//!
//! Upstream: `plugin/pkg/admission/eventratelimit`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use api::FieldError;
use api::field::Path;
use catalog::walk;
use serde::Deserialize;
use serde_json::Value;

/// Upstream: `defaultCacheSize`.
const REMEMBERED: usize = 4096;
const TYPES: [&str; 4] = ["Namespace", "Server", "SourceAndObject", "User"];

/// One limit as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    r#type: String,
    qps: i32,
    burst: i32,
    #[serde(default)]
    cache_size: i32,
}

/// Reads the plug-in's configuration.
pub fn read(configuration: &Value) -> Result<Vec<Limit>, String> {
    if configuration["apiVersion"] != "eventratelimit.admission.k8s.io/v1alpha1" || configuration["kind"] != "Configuration" {
        return Err("wanted a Configuration of eventratelimit.admission.k8s.io/v1alpha1".into());
    }
    let limits: Vec<Limit> = serde_json::from_value(configuration["limits"].clone()).map_err(|e| format!("limits: {e}"))?;
    let (root, mut errors) = (Path::new("limits"), Vec::new());
    if limits.is_empty() {
        errors.push(FieldError::invalid(&root, Vec::<Value>::new(), "must not be empty"));
    }
    for (i, limit) in limits.iter().enumerate() {
        let at = root.index(i);
        if !TYPES.contains(&limit.r#type.as_str()) {
            errors.push(FieldError::not_supported(&at.child("type"), limit.r#type.clone(), &TYPES));
        }
        for (field, value) in [("burst", limit.burst), ("qps", limit.qps)] {
            if value <= 0 {
                errors.push(FieldError::invalid(&at.child(field), value, "must be positive"));
            }
        }
        if limit.cache_size < 0 {
            errors.push(FieldError::invalid(&at.child("cacheSize"), limit.cache_size, "must not be negative"));
        }
    }
    if errors.is_empty() { Ok(limits) } else { Err(api::field::aggregate(&errors)) }
}

/// A bucket that fills with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    counted: Duration,
    used: u64,
}

struct Enforcer {
    limit: Limit,
    buckets: HashMap<String, Bucket>,
    /// Keys by their last use.
    order: BTreeMap<u64, String>,
    turn: u64,
}

/// All limits with what they remember.
pub struct EventRates(Vec<Enforcer>);

impl EventRates {
    pub fn new(limits: &[Limit]) -> Self {
        let enforcer = |limit: &Limit| Enforcer { limit: limit.clone(), buckets: HashMap::new(), order: BTreeMap::new(), turn: 0 };
        Self(limits.iter().map(enforcer).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts an event at a time; upstream's words where there are too many. All limits count it, the last that refuses is told.
    pub fn count(&mut self, event: &Value, namespace: &str, user: &str, now: Duration) -> Result<(), String> {
        let mut refused = Ok(());
        for enforcer in &mut self.0 {
            let key = match enforcer.limit.r#type.as_str() {
                "Server" => String::new(),
                "Namespace" => namespace.to_owned(),
                "User" => user.to_owned(),
                _ => source_and_object(event),
            };
            if !enforcer.take(&key, now) {
                refused = Err(format!("limit reached on type {} for key {key}", enforcer.limit.r#type));
            }
        }
        refused
    }
}

fn source_and_object(event: &Value) -> String {
    ["source.component", "source.host", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion"].map(|path| walk::text(event, path)).concat()
}

impl Enforcer {
    fn take(&mut self, key: &str, now: Duration) -> bool {
        self.turn += 1;
        let full = f64::from(self.limit.burst);
        let mut bucket = self.buckets.remove(key).unwrap_or(Bucket { left: full, counted: now, used: 0 });
        self.order.remove(&bucket.used);
        bucket.left = (bucket.left + now.saturating_sub(bucket.counted).as_secs_f64() * f64::from(self.limit.qps)).min(full);
        bucket.counted = now;
        bucket.used = self.turn;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        let room = usize::try_from(self.limit.cache_size).ok().filter(|n| *n > 0).unwrap_or(REMEMBERED);
        if self.buckets.len() >= room
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.buckets.remove(&oldest);
        }
        self.order.insert(self.turn, key.to_owned());
        self.buckets.insert(key.to_owned(), bucket);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits(all: Value) -> Result<Vec<Limit>, String> {
        read(&json!({"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration", "limits": all}))
    }

    #[test]
    fn each_namespace_has_its_own_limit() {
        let mut rates = EventRates::new(&limits(json!([{"type": "Namespace", "qps": 2, "burst": 3, "cacheSize": 2}])).unwrap());
        let mut taken = |namespace: &str, millis: u64| (0..10).filter(|_| rates.count(&json!({}), namespace, "eva", Duration::from_millis(millis)).is_ok()).count();
        assert_eq!((taken("a", 0), taken("b", 0), taken("a", 500), taken("a", 60_000)), (3, 3, 1, 3));
        // What was forgotten begins anew; what is remembered is bounded.
        assert_eq!((taken("c", 60_000), taken("b", 60_000), taken("a", 60_000)), (3, 3, 3));
        let told: Vec<_> = (0..4).map(|_| rates.count(&json!({}), "z", "eva", Duration::ZERO)).collect();
        assert_eq!(told.last(), Some(&Err("limit reached on type Namespace for key z".into())));
        assert!(rates.0[0].buckets.len() <= 2 && rates.0[0].order.len() <= 2);
    }

    #[test]
    fn sources_and_objects_are_told_apart() {
        let mut rates = EventRates::new(&limits(json!([{"type": "SourceAndObject", "qps": 1, "burst": 1}, {"type": "Server", "qps": 1, "burst": 3}])).unwrap());
        let event = |name: &str| json!({"source": {"component": "kubelet", "host": "n"}, "involvedObject": {"kind": "Pod", "name": name}});
        let mut count = |name: &str| rates.count(&event(name), "a", "eva", Duration::ZERO);
        assert_eq!((count("p"), count("q")), (Ok(()), Ok(())));
        assert_eq!(count("p"), Err("limit reached on type SourceAndObject for key kubeletnPodp".into()));
        assert_eq!(count("r"), Err("limit reached on type Server for key ".into()));
    }

    #[test]
    fn faults_are_told() {
        for (given, why) in [
            (json!([]), "limits: Invalid value: [] : must not be empty"),
            (json!([{"type": "Pod", "qps": 0, "burst": -1, "cacheSize": -1}]), "limits[0].burst: Invalid value: -1: must be positive"),
            (json!([{"type": "Server"}]), "missing field `qps`"),
        ] {
            let told = limits(given).unwrap_err();
            assert!(told.replace("[]:", "[] :").contains(why), "{told}");
        }
        assert!(read(&json!({"kind": "Pod"})).is_err());
    }
}
