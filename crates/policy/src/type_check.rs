//! Whether the expressions of a policy fit the types that it is about.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/validating/typechecking.go`. What does not fit is a warning in the policy's
//! status, no fault: at run time objects are what they are.

use std::sync::Arc;

use catalog::admissionregistration::expressions::{Compiler, Gives, Has};
use catalog::walk;
use cel::{Decl, DeclKind};
use schema::{List, ListKind, Of, Type};
use serde_json::{Value, json};

/// Upstream: of a rule about more types than this the first are looked at, and of no rule after it any.
pub const MOST_TYPES: usize = 10;
/// Types that hold themselves are known so deep.
const DEEPEST: usize = 12;

/// A type as expressions see it.
pub fn decl_of(of: &Type, name: &str) -> Decl {
    object(of, name, 0)
}

fn object(of: &Type, name: &str, depth: usize) -> Decl {
    if depth > DEEPEST || of.special.is_some() || of.unknown == schema::Unknown::Keep {
        return Decl::DYN.clone();
    }
    let mut fields: Vec<(String, Decl)> = of.fields.iter().map(|f| (f.name.to_string(), value(&f.of, &format!("{name}.{}", f.name), depth + 1))).collect();
    if depth == 0 {
        fields.extend(["apiVersion", "kind"].map(|key| (key.to_owned(), Decl::new(DeclKind::String))));
    }
    Decl::object(name, fields)
}

fn value(of: &Of, name: &str, depth: usize) -> Decl {
    match of {
        Of::Bool => Decl::new(DeclKind::Bool),
        Of::Int32 | Of::Int64 => Decl::new(DeclKind::Int),
        Of::Float | Of::Double => Decl::new(DeclKind::Double),
        Of::Str => Decl::new(DeclKind::String),
        Of::Bytes => Decl::new(DeclKind::Bytes),
        Of::Time | Of::MicroTime => Decl::new(DeclKind::DateTime),
        Of::Quantity | Of::IntOrString => Decl::new(DeclKind::IntOrString),
        Of::Object(target) => object(target.get(), name, depth),
        Of::Map(map) => Decl::map(value(&map.value, &format!("{name}.@elem"), depth)),
        Of::List(list) => Decl { kind: DeclKind::List(cel::ListDecl { items: Arc::new(value(&list.item, &format!("{name}.@idx"), depth)), semantics: semantics(list) }), max: None, nullable: false },
        _ => Decl::DYN.clone(),
    }
}

fn semantics(list: &List) -> cel::ListSemantics {
    match list.kind {
        ListKind::Atomic => cel::ListSemantics::Atomic,
        ListKind::Set => cel::ListSemantics::Set,
        ListKind::Map => cel::ListSemantics::Map(list.keys.iter().map(ToString::to_string).collect()),
    }
}

/// A type of objects, by the words that name it in warnings.
pub struct Known {
    pub words: String,
    pub decl: Arc<Decl>,
}

/// `expressionWarnings` of a policy's status.
pub fn warnings(policy: &Value, types: &[Known], params: Option<&Arc<Decl>>) -> Vec<Value> {
    let spec = &policy["spec"];
    let mut found = Vec::new();
    for (i, rule) in walk::list(spec, "validations").iter().enumerate() {
        for key in ["expression", "messageExpression"] {
            let expression = walk::text(rule, key);
            if expression.is_empty() {
                continue;
            }
            let told: Vec<String> = types.iter().filter_map(|known| check(spec, expression, known, params)).collect();
            if !told.is_empty() {
                found.push(json!({"fieldRef": format!("spec.validations[{i}].{key}"), "warning": told.join("\n")}));
            }
        }
    }
    found
}

/// What comes out is judged by nobody here; parameters of a kind that is not known are not there.
fn check(spec: &Value, expression: &str, known: &Known, params: Option<&Arc<Decl>>) -> Option<String> {
    let has = Has { params: params.is_some(), authorizer: true, patches: false };
    let mut compiler = Compiler::new(has, Some(&known.decl), params);
    for variable in walk::list(spec, "variables") {
        let _ = compiler.variable(walk::text(variable, "name"), walk::text(variable, "expression"));
    }
    let why = compiler.compile(expression, Gives::Anything).err()?;
    Some(format!("{}: {}\n", known.words, why.trim_start_matches("compilation failed: ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_do_not_fit_are_told() {
        let deployment = schema::by_kind("apps", "v1", "Deployment").expect("deployments are known");
        let known = [Known { words: "apps/v1, Kind=Deployment".into(), decl: Arc::new(decl_of(deployment, "apps.v1.Deployment")) }];
        let policy = json!({"spec": {"variables": [{"name": "r", "expression": "object.spec.replicas"}], "validations": [
            {"expression": "variables.r > 1 && object.spec.template.spec.containers.all(c, c.name != '') && object.metadata.name.startsWith('a')"},
            {"expression": "object.spec.replicas > '1'"}, {"expression": "object.spec.maxReplicas > 1", "messageExpression": "string(object.spec.replicas)"}]}});
        let told = warnings(&policy, &known, None);
        let fields: Vec<&str> = told.iter().map(|w| walk::text(w, "fieldRef")).collect();
        assert_eq!(fields, ["spec.validations[1].expression", "spec.validations[2].expression"], "{told:?}");
        let odd = json!({"spec": {"paramKind": {"apiVersion": "v1", "kind": "None"}, "validations": [{"expression": "object.spec.replicas"}, {"expression": "params.a == 1"}]}});
        let odd = warnings(&odd, &known, None);
        assert_eq!((odd.len(), walk::text(&odd[0], "fieldRef")), (1, "spec.validations[1].expression"));
        assert!(walk::text(&odd[0], "warning").starts_with("apps/v1, Kind=Deployment: ERROR: <input>:1:1: undeclared reference to 'params'"), "{odd:?}");
        let words = walk::text(&told[1], "warning");
        assert!(words.starts_with("apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'maxReplicas'"), "{words}");
    }
}
