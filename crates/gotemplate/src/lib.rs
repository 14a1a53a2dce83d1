//! Go's text/template: parser, values, evaluator, `fmt`, built-in functions; texts of errors and their places are Go's.
//!
//! Never does IO and never ends on account of a template: recursion, loops and memory are bounded, and beyond the bounds is an
//! error. Templates are parsed once into a `Set` and executed any number of times.

mod ast;
mod budget;
mod builtins;
mod call;
mod exec;
pub mod fmt;
mod function;
mod lex;
mod literal;
pub mod number;
mod parse;
mod set;
pub mod stack;
pub mod text;
mod value;

pub use ast::Tree;
pub use budget::Budget;
pub use builtins::{html_escape, query_escape};
pub use exec::Scope;
pub use function::{Failure, Function, Functions, Method, Outcome, Reflected, Signature, Type};
pub use parse::ParseError;
pub use set::{MissingKey, Set};
pub use text::Str;
pub use value::{Elem, IntType, Kind, List, Map, MapType, NamedMap, Object, UintType, Value};
