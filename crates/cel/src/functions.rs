//! The function table: every overload with its type and what it does. One table for the checker, the evaluator and the costs.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::charge::{self, Charge};
use crate::library;
use crate::types::{self, Type};
use crate::value::{EvalError, Evaluated, Value};

pub(crate) type Run = for<'a> fn(&[Value<'a>]) -> Evaluated<'a>;

pub(crate) struct Overload {
    pub function: &'static str,
    pub id: &'static str,
    pub member: bool,
    pub params: Vec<Type>,
    pub result: Type,
    /// How many type parameters the signature names.
    pub variables: u8,
    pub charge: Charge,
    pub run: Run,
}

impl Overload {
    pub(crate) fn fits(&self, args: &[Value<'_>]) -> bool {
        self.params.len() == args.len() && self.params.iter().zip(args).all(|(p, a)| a.fits(p))
    }
}

#[derive(Default)]
pub(crate) struct Table {
    pub functions: HashMap<&'static str, Vec<Overload>>,
}

impl Table {
    /// `signature` is `(int, int) -> int` or, for methods, `string.(int) -> string`.
    pub(crate) fn add(&mut self, function: &'static str, id: &'static str, signature: &str, run: Run) {
        let (call, result) = signature.split_once("->").expect("a signature has an arrow");
        match call.split_once(".(") {
            Some((on, args)) => {
                let args = args.trim();
                self.add_method(function, id, on, &args[..args.len() - 1], result, run);
            }
            None => {
                let args = call.trim();
                self.push(function, id, false, "", &args[1..args.len() - 1], result, run);
            }
        }
    }

    pub(crate) fn add_method(&mut self, function: &'static str, id: &'static str, on: &str, args: &str, result: &str, run: Run) {
        self.push(function, id, true, on, args, result, run);
    }

    #[expect(clippy::too_many_arguments, reason = "a row of the table")]
    fn push(&mut self, function: &'static str, id: &'static str, member: bool, on: &str, args: &str, result: &str, run: Run) {
        let mut params: Vec<Type> = if member { vec![types::parse(on)] } else { Vec::new() };
        params.extend(types::split(args).iter().map(|p| types::parse(p)));
        let result = types::parse(result);
        let variables = params.iter().chain([&result]).map(variables).max().unwrap_or(0);
        self.functions.entry(function).or_default().push(Overload { function, id, member, params, result, variables, charge: charge::kind(function, id), run });
    }
}

fn variables(ty: &Type) -> u8 {
    match ty {
        Type::Param(i) => i + 1,
        Type::List(of) => variables(of),
        Type::Map(of) => variables(&of.0).max(variables(&of.1)),
        Type::Opaque(_, params) => params.iter().map(variables).max().unwrap_or(0),
        Type::Type(Some(of)) => variables(of),
        _ => 0,
    }
}

/// All functions any environment has.
pub(crate) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    library::add_all(&mut table);
    table
});

/// What cel-go says of arguments no overload takes.
pub(crate) fn no_overload<'a>(function: &str, args: &[Value<'_>]) -> Evaluated<'a> {
    let names: Vec<String> = args.iter().map(|a| a.ty().name().to_owned()).collect();
    Err(EvalError::new(format!("no such overload: {function}({})", names.join(", "))))
}

pub(crate) fn mismatch<'a>() -> Evaluated<'a> {
    Err(EvalError::new("no such overload"))
}

pub(crate) fn fail<'a>(message: impl Into<String>) -> Evaluated<'a> {
    Err(EvalError::new(message))
}
