//! The rules of a schema, each at its place, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::field::{FieldError, FieldErrors, Path};
use cel::{Decl, Env, Program, Type};
use serde_json::Value;

use super::cost::{self, Costs};
use super::decl;
use crate::custom::field_path;
use crate::custom::rules::shown;
use crate::walk;

/// One place of a schema that has rules, or leads to some.
#[derive(Debug)]
pub struct Tree {
    pub decl: Arc<Decl>,
    /// The type named, as faults show it.
    pub kind: String,
    pub rules: Vec<Rule>,
    pub properties: BTreeMap<String, Self>,
    pub additional: Option<Box<Self>>,
    pub items: Option<Box<Self>>,
    /// The keys that tell items of a list apart; none where old and new items cannot be told to be the same.
    pub keys: Option<Vec<String>>,
}

#[derive(Debug)]
pub struct Rule {
    pub program: Program,
    pub message: String,
    pub message_expression: Option<Program>,
    pub reason: String,
    /// Below the place of the rule, where the fault is to be shown.
    pub field: String,
    pub optional_old_self: bool,
    pub uses_old_self: bool,
}

impl Rule {
    /// The rule as faults name it.
    pub fn shown(&self) -> &str {
        if self.message.is_empty() { self.program.source().trim() } else { self.message.trim() }
    }
}

/// What surrounds a place of a schema.
#[derive(Clone, Copy)]
struct Within<'a> {
    /// Where old and new values can no longer be told to be the same.
    uncorrelatable: Option<&'a Path>,
    /// How often the place can stand in an object; none where nothing bounds it.
    times: Option<u64>,
}

impl Within<'_> {
    fn inside(self, schema: &Value) -> Self {
        Self { times: self.times.zip(cost::most_elements(schema)).map(|(times, most)| times.saturating_mul(most)), ..self }
    }
}

/// What is known of a schema before its rules are compiled.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// It stood before, and keeps its dear rules.
    is_known: bool,
    /// Its own faults: rules at places that have some, there or below, are not looked at.
    faults: &'a [FieldError],
}

impl<'a> Judged<'a> {
    pub fn new(is_known: bool) -> Self {
        Self { is_known, faults: &[] }
    }

    pub fn with_faults(self, faults: &'a [FieldError]) -> Self {
        Self { faults, ..self }
    }
}

/// What compiling tells besides the rules.
struct Found<'a> {
    faults: &'a mut FieldErrors,
    judged: Judged<'a>,
    costs: Costs,
}

impl Tree {
    /// The rules of a version's schema; none where it has none. Rules that do not compile are left out and told, as are those
    /// that may cost too much.
    pub fn compile(schema: &Value, path: &Path, judged: Judged<'_>, faults: &mut FieldErrors) -> Option<Self> {
        let mut found = Found { faults, judged, costs: Costs::new(judged.is_known) };
        let tree = compile(schema, true, "selfType", path, Within { uncorrelatable: None, times: Some(1) }, &mut found);
        found.costs.judge(path, found.faults);
        tree
    }

    /// The rules of one place of a schema, whatever they cost.
    pub fn of_place(schema: &Value, is_resource: bool) -> Option<Self> {
        let judged = Judged::new(true);
        let mut found = Found { faults: &mut FieldErrors::new(), judged, costs: Costs::new(true) };
        compile(schema, is_resource, "selfType", &Path::default(), Within { uncorrelatable: None, times: Some(1) }, &mut found)
    }

    fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.properties.is_empty() && self.additional.is_none() && self.items.is_none()
    }
}

fn compile(schema: &Value, is_resource: bool, name: &str, path: &Path, within: Within<'_>, found: &mut Found<'_>) -> Option<Tree> {
    if !super::super::definition::has_rules(schema) {
        return None;
    }
    let is_embedded = |s: &Value| s.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
    let declared = decl::of_schema(schema, is_resource, name).map(|(decl, least)| (Arc::new(decl), least));
    let keys: Vec<String> = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let is_map_list = schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("map");
    let mut tree = Tree {
        decl: declared.as_ref().map_or_else(|| Arc::new(Decl::DYN.clone()), |(decl, _)| decl.clone()),
        kind: walk::text(schema, "type").to_owned(),
        rules: Vec::new(),
        properties: BTreeMap::new(),
        additional: None,
        items: None,
        keys: is_map_list.then_some(keys),
    };
    let inside = within.inside(schema);
    for (key, property) in walk::map(schema, "properties").into_iter().flatten() {
        let below = compile(property, is_embedded(property), &format!("{name}.{key}"), &path.child("properties").key(key), inside, found);
        tree.properties.extend(below.map(|below| (key.clone(), below)));
    }
    if let Some(values) = schema.get("additionalProperties").filter(|a| a.is_object()) {
        tree.additional = compile(values, is_embedded(values), &format!("{name}.@elem"), &path.child("additionalProperties"), inside, found).map(Box::new);
    }
    if let Some(items) = schema.get("items").filter(|i| i.is_object()) {
        let inside = Within { uncorrelatable: within.uncorrelatable.or((!is_map_list).then_some(path)), ..inside };
        tree.items = compile(items, is_embedded(items), &format!("{name}.@idx"), &path.child("items"), inside, found).map(Box::new);
    }
    if !found.judged.faults.iter().any(|fault| fault.field.starts_with(path.as_str())) {
        rules(&mut tree, schema, declared.as_ref(), &path.child("x-kubernetes-validations"), within, found);
    }
    (!tree.is_empty()).then_some(tree)
}

fn rules(tree: &mut Tree, schema: &Value, declared: Option<&(Arc<Decl>, u64)>, path: &Path, within: Within<'_>, found: &mut Found<'_>) {
    let given = schema.get("x-kubernetes-validations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if given.is_empty() {
        return;
    }
    let Some((decl, least)) = declared else {
        found.faults.push(FieldError::internal(path, "internal error: failed to retrieve type information for x-kubernetes-validations"));
        return;
    };
    let plain = Env::kubernetes().declare("self", decl.clone()).declare("oldSelf", decl.clone());
    let optional = Env::kubernetes().declare("self", decl.clone()).variable("oldSelf", Type::optional(decl.ty()));
    let within = Within { times: Some(within.times.unwrap_or_else(|| decl::most_in_a_request(*least))), ..within };
    for (i, rule) in given.iter().enumerate() {
        let env = if walk::flag(rule, "optionalOldSelf") { &optional } else { &plain };
        tree.rules.extend(one(rule, schema, env, &path.index(i), within, found));
    }
}

fn one(rule: &Value, schema: &Value, env: &Env, path: &Path, within: Within<'_>, found: &mut Found<'_>) -> Option<Rule> {
    let text = |key: &str| walk::text(rule, key);
    let program = program(rule, "rule", env, Type::Bool, path, found);
    let uses_old_self = program.as_ref().is_some_and(|program| program.variables().any(|v| v == "oldSelf"));
    let mut message_expression = None;
    if let Some(program) = &program {
        found.costs.of_rule(&path.child("rule"), program.estimate().max.saturating_mul(within.times.unwrap_or(1)), found.faults);
        message_expression = Some("messageExpression").filter(|key| !text(key).is_empty()).and_then(|key| self::program(rule, key, env, Type::String, path, found));
    }
    if let Some(message) = &message_expression {
        found.costs.of_message(&path.child("messageExpression"), message.estimate().max, found.faults);
    }
    match (uses_old_self, within.uncorrelatable, rule.get("optionalOldSelf")) {
        (true, Some(at), _) => found.faults.push(FieldError::invalid(&path.child("rule"), text("rule"), format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {at}"))),
        (false, _, Some(given)) => found.faults.push(FieldError::invalid(&path.child("optionalOldSelf"), given.clone(), "may not be set if oldSelf is not used in rule")),
        _ => {}
    }
    Some(Rule {
        program: program?,
        message: text("message").to_owned(),
        message_expression,
        reason: text("reason").to_owned(),
        field: field_path::follow(text("fieldPath"), schema, true).map(|(path, _)| path.as_str().to_owned()).unwrap_or_default(),
        optional_old_self: walk::flag(rule, "optionalOldSelf"),
        uses_old_self,
    })
}

/// What an expression of a rule compiles to; none where it does not, and that is told.
fn program(rule: &Value, key: &str, env: &Env, gives: Type, path: &Path, found: &mut Found<'_>) -> Option<Program> {
    let why = match (env.compile(walk::text(rule, key)), key) {
        (Ok(program), _) if program.result_type() == gives => return Some(program),
        (Ok(_), "rule") => "cel expression must evaluate to a bool".to_owned(),
        (Ok(_), _) => "messageExpression must evaluate to a string".to_owned(),
        (Err(error), "rule") => format!("compilation failed: {error}"),
        (Err(error), _) => format!("messageExpression compilation failed: {error}"),
    };
    found.faults.push(FieldError::invalid(&path.child(key), Value::Null, why).shown_as(shown::rule(rule)));
    None
}
