//! Kubernetes' CEL: parser, type checker, evaluator and cost model in cel-go's words and numbers.
//!
//! Knows no cluster and does no IO: time zones come from data in the binary, the authorizer is a trait. Every input is bounded
//! (source length, tree depth, cost), nothing panics.
//!
//! ```
//! use std::sync::Arc;
//! use cel::{Decl, DeclKind, Env, Value, Vars};
//!
//! let spec = Decl::object("selfType.spec", [("replicas".to_owned(), Decl::new(DeclKind::Int))]);
//! let this = Arc::new(Decl::object("selfType", [("spec".to_owned(), spec)]));
//! let env = Env::kubernetes().declare("self", this.clone());
//!
//! let rule = env.compile("self.spec.replicas <= 3").unwrap();
//! assert_eq!(rule.result_type(), cel::Type::Bool);
//! let json = serde_json::json!({"spec": {"replicas": 2}});
//! let outcome = rule.evaluate(&Vars::new().with("self", Value::json(&json, &this).unwrap()), cel::PER_CALL_LIMIT);
//! assert_eq!(outcome.value.unwrap().as_bool(), Some(true));
//!
//! let error = env.compile("self.spec.x == 1").unwrap_err();
//! assert_eq!(error.to_string(), "ERROR: <input>:1:10: undefined field 'x'\n | self.spec.x == 1\n | .........^");
//! ```
//!
//! - `Env`: `kubernetes()` is the base environment; `variable(name, type)` or `declare(name, decl)` add variables,
//!   `with_mutations()` what mutating policies add.
//! - `Decl`: what JSON is (types, list semantics, sizes); users fill it from their schemas. `Decl::DYN` is anything.
//! - `Program`: `evaluate(&activation, budget)` gives value or error and the cost; the caller keeps the budget over many calls.
//!   `estimate()` says what it may cost at most, from the sizes the declarations allow.
//! - `Activation`: where variables come from; `Vars` is a plain list. `field` serves lazily computed `variables.x`.
//! - `Authorizer`: answers `authorizer....check(verb)`; its value is `Value::Authorization(Authorization::new(&authorizer))`, its
//!   variable's type `Type::object("kubernetes.authorization.Authorizer")`.
//! - `compile_selector` and `device` are device selection (`resource.k8s.io`): a program over `device`, and that variable's value.
//! - `Value::to_json` turns results (objects, JSON patches) back into JSON.

mod access;
mod ast;
mod authorizer;
mod bounds;
mod charge;
mod checker;
mod collection;
mod decl;
mod devices;
mod env;
mod estimate;
mod eval;
mod functions;
mod json;
mod lexer;
mod library;
mod literal;
mod macros;
mod parser;
mod plan;
mod program;
mod source;
mod steps;
mod texts;
mod time;
mod types;
mod unify;
mod validate;
mod value;

pub use authorizer::{Answer, Authorization, Authorizer, Question};
pub use collection::{BuiltObject, Key, List, Map, Object};
pub use decl::{Decl, DeclKind, FieldDecl, ListDecl, ListSemantics, ObjectDecl, escape, unescape};
pub use devices::{SELECTOR_MAX_COST, compile_selector, device};
pub use env::Env;
pub use estimate::Range;
pub use program::{Activation, Outcome, Program, Vars};
pub use source::{CompileError, Issue};
pub use time::Moment;
pub use types::Type;
pub use value::{EvalError, Text, Value};

/// The budget of one evaluation. Upstream: k8s.io/apiserver/pkg/apis/cel/config.go.
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// The budget of all rules of one object, or of all expressions of one policy.
pub const RUNTIME_BUDGET: u64 = 10_000_000;
/// The budget of one policy's match conditions.
pub const MATCH_CONDITIONS_BUDGET: u64 = 2_500_000;
