//! Values of custom resources against their schema, in the words of upstream's validator.
//!
//! Upstream: kube-openapi `pkg/validation/validate`; apiextensions-apiserver `pkg/apiserver/validation/{validation,ratcheting}.go`.
//! Keeps true: what an update leaves as it was is not judged again (ratcheting), where old and new can be told to be the same place.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value};

use super::node::{Additional, Node};

/// All faults of a value; `old` is the value before an update, none on create.
pub fn validate(node: &Node, value: &Value, old: Option<&Value>, base: &Path) -> FieldErrors {
    Check { base }.node(node, value, old, "").faults
}

/// What one schema had to say, and how much of it fitted: the best of several alternatives is told.
#[derive(Default)]
struct Outcome {
    faults: FieldErrors,
    fits: usize,
}

impl Outcome {
    fn fault(error: FieldError) -> Self {
        Self { faults: vec![error], fits: 0 }
    }

    fn merge(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.fits += other.fits;
    }

    fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

struct Check<'a> {
    base: &'a Path,
}

impl Check<'_> {
    fn place(&self, name: &str) -> Path {
        match name.strip_prefix('.').unwrap_or(name) {
            "" => self.base.clone(),
            name => self.base.child(name),
        }
    }

    /// A fault of the value at `name`, told after upstream's "in body".
    fn invalid(&self, name: &str, value: impl Into<Value>, why: &str) -> FieldError {
        FieldError::invalid(&self.place(name), value, format!("{name} in body {why}"))
    }

    fn wrong_type(&self, name: &str, expected: &str, found: &str) -> FieldError {
        FieldError::type_invalid(&self.place(name), found, format!("{name} in body must be of type {expected}: {found:?}"))
    }

    /// A fault of the object as a whole.
    fn whole(&self, why: String) -> FieldError {
        FieldError::invalid(self.base, "", why)
    }

    fn node(&self, node: &Node, value: &Value, old: Option<&Value>, name: &str) -> Outcome {
        if old == Some(value) {
            return Outcome { faults: Vec::new(), fits: 1 };
        }
        let mut all = Outcome::default();
        if !node.types.is_empty() || node.format.is_some() {
            all.merge(self.kind(node, value, name));
        }
        if value.is_null() {
            all.merge(self.choices(node, value, name));
            return all;
        }
        all.merge(self.alternatives(node, value, old, name));
        match value {
            Value::String(text) => {
                all.merge(self.text(node, text, name));
                if let Some((named, format)) = &node.format
                    && !format.accepts(text)
                {
                    all.merge(Outcome::fault(FieldError::type_invalid(&self.place(name), text.as_str(), format!("{name} in body must be of type {named}: {text:?}"))));
                }
            }
            Value::Number(_) => all.merge(self.number(node, value, name)),
            Value::Array(items) => all.merge(self.list(node, items, old, name)),
            _ => {}
        }
        all.merge(self.choices(node, value, name));
        if let Value::Object(map) = value {
            all.merge(self.object(node, map, old, name));
        }
        all.fits += 1;
        all
    }

    fn kind(&self, node: &Node, value: &Value, name: &str) -> Outcome {
        let good = Outcome { faults: Vec::new(), fits: 1 };
        let expected = node.types.join(",");
        let found = match value {
            Value::Null if node.types.is_empty() || node.nullable => return good,
            Value::Null => return Outcome::fault(self.wrong_type(name, &expected, "null")),
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is = |kind: &str| node.types.contains(&kind);
        let whole_number = found == "number" && is("integer") && value.as_f64().is_some_and(|f| f.fract() == 0.0);
        let fits = is(found) || whole_number || found == "integer" && is("number");
        let has_format = node.format.is_some();
        if has_format && !fits && !matches!(found, "string" | "array") {
            let format = match found {
                "integer" => "int64",
                "number" => "double",
                _ => "",
            };
            return Outcome::fault(self.wrong_type(name, node.format.as_ref().map_or("", |f| f.0.as_str()), format));
        }
        if has_format && !is("number") && !is("integer") && matches!(found, "string" | "array") || fits {
            return good;
        }
        Outcome::fault(self.wrong_type(name, &expected, found))
    }

    fn alternatives(&self, node: &Node, value: &Value, old: Option<&Value>, name: &str) -> Outcome {
        let mut all = Outcome { faults: Vec::new(), fits: 1 };
        if !node.any_of.is_empty() {
            all.merge(self.any_of(node, value, old, name));
        }
        if !node.one_of.is_empty() {
            all.merge(self.one_of(node, value, old, name));
        }
        if !node.all_of.is_empty() {
            let outcomes: Vec<Outcome> = node.all_of.iter().map(|n| self.node(n, value, old, name)).collect();
            let good = outcomes.iter().filter(|o| o.is_good()).count();
            let many = outcomes.len();
            outcomes.into_iter().for_each(|o| all.merge(o));
            if good != many {
                let none = if good == 0 { ". None validated" } else { "" };
                all.faults.push(self.whole(format!("{name:?} must validate all the schemas (allOf){none}")));
            }
        }
        if let Some(not) = &node.not
            && self.node(not, value, old, name).is_good()
        {
            all.faults.push(self.whole(format!("{name:?} must not validate the schema (not)")));
        }
        all
    }

    fn any_of(&self, node: &Node, value: &Value, old: Option<&Value>, name: &str) -> Outcome {
        let mut best: Option<Outcome> = None;
        for alternative in &node.any_of {
            let outcome = self.node(alternative, value, old, name);
            if outcome.is_good() {
                return outcome;
            }
            if best.as_ref().is_none_or(|b| outcome.fits > b.fits) {
                best = Some(outcome);
            }
        }
        let mut all = Outcome::fault(self.whole(format!("{name:?} must validate at least one schema (anyOf)")));
        all.merge(best.unwrap_or_default());
        all
    }

    fn one_of(&self, node: &Node, value: &Value, old: Option<&Value>, name: &str) -> Outcome {
        let (mut best, mut first, mut good): (Option<Outcome>, Option<Outcome>, usize) = (None, None, 0);
        for alternative in &node.one_of {
            let outcome = self.node(alternative, value, old, name);
            if outcome.is_good() {
                good += 1;
                best = None;
                first.get_or_insert(outcome);
            } else if good == 0 && best.as_ref().is_none_or(|b| outcome.fits > b.fits) {
                best = Some(outcome);
            }
        }
        if good == 1 {
            return first.unwrap_or_default();
        }
        let found = if good == 0 { "Found none valid".to_owned() } else { format!("Found {good} valid alternatives") };
        let mut all = Outcome::fault(self.whole(format!("{name:?} must validate one and only one schema (oneOf). {found}")));
        all.merge(best.unwrap_or_default());
        all
    }

    fn text(&self, node: &Node, text: &str, name: &str) -> Outcome {
        let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(max) = node.max_length.filter(|max| length() > *max) {
            return Outcome::fault(FieldError::too_long(&self.place(name), usize::try_from(max).unwrap_or_default()));
        }
        if let Some(min) = node.min_length.filter(|min| length() < *min) {
            return Outcome::fault(self.invalid(name, text, &format!("should be at least {min} chars long")));
        }
        match node.pattern.as_ref().map(|p| (&p.text, &p.compiled)) {
            Some((pattern, Ok(regex))) if !regex.is_match(text) => Outcome::fault(self.invalid(name, text, &format!("should match '{pattern}'"))),
            Some((pattern, Err(why))) => Outcome::fault(self.invalid(name, text, &format!("should match '{pattern}, but pattern is invalid: {why}'"))),
            _ => Outcome { faults: Vec::new(), fits: 1 },
        }
    }

    fn number(&self, node: &Node, value: &Value, name: &str) -> Outcome {
        let mut all = Outcome { faults: Vec::new(), fits: 1 };
        let number = value.as_f64().unwrap_or_default();
        let whole = value.as_i64();
        if let Some(factor) = node.multiple_of.filter(|factor| *factor < 0.0) {
            let why = format!("factor MultipleOf declared for {name} must be positive: {}", go_number(factor));
            all.faults.push(FieldError::invalid(&self.place(name), go_number(factor), why));
        } else if let Some(factor) = node.multiple_of {
            let multiple = match whole {
                // Upstream: whole numbers are divided by the whole part of the factor.
                Some(n) if factor.abs() >= 1.0 => n % (factor as i64) == 0,
                _ => (number / factor).fract() == 0.0,
            };
            if !multiple {
                all.faults.push(self.invalid(name, value.clone(), &format!("should be a multiple of {}", go_number(factor))));
            }
        }
        let limit = |limit: f64| if whole.is_some() { limit.trunc() } else { limit };
        if let Some(max) = node.maximum.map(limit)
            && (number > max || node.exclusive_maximum && number >= max)
        {
            let words = if node.exclusive_maximum { "less than" } else { "less than or equal to" };
            all.faults.push(self.invalid(name, value.clone(), &format!("should be {words} {}", go_number(max))));
        }
        if let Some(min) = node.minimum.map(limit)
            && (number < min || node.exclusive_minimum && number <= min)
        {
            let words = if node.exclusive_minimum { "greater than" } else { "greater than or equal to" };
            all.faults.push(self.invalid(name, value.clone(), &format!("should be {words} {}", go_number(min))));
        }
        all
    }

    fn list(&self, node: &Node, items: &[Value], old: Option<&Value>, name: &str) -> Outcome {
        let mut all = Outcome::default();
        if let Some(of) = &node.items {
            for (at, item) in items.iter().enumerate() {
                let before = old.and_then(|old| correlated(node, item, old));
                all.merge(self.node(of, item, before, &format!("{name}[{at}]")));
            }
        }
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(min) = node.min_items.filter(|min| count < *min) {
            all.faults.push(self.invalid(name, count, &format!("should have at least {min} items")));
        }
        if let Some(max) = node.max_items.filter(|max| count > *max) {
            all.faults.push(FieldError::too_many(&self.place(name), items.len(), usize::try_from(max).unwrap_or_default()));
        }
        all.fits += 1;
        all
    }

    fn choices(&self, node: &Node, value: &Value, name: &str) -> Outcome {
        let Some(choices) = node.choices.as_ref().filter(|choices| !choices.iter().any(|c| equal(c, value))) else { return Outcome { faults: Vec::new(), fits: 1 } };
        let shown: Vec<String> = choices.iter().map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned)).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        Outcome::fault(FieldError::not_supported(&self.place(name), value.clone(), &shown))
    }

    fn object(&self, node: &Node, map: &Map<String, Value>, old: Option<&Value>, name: &str) -> Outcome {
        let count = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(min) = node.min_properties.filter(|min| count < *min) {
            return Outcome::fault(self.invalid(name, min, &format!("should have at least {min} properties")));
        }
        if let Some(max) = node.max_properties.filter(|max| count > *max) {
            return Outcome::fault(FieldError::too_many(&self.place(name), map.len(), usize::try_from(max).unwrap_or_default()));
        }
        let mut all = Outcome { faults: Vec::new(), fits: 1 };
        let before = |key: &str| old.and_then(|old| old.get(key));
        for (key, value) in map.iter().filter(|(key, _)| !node.properties.contains_key(*key)) {
            match &node.additional {
                Some(Additional::None) => all.faults.push(self.forbidden(name, key)),
                Some(Additional::Of(of)) => all.merge(self.node(of, value, before(key), &format!("{name}.{key}"))),
                _ => {}
            }
        }
        for (key, of) in &node.properties {
            if let Some(value) = map.get(key) {
                let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                all.merge(self.node(of, value, before(key), &below));
            }
        }
        for key in node.required.iter().filter(|key| !map.contains_key(*key)) {
            all.faults.push(FieldError::required(&self.place(&format!("{name}.{key}")), ""));
        }
        all
    }

    fn forbidden(&self, name: &str, key: &str) -> FieldError {
        FieldError::invalid(&self.place(name), key, format!("{name}.{key} in body is a forbidden property"))
    }
}

/// The item of the old list that is the same one: known only where keys tell items apart.
fn correlated<'a>(node: &Node, item: &Value, old: &'a Value) -> Option<&'a Value> {
    if node.list_type.as_deref() != Some("map") {
        return None;
    }
    old.as_array()?.iter().find(|o| node.list_keys.iter().all(|k| o.get(k) == item.get(k)))
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// A number as Go's `%v` prints it.
fn go_number(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |e| ("-", e));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(schema: Value, value: Value, old: Option<Value>) -> Vec<String> {
        validate(&Node::compile(&schema), &value, old.as_ref(), &Path::default()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tells_faults_in_upstreams_words() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "pattern": "^a+$", "maxLength": 3}, "size": {"type": "integer", "minimum": 1, "maximum": 5}, "mode": {"type": "string", "enum": ["x", "y"]},
            "when": {"type": "string", "format": "date"}, "list": {"type": "array", "maxItems": 1, "items": {"type": "string"}}, "either": {"x-kubernetes-int-or-string": true}}}}});
        assert_eq!(told(schema.clone(), json!({}), None), ["spec: Required value"]);
        let faults = told(schema.clone(), json!({"spec": {"name": "b", "size": 9, "mode": "z", "when": "soon", "list": ["a", 1], "either": true}}), None);
        assert_eq!(
            faults,
            [
                "spec.either: Invalid value: \"boolean\": spec.either in body must be of type integer,string: \"boolean\"",
                "spec.list[1]: Invalid value: \"integer\": spec.list[1] in body must be of type string: \"integer\"",
                "spec.list: Too many: 2: must have at most 1 items",
                "spec.mode: Unsupported value: \"z\": supported values: \"x\", \"y\"",
                "spec.name: Invalid value: \"b\": spec.name in body should match '^a+$'",
                "spec.size: Invalid value: 9: spec.size in body should be less than or equal to 5",
                "spec.when: Invalid value: \"soon\": spec.when in body must be of type date: \"soon\"",
            ]
        );
        let old = json!({"spec": {"name": "b", "size": 9}});
        assert_eq!(told(schema, json!({"spec": {"name": "b", "size": 8}}), Some(old)), ["spec.size: Invalid value: 8: spec.size in body should be less than or equal to 5"]);
    }

    #[test]
    fn alternatives_tell_the_best_failure() {
        let schema = json!({"type": "object", "properties": {"a": {"oneOf": [{"required": ["x"]}, {"required": ["y"]}]}}});
        let faults = told(schema, json!({"a": {"x": 1, "y": 2}}), None);
        assert_eq!(faults, ["<nil>: Invalid value: \"\": \"a\" must validate one and only one schema (oneOf). Found 2 valid alternatives"]);
    }

    #[test]
    fn numbers_print_as_go_prints_them() {
        assert_eq!([1.0, 0.5, 1e21, 0.00001].map(go_number), ["1", "0.5", "1e+21", "1e-05"]);
    }
}
