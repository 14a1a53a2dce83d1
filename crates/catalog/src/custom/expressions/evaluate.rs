//! Rules asked of an object: all faults, within one budget for the whole object.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/cel/validation.go`. Keeps true: a rule that fails where nothing
//! changed is no fault of an update, unless it is about the change itself; the writer is told of it.

use std::sync::Arc;

use api::field::{FieldError, FieldErrors, Path};
use cel::{EvalError, PER_CALL_LIMIT, RUNTIME_BUDGET, Value as Cel, Vars};
use serde_json::Value;

use super::tree::{Rule, Tree};

/// Upstream: `MaxEvaluatedMessageExpressionSizeBytes`.
const MAX_MESSAGE: usize = 5 << 10;
const SPENT: &str = "validation failed due to running out of cost budget, no further validation rules will be run";

/// All faults of a value at `path`; `old` is none on create. Those of what was so before are told only.
pub fn validate(tree: &Tree, object: &Value, old: Option<&Value>, path: &Path, told: &mut Vec<String>) -> FieldErrors {
    let mut asked = Asked { errors: FieldErrors::new(), told, budget: RUNTIME_BUDGET, over: false };
    asked.place(tree, object, old, false, path);
    asked.errors
}

struct Asked<'a> {
    errors: FieldErrors,
    /// Faults of what did not change.
    told: &'a mut Vec<String>,
    budget: u64,
    /// The budget is spent: nothing more is asked.
    over: bool,
}

impl Asked<'_> {
    /// `unchanged` says that what holds this value is what it was, where the value itself cannot be found in the old one.
    fn place(&mut self, tree: &Tree, value: &Value, old: Option<&Value>, unchanged: bool, path: &Path) {
        if self.over || value.is_null() {
            return;
        }
        let same = old.map_or(unchanged, |old| old == value);
        self.rules(tree, value, old, same, path);
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let before = old.and_then(|old| old.get(key));
                    if let Some(of) = tree.properties.get(key) {
                        self.place(of, value, before, same, &path.child(key));
                    } else if let Some(of) = &tree.additional {
                        self.place(of, value, before, same, &path.key(key));
                    }
                }
            }
            Value::Array(items) => {
                let Some(of) = &tree.items else { return };
                let old = old.and_then(Value::as_array);
                for (at, item) in items.iter().enumerate() {
                    let is_same = |o: &&Value| tree.keys.as_ref().is_some_and(|keys| keys.iter().all(|k| o.get(k) == item.get(k)));
                    self.place(of, item, old.and_then(|old| old.iter().find(is_same)), same, &path.index(at));
                }
            }
            _ => {}
        }
    }

    fn rules(&mut self, tree: &Tree, value: &Value, old: Option<&Value>, same: bool, path: &Path) {
        let old = old.filter(|old| !old.is_null());
        for rule in &tree.rules {
            if self.over || (rule.uses_old_self && old.is_none() && !rule.optional_old_self) {
                continue;
            }
            if self.budget == 0 {
                return self.end(path, tree, SPENT.to_owned());
            }
            let vars = match variables(tree, rule, value, old) {
                Ok(vars) => vars,
                Err(error) => {
                    self.errors.push(FieldError::invalid(path, tree.kind.as_str(), format!("{error} evaluating rule: {}", rule.shown())));
                    continue;
                }
            };
            let outcome = rule.program.evaluate(&vars, PER_CALL_LIMIT);
            if outcome.cost > self.budget {
                return self.end(path, tree, SPENT.to_owned());
            }
            self.budget -= outcome.cost;
            match outcome.value {
                Ok(Cel::Bool(true)) => {}
                Ok(_) => self.failed(tree, rule, value, &vars, same, path),
                Err(error @ EvalError::CostExceeded) => {
                    return self.end(path, tree, format!("'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {}", rule.shown()));
                }
                Err(error) => {
                    let text = error.to_string();
                    let why = if text.starts_with("no such overload") {
                        format!("'{text}': call arguments did not match a supported operator, function or macro signature for rule: {}", rule.shown())
                    } else {
                        format!("{text} evaluating rule: {}", rule.shown())
                    };
                    self.errors.push(FieldError::invalid(path, tree.kind.as_str(), why));
                }
            }
        }
    }

    fn end(&mut self, path: &Path, tree: &Tree, why: String) {
        self.over = true;
        self.errors.push(FieldError::invalid(path, tree.kind.as_str(), why));
    }

    fn failed(&mut self, tree: &Tree, rule: &Rule, value: &Value, vars: &Vars<'_>, same: bool, path: &Path) {
        let at = match rule.field.as_str() {
            "" => path.clone(),
            key if key.starts_with('[') => Path::new(&format!("{}{key}", path.as_str())),
            field => path.child(field),
        };
        let detail = self.message(rule, vars, &at, tree).unwrap_or_else(|| {
            let shown = rule.shown();
            if rule.message.is_empty() { format!("failed rule: {shown}") } else { shown.to_owned() }
        });
        if self.over {
            return;
        }
        let is_whole = matches!(tree.kind.as_str(), "object" | "array");
        let fault = match (rule.reason.as_str(), is_whole) {
            ("FieldValueForbidden", _) => FieldError::forbidden(&at, detail),
            ("FieldValueRequired", _) => FieldError::required(&at, detail),
            ("FieldValueDuplicate", false) => FieldError::duplicate(&at, value.clone()),
            ("FieldValueDuplicate", true) => FieldError::duplicate(&at, Value::Null).without_value(),
            (_, true) => FieldError::invalid(&at, Value::Null, detail).without_value(),
            (_, false) => FieldError::invalid(&at, value.clone(), detail),
        };
        if same && !rule.uses_old_self {
            self.told.push(fault.to_string());
        } else {
            self.errors.push(fault);
        }
    }

    /// What the message expression says, where it says something that can be shown.
    fn message(&mut self, rule: &Rule, vars: &Vars<'_>, at: &Path, tree: &Tree) -> Option<String> {
        let program = rule.message_expression.as_ref()?;
        let outcome = program.evaluate(vars, PER_CALL_LIMIT);
        if outcome.cost > self.budget {
            self.end(at, tree, "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run".into());
            return None;
        }
        self.budget -= outcome.cost;
        match outcome.value {
            Ok(value) => value.as_str().map(str::trim).filter(|t| !t.is_empty() && t.len() <= MAX_MESSAGE && !t.contains('\n')).map(str::to_owned),
            Err(EvalError::CostExceeded) => {
                self.end(at, tree, format!("no further validation rules will be run due to call cost exceeds limit for messageExpression: {:?}", program.source()));
                None
            }
            Err(_) => None,
        }
    }
}

fn variables<'a>(tree: &'a Tree, rule: &Rule, value: &'a Value, old: Option<&'a Value>) -> Result<Vars<'a>, EvalError> {
    let vars = Vars::new().with("self", Cel::json(value, &tree.decl)?);
    if !rule.uses_old_self {
        return Ok(vars);
    }
    let before = old.map(|old| Cel::json(old, &tree.decl)).transpose()?;
    Ok(match (rule.optional_old_self, before) {
        (true, before) => vars.with("oldSelf", Cel::Optional(before.map(Arc::new))),
        (false, Some(before)) => vars.with("oldSelf", before),
        (false, None) => vars,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::Judged;
    use super::*;
    use serde_json::json;

    fn told(schema: &Value, object: Value, old: Option<Value>) -> Vec<String> {
        let mut faults = FieldErrors::new();
        let tree = Tree::compile(schema, &Path::new("schema"), Judged::new(false), &mut faults);
        assert_eq!(faults, []);
        let mut kept = Vec::new();
        let errors: Vec<String> = validate(&tree.expect("the schema has rules"), &object, old.as_ref(), &Path::default(), &mut kept).iter().map(ToString::to_string).collect();
        kept.into_iter().map(|fault| format!("kept: {fault}")).chain(errors).collect()
    }

    #[test]
    fn rules_are_asked_where_they_stand() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.low <= self.high", "messageExpression": "'low is %d'.format([self.low])"},
                {"rule": "self.high == oldSelf.high", "message": "high is fixed", "reason": "FieldValueForbidden", "fieldPath": ".high"}],
            "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}, "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self.startsWith('a')"}]}}}}});
        let object = |low: i32, high: i32, name: &str| json!({"apiVersion": "g/v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"low": low, "high": high, "name": name}});
        assert_eq!(told(&schema, object(1, 2, "a"), None), [""; 0]);
        assert_eq!(told(&schema, object(3, 2, "b"), None), ["spec: Invalid value: low is 3", "spec.name: Invalid value: \"b\": failed rule: self.startsWith('a')"]);
        assert_eq!(told(&schema, object(1, 3, "b"), Some(object(1, 2, "b"))), ["kept: spec.name: Invalid value: \"b\": failed rule: self.startsWith('a')", "spec.high: Forbidden: high is fixed"]);
    }

    #[test]
    fn faults_of_rules_are_told_where_they_stand() {
        let schema = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.nope == 1"}], "properties": {"l": {"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}}});
        let mut faults = FieldErrors::new();
        Tree::compile(&schema, &Path::new("s"), Judged::new(false), &mut faults);
        let told: Vec<String> = faults.iter().map(|f| format!("{}: {}", f.field, f.detail.lines().next().unwrap_or_default())).collect();
        assert_eq!(
            told,
            [
                "s.properties[l].items.x-kubernetes-validations[0].rule: oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]",
                "s.x-kubernetes-validations[0].rule: compilation failed: ERROR: <input>:1:5: undefined field 'nope'",
            ]
        );
    }
}
