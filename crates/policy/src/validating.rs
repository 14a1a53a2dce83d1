//! ValidatingAdmissionPolicies: what they make of a request.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/validating/validator.go` and `dispatcher.go`.

use std::time::{Duration, Instant};

use api::meta;
use catalog::admissionregistration::expressions::{Compiler, Gives, Has};
use catalog::walk;
use cel::Program;
use serde_json::Value;

use crate::matching::Matcher;
use crate::scope::{Conditions, Inputs, Scope, Variable};

/// Upstream: longer messages than this are replaced by the plain one.
const MAX_MESSAGE: usize = 5 * 1024;
/// Upstream: longer annotations are cut.
const MAX_ANNOTATION: usize = 10 * 1024;

/// What policies of both kinds have in common.
pub struct Common {
    pub name: String,
    pub matcher: Matcher,
    pub fails_open: bool,
    /// `apiVersion` and `kind` of parameters.
    pub param_kind: Option<(String, String)>,
    pub conditions: Conditions,
}

impl Common {
    pub fn of(policy: &Value) -> Self {
        let spec = &policy["spec"];
        let kind = &spec["paramKind"];
        let param_kind = kind.is_object().then(|| (walk::text(kind, "apiVersion").to_owned(), walk::text(kind, "kind").to_owned()));
        Self {
            name: meta::name(policy).to_owned(),
            matcher: Matcher::of(&spec["matchConstraints"]),
            fails_open: walk::text(spec, "failurePolicy") == "Ignore",
            conditions: Conditions::of(spec, param_kind.is_some()),
            param_kind,
        }
    }
}

/// Binds a policy to requests and parameters.
#[derive(Clone)]
pub struct Binding {
    pub name: String,
    pub policy: String,
    pub matcher: Option<Matcher>,
    pub param_ref: Value,
    pub actions: Vec<String>,
}

impl Binding {
    pub fn of(binding: &Value) -> Self {
        let spec = &binding["spec"];
        Self {
            name: meta::name(binding).to_owned(),
            policy: walk::text(spec, "policyName").to_owned(),
            matcher: spec["matchResources"].is_object().then(|| Matcher::of(&spec["matchResources"])),
            param_ref: spec["paramRef"].clone(),
            actions: walk::list(spec, "validationActions").iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
        }
    }
}

struct Rule {
    expression: String,
    program: Result<Program, String>,
    message: String,
    made: Option<Result<Program, String>>,
    reason: String,
}

pub struct Policy {
    pub common: Common,
    variables: Vec<Variable>,
    /// The same for messages, which may not ask about rights.
    plain: Vec<Variable>,
    rules: Vec<Rule>,
    annotations: Vec<(String, Result<Program, String>)>,
}

/// What one validation came to, where it did not pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    pub index: usize,
    pub message: String,
    pub reason: String,
    /// How long the expression took.
    pub took: Duration,
}

/// What a policy makes of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub refusals: Vec<Refusal>,
    pub annotations: Vec<(String, String)>,
    /// An annotation that failed: denied, whatever the binding's actions are.
    pub failed_annotations: Vec<String>,
}

impl Policy {
    pub fn of(policy: &Value) -> Self {
        let (common, spec) = (Common::of(policy), &policy["spec"]);
        let has = Has { params: common.param_kind.is_some(), authorizer: true, patches: false };
        let mut compiler = Compiler::new(has, None, None);
        let mut messages = Compiler::new(Has { authorizer: false, ..has }, None, None);
        let (variables, plain) = (Variable::all(spec, &mut compiler), Variable::all(spec, &mut messages));
        let rule = |rule: &Value| {
            let (expression, made) = (walk::text(rule, "expression"), walk::text(rule, "messageExpression"));
            Rule {
                expression: expression.trim().to_owned(),
                program: compiler.compile(expression, Gives::Truth),
                message: walk::text(rule, "message").trim().to_owned(),
                made: (!made.is_empty()).then(|| messages.compile(made, Gives::Text)),
                reason: walk::text(rule, "reason").to_owned(),
            }
        };
        let annotation = |a: &Value| (walk::text(a, "key").to_owned(), compiler.compile(walk::text(a, "valueExpression").trim(), Gives::TextOrNull));
        Self { rules: walk::list(spec, "validations").iter().map(rule).collect(), annotations: walk::list(spec, "auditAnnotations").iter().map(annotation).collect(), common, variables, plain }
    }

    /// Judges a request with one set of parameters, where its match conditions hold.
    pub fn judge(&self, inputs: Inputs<'_>, holds: Result<bool, String>) -> Verdict {
        match holds {
            Ok(true) => {}
            Ok(false) => return Verdict::default(),
            Err(why) => return self.failed(why),
        }
        let scope = Scope::new(inputs, true, &self.variables, cel::RUNTIME_BUDGET);
        let mut verdict = Verdict::default();
        let mut denied = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let begin = Instant::now();
            match scope.run(&rule.program) {
                Err(why) => return self.failed(why),
                Ok(Ok(value)) if value.as_bool() == Some(true) => {}
                Ok(Ok(_)) => denied.push((index, begin.elapsed(), None)),
                Ok(Err(why)) => denied.push((index, begin.elapsed(), Some(why))),
            }
        }
        let messages = Scope::new(inputs, false, &self.plain, scope.left());
        for (index, took, failure) in denied {
            match failure {
                Some(_) if self.common.fails_open => {}
                Some(message) => verdict.refusals.push(Refusal { index, message, took, ..Refusal::default() }),
                None => verdict.refusals.extend(self.refusal(index, &messages).map(|refusal| Refusal { took, ..refusal })),
            }
        }
        self.annotate(inputs, &mut verdict);
        verdict
    }

    /// What the failure policy makes of a policy that could not be evaluated.
    fn failed(&self, why: String) -> Verdict {
        if self.common.fails_open {
            return Verdict::default();
        }
        Verdict { refusals: vec![Refusal { message: why, ..Refusal::default() }], ..Verdict::default() }
    }

    fn refusal<'a>(&'a self, index: usize, messages: &Scope<'a>) -> Option<Refusal> {
        let rule = self.rules.get(index)?;
        let made = rule.made.as_ref().map(|program| messages.run(program));
        let made = match made {
            Some(Err(why)) if self.common.fails_open => {
                let _ = why;
                return None;
            }
            Some(Err(why)) => return Some(Refusal { index, message: format!("failed messageExpression: {why}"), ..Refusal::default() }),
            Some(Ok(Ok(value))) => value.as_str().map(|text| text.trim().to_owned()).filter(|t| t.len() <= MAX_MESSAGE && !t.contains('\n')),
            _ => None,
        };
        let message = made.filter(|m| !m.is_empty()).or_else(|| Some(rule.message.clone()).filter(|m| !m.is_empty())).unwrap_or_else(|| format!("failed expression: {}", rule.expression));
        let reason = if rule.reason.is_empty() { "Invalid".to_owned() } else { rule.reason.clone() };
        Some(Refusal { index, message, reason, took: Duration::ZERO })
    }

    fn annotate(&self, inputs: Inputs<'_>, verdict: &mut Verdict) {
        let scope = Scope::new(inputs, true, &self.variables, cel::RUNTIME_BUDGET);
        for (key, program) in &self.annotations {
            let failure = match scope.run(program) {
                Ok(Ok(value)) => {
                    if let Some(text) = value.as_str().map(str::trim).filter(|t| !t.is_empty()) {
                        verdict.annotations.push((key.clone(), cut(text)));
                    }
                    continue;
                }
                Ok(Err(why)) | Err(why) => why,
            };
            if !self.common.fails_open {
                verdict.failed_annotations.push(failure);
            }
        }
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_ANNOTATION);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::{Answer, Authorizer, Question};

    /// Allows what is asked about `allowed`.
    struct Rights;

    impl Authorizer for Rights {
        fn authorize(&self, question: &Question) -> Answer {
            Answer { allowed: question.name == "allowed", ..Answer::default() }
        }
    }

    /// A case: `{"spec": policy's, "object", "oldObject", "params", "request", "namespace"}`; told is the verdict.
    #[test]
    fn cases() {
        casefile::run("cases/validating", |given| {
            let given: Value = serde_json::from_str(given).unwrap();
            let policy = Policy::of(&serde_json::json!({"metadata": {"name": "p"}, "spec": given["spec"]}));
            let question = Question { name: walk::text(&given, "request.name").to_owned(), ..Question::default() };
            let inputs = Inputs {
                object: &given["object"], old: &given["oldObject"], request: &given["request"], namespace: &given["namespace"], params: &given["params"], authorizer: &Rights, resource: &question,
            };
            let verdict = policy.judge(inputs, policy.common.conditions.hold(inputs));
            let refusals = verdict.refusals.iter().map(|r| format!("{} {}: {}\n", r.index, r.reason, r.message));
            let annotations = verdict.annotations.iter().map(|(k, v)| format!("note {k}={v}\n"));
            refusals.chain(annotations).chain(verdict.failed_annotations.iter().map(|f| format!("failed note: {f}\n"))).collect::<String>()
        });
    }
}
