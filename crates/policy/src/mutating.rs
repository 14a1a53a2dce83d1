//! MutatingAdmissionPolicies: what they would change of a request's object.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/mutating`. Laying a change over the object is the caller's.

use catalog::admissionregistration::expressions::{Compiler, Gives, Has};
use catalog::walk;
use cel::Program;
use serde_json::{Value, json};

use crate::scope::{Inputs, Scope, Variable};
use crate::validating::Common;

/// What one mutation is.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Fields to be laid over the object's.
    Configuration(Value),
    /// Operations of a JSON patch.
    Patch(Value),
}

pub struct Policy {
    pub common: Common,
    pub wants_to_know: bool,
    variables: Vec<Variable>,
    mutations: Vec<(bool, Result<Program, String>)>,
}

impl Policy {
    pub fn of(policy: &Value) -> Self {
        let (common, spec) = (Common::of(policy), &policy["spec"]);
        let has = Has { params: common.param_kind.is_some(), authorizer: true, patches: true };
        let mut compiler = Compiler::new(has, None, None);
        let variables = Variable::all(spec, &mut compiler);
        let mutation = |mutation: &Value| {
            let applies = walk::text(mutation, "patchType") == "ApplyConfiguration";
            let (key, gives) = if applies { ("applyConfiguration", Gives::Configuration) } else { ("jsonPatch", Gives::Patch) };
            (applies, compiler.compile(walk::text(&mutation[key], "expression"), gives))
        };
        Self { mutations: walk::list(spec, "mutations").iter().map(mutation).collect(), wants_to_know: walk::text(spec, "reinvocationPolicy") == "IfNeeded", common, variables }
    }

    pub fn len(&self) -> usize {
        self.mutations.len()
    }

    pub fn is_empty(&self) -> bool {
        self.mutations.is_empty()
    }

    /// What a mutation makes of the object as it is now.
    pub fn change(&self, index: usize, inputs: Inputs<'_>) -> Result<Change, String> {
        let Some((applies, program)) = self.mutations.get(index) else { return Err("no such mutation".into()) };
        let scope = Scope::new(inputs, true, &self.variables, cel::RUNTIME_BUDGET);
        let value = scope.run(program)??;
        if *applies {
            return configuration(&value).map(Change::Configuration);
        }
        let cel::Value::List(list) = &value else { return Err("type mismatch: JSONPatchType.expression should evaluate to array".into()) };
        list.iter().map(|item| operation(&item.map_err(|e| e.to_string())?)).collect::<Result<Vec<_>, _>>().map(|all| Change::Patch(Value::Array(all)))
    }
}

fn configuration(value: &cel::Value<'_>) -> Result<Value, String> {
    let cel::Value::Object(cel::Object::Built(built)) = value else { return Err(format!("unsupported return type from ApplyConfiguration expression: {}", value.ty())) };
    built.check_type_names().map_err(|why| format!("type mismatch: {why}"))?;
    value.to_json().ok_or_else(|| "invalid return type".into())
}

/// One operation; what is no part of JSON is refused.
fn operation(value: &cel::Value<'_>) -> Result<Value, String> {
    let cel::Value::Object(cel::Object::Built(built)) = value else { return Err("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch".into()) };
    let text = |key: &str| built.fields.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let mut operation = json!({"op": text("op"), "path": text("path")});
    if !text("from").is_empty() {
        operation["from"] = text("from").into();
    }
    if let Some(value) = built.fields.get("value") {
        if let cel::Value::Object(cel::Object::Built(object)) = value {
            object.check_type_names().map_err(|why| format!("type mismatch: {why}"))?;
        }
        operation["value"] = value.to_json().ok_or("JSONPath valueExpression evaluated to a type that could not marshal to JSON")?;
    }
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::{Answer, Authorizer, Question};

    struct Nobody;

    impl Authorizer for Nobody {
        fn authorize(&self, _: &Question) -> Answer {
            Answer::default()
        }
    }

    /// A case: `{"spec": policy's, "object"}`; told is what each mutation would change.
    #[test]
    fn cases() {
        casefile::run("cases/mutating", |given| {
            let given: Value = serde_json::from_str(given).unwrap();
            let policy = Policy::of(&json!({"metadata": {"name": "p"}, "spec": given["spec"]}));
            let question = Question::default();
            let inputs = Inputs { object: &given["object"], old: &Value::Null, request: &json!({}), namespace: &Value::Null, params: &Value::Null, authorizer: &Nobody, resource: &question };
            (0..policy.len()).map(|i| format!("{:?}\n", policy.change(i, inputs).map(|c| match c { Change::Configuration(v) | Change::Patch(v) => v.to_string() }))).collect()
        });
    }
}
