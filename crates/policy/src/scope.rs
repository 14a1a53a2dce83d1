//! What expressions of admission see, and running them within their budget.
//!
//! Upstream: apiserver `pkg/admission/plugin/cel/condition.go`, `activation.go`, `composition.go`.

use std::cell::{Cell, RefCell};

use catalog::admissionregistration::expressions::{Compiler, Gives, Has, NAMESPACE, REQUEST};
use catalog::walk;
use cel::{Activation, Authorization, Authorizer, Decl, EvalError, Program, Question};
use serde_json::Value;

const OUT_OF_BUDGET: &str = "validation failed due to running out of cost budget, no further validation rules will be run";

/// A request, as expressions see it. What is absent is null.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub object: &'a Value,
    pub old: &'a Value,
    pub request: &'a Value,
    pub namespace: &'a Value,
    pub params: &'a Value,
    pub authorizer: &'a dyn Authorizer,
    /// What `authorizer.requestResource` asks about.
    pub resource: &'a Question,
}

/// A variable of a policy; upstream's words where it does not compile.
pub struct Variable {
    pub name: String,
    pub program: Result<Program, String>,
}

impl Variable {
    /// All variables of a policy, each seeing those before it.
    pub fn all(spec: &Value, compiler: &mut Compiler) -> Vec<Self> {
        let of = |variable: &Value| {
            let name = walk::text(variable, "name").to_owned();
            Self { program: compiler.variable(&name, walk::text(variable, "expression")), name }
        };
        walk::list(spec, "variables").iter().map(of).collect()
    }
}

type Evaluated<'a> = Result<cel::Value<'a>, EvalError>;

/// Variables of one evaluation: each is computed when it is first asked for, and once.
pub struct Scope<'a> {
    inputs: Inputs<'a>,
    with_authorizer: bool,
    variables: &'a [Variable],
    known: RefCell<Vec<Option<Evaluated<'a>>>>,
    left: Cell<u64>,
}

impl<'a> Scope<'a> {
    pub fn new(inputs: Inputs<'a>, with_authorizer: bool, variables: &'a [Variable], budget: u64) -> Self {
        Self { inputs, with_authorizer, variables, known: RefCell::new(vec![None; variables.len()]), left: Cell::new(budget) }
    }

    /// What is left to spend.
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    fn spend(&self, program: &'a Program) -> Evaluated<'a> {
        let outcome = program.evaluate(self, self.left.get().min(cel::PER_CALL_LIMIT));
        self.left.set(self.left.get().saturating_sub(outcome.cost));
        outcome.value
    }

    /// Runs a program; its error is told in upstream's words. The outer error ends everything: the budget is spent.
    pub fn run(&self, program: &'a Result<Program, String>) -> Result<Result<cel::Value<'a>, String>, String> {
        let program = match program {
            Ok(program) => program,
            Err(why) => return Ok(Err(format!("compilation error: {why}"))),
        };
        let value = self.spend(program);
        match value {
            Err(EvalError::CostExceeded) if self.left.get() == 0 => Err(OUT_OF_BUDGET.into()),
            Err(error) => Ok(Err(format!("expression '{}' resulted in error: {error}", program.source()))),
            Ok(value) => Ok(Ok(value)),
        }
    }

    fn compute(&self, index: usize) -> Evaluated<'a> {
        let Some(variable) = self.variables.get(index) else { return Err(EvalError::Failed("no such variable".into())) };
        let program = variable.program.as_ref().map_err(|why| EvalError::Failed(format!("composited variable {:?} fails to compile: {why}", variable.name)))?;
        self.spend(program).map_err(|error| match error {
            EvalError::CostExceeded => EvalError::CostExceeded,
            other @ EvalError::Failed(_) => EvalError::Failed(format!("composited variable {:?} fails to evaluate: {other}", variable.name)),
        })
    }
}

impl<'a> Activation<'a> for Scope<'a> {
    fn variable(&self, name: &str) -> Option<Evaluated<'a>> {
        let inputs = self.inputs;
        let read = |value: &'a Value, decl: &'a Decl| if value.is_null() { Ok(cel::Value::Null) } else { cel::Value::json(value, decl) };
        Some(match name {
            "object" => read(inputs.object, Decl::DYN),
            "oldObject" => read(inputs.old, Decl::DYN),
            "params" => read(inputs.params, Decl::DYN),
            "request" => read(inputs.request, &REQUEST),
            "namespaceObject" => read(inputs.namespace, &NAMESPACE),
            "authorizer" if self.with_authorizer => Ok(cel::Value::Authorization(Authorization::new(inputs.authorizer))),
            "authorizer.requestResource" if self.with_authorizer => Ok(cel::Value::Authorization(Authorization::of_request(inputs.authorizer, inputs.resource.clone()))),
            _ => return None,
        })
    }

    fn field(&self, variable: &str, field: &str) -> Option<Evaluated<'a>> {
        if variable != "variables" {
            return None;
        }
        let index = self.variables.iter().position(|v| v.name == field)?;
        if let Some(Some(known)) = self.known.borrow().get(index) {
            return Some(known.clone());
        }
        let value = self.compute(index);
        if let Some(slot) = self.known.borrow_mut().get_mut(index) {
            *slot = Some(value.clone());
        }
        Some(value)
    }

    fn has_field(&self, variable: &str, field: &str) -> Option<bool> {
        (variable == "variables").then(|| self.variables.iter().any(|v| v.name == field))
    }
}

/// Match conditions: all must hold.
pub struct Conditions(Vec<Result<Program, String>>);

impl Conditions {
    pub fn of(owner: &Value, has_params: bool) -> Self {
        let compiler = Compiler::new(Has { params: has_params, authorizer: true, patches: false }, None, None);
        Self(walk::list(owner, "matchConditions").iter().map(|c| compiler.compile(walk::text(c, "expression"), Gives::Truth)).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One that is false settles it, whatever else fails; failures alone are the failure policy's business.
    pub fn hold(&self, inputs: Inputs<'_>) -> Result<bool, String> {
        let scope = Scope::new(inputs, true, &[], cel::MATCH_CONDITIONS_BUDGET);
        let mut failures = Vec::new();
        for program in &self.0 {
            match scope.run(program)? {
                Ok(value) if value.as_bool() == Some(false) => return Ok(false),
                Ok(_) => {}
                Err(why) => failures.push(why),
            }
        }
        match failures.as_slice() {
            [] => Ok(true),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}
