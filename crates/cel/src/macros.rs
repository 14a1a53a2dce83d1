//! Macros: calls that the parser rewrites to presence tests and loops.
//!
//! Upstream: cel-go parser/macro.go, cel/library.go (optional types), ext/comprehensions.go, ext/bindings.go, ext/lists.go.
//! Invariant: a node made by a macro stands where the macro's parenthesis stands.

use crate::ast::{Const, Expr, Fold, Id, Kind, op};
use crate::parser::Parser;

pub(crate) const ACCU: &str = "@result";
const UNUSED: &str = "#unused";
const SORT_INPUT: &str = "@__sortBy_input__";

/// A loop over one range, its names already checked.
struct Loop {
    range: Expr,
    var: String,
    var2: Option<String>,
}

impl Parser {
    fn constant(&mut self, at: u32, value: Const) -> Expr {
        self.node(at, Kind::Const(value))
    }

    fn ident(&mut self, at: u32, name: &str) -> Expr {
        self.node(at, Kind::Ident(name.to_owned()))
    }

    fn made(&mut self, at: u32, function: &str, args: Vec<Expr>) -> Expr {
        let id = self.id(at);
        self.call(id, function, args)
    }

    fn one(&mut self, at: u32, item: Expr) -> Expr {
        self.node(at, Kind::List { items: vec![item], optional: vec![false] })
    }

    fn empty_list(&mut self, at: u32) -> Expr {
        self.node(at, Kind::List { items: Vec::new(), optional: Vec::new() })
    }

    /// `has(a.b)`; anything else of that name is a call.
    pub(crate) fn global_macro(&mut self, id: Id, name: &str, mut args: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
        if !self.syntax.macros || name != "has" || args.len() != 1 {
            return Err(args);
        }
        let at = self.place(id);
        let arg = args.remove(0);
        Ok(match arg.kind {
            Kind::Select { operand, field, test: false } => self.node(at, Kind::Select { operand, field, test: true }),
            _ => {
                let place = self.place(arg.id);
                self.report(Some(place), "invalid argument to has() macro")
            }
        })
    }

    pub(crate) fn member_macro(&mut self, id: Id, name: &str, target: Expr, args: Vec<Expr>) -> Result<Expr, (Expr, Vec<Expr>)> {
        if !self.syntax.macros {
            return Err((target, args));
        }
        let at = self.place(id);
        match (name, args.len()) {
            ("bind", 3) if self.syntax.bindings && matches!(&target.kind, Kind::Ident(n) if n == "cel") => Ok(self.bind(at, args)),
            ("optMap" | "optFlatMap", 2) => Ok(self.opt_map(at, target, args, name == "optFlatMap")),
            ("sortBy", 2) => Ok(self.sort_by(at, target, args)),
            ("all" | "exists" | "exists_one" | "existsOne" | "filter", 2) | ("map", 2 | 3) => Ok(self.single(at, name, target, args)),
            ("all" | "exists" | "exists_one" | "existsOne" | "transformList" | "transformMap" | "transformMapEntry", 3)
            | ("transformList" | "transformMap" | "transformMapEntry", 4) => Ok(self.double(at, name, target, args)),
            _ => Err((target, args)),
        }
    }

    /// The name an argument is, or what is wrong with it.
    fn variable(&mut self, arg: &Expr, message: &str) -> Result<String, Expr> {
        match &arg.kind {
            Kind::Ident(name) if name == ACCU || name == "__result__" => {
                let place = self.place(arg.id);
                Err(self.report(Some(place), "iteration variable overwrites accumulator variable"))
            }
            Kind::Ident(name) if !name.starts_with('.') => Ok(name.clone()),
            _ => {
                let place = self.place(arg.id);
                Err(self.report(Some(place), message))
            }
        }
    }

    fn single(&mut self, at: u32, name: &str, range: Expr, mut args: Vec<Expr>) -> Expr {
        let var = match self.variable(&args[0], "argument must be a simple name") {
            Ok(var) => var,
            Err(error) => return error,
        };
        let last = args.pop().expect("two arguments at least");
        let over = Loop { range, var: var.clone(), var2: None };
        match name {
            "map" => {
                let filter = (args.len() == 2).then(|| args.pop()).flatten();
                self.collect(at, over, filter, last)
            }
            "filter" => {
                let item = self.ident(at, &var);
                self.collect(at, over, Some(last), item)
            }
            _ => self.quantifier(at, name, over, last),
        }
    }

    fn double(&mut self, at: u32, name: &str, range: Expr, mut args: Vec<Expr>) -> Expr {
        let message = ["argument must be a simple name", "argument must be a simple name"];
        let names: Result<Vec<String>, Expr> = (0..2).map(|i| self.variable(&args[i], message[i])).collect();
        let names = match names {
            Ok(names) => names,
            Err(error) => return error,
        };
        if names[0] == names[1] {
            let place = self.place(args[1].id);
            return self.report(Some(place), &format!("duplicate variable name: {}", names[1]));
        }
        let last = args.pop().expect("three arguments at least");
        let over = Loop { range, var: names[0].clone(), var2: Some(names[1].clone()) };
        let filter = (args.len() == 3).then(|| args.pop()).flatten();
        match name {
            "transformList" => self.collect(at, over, filter, last),
            "transformMap" => {
                let accu = self.ident(at, ACCU);
                let key = self.ident(at, &names[0]);
                let step = self.made(at, op::MAP_INSERT, vec![accu, key, last]);
                self.collect_map(at, over, filter, step)
            }
            "transformMapEntry" => {
                let accu = self.ident(at, ACCU);
                let step = self.made(at, op::MAP_INSERT, vec![accu, last]);
                self.collect_map(at, over, filter, step)
            }
            _ => self.quantifier(at, name, over, last),
        }
    }

    fn quantifier(&mut self, at: u32, name: &str, over: Loop, test: Expr) -> Expr {
        let accu = self.ident(at, ACCU);
        match name {
            "all" => {
                let init = self.constant(at, Const::Bool(true));
                let condition = self.made(at, op::NOT_STRICTLY_FALSE, vec![accu]);
                let accu = self.ident(at, ACCU);
                let step = self.made(at, op::AND, vec![accu, test]);
                let result = self.ident(at, ACCU);
                self.fold(at, over, init, condition, step, result)
            }
            "exists" => {
                let init = self.constant(at, Const::Bool(false));
                let not = self.made(at, op::NOT, vec![accu]);
                let condition = self.made(at, op::NOT_STRICTLY_FALSE, vec![not]);
                let accu = self.ident(at, ACCU);
                let step = self.made(at, op::OR, vec![accu, test]);
                let result = self.ident(at, ACCU);
                self.fold(at, over, init, condition, step, result)
            }
            _ => {
                let init = self.constant(at, Const::Int(0));
                let condition = self.constant(at, Const::Bool(true));
                let one = self.constant(at, Const::Int(1));
                let sum = self.made(at, op::ADD, vec![accu, one]);
                let accu = self.ident(at, ACCU);
                let step = self.made(at, op::CONDITIONAL, vec![test, sum, accu]);
                let accu = self.ident(at, ACCU);
                let one = self.constant(at, Const::Int(1));
                let result = self.made(at, op::EQ, vec![accu, one]);
                self.fold(at, over, init, condition, step, result)
            }
        }
    }

    fn collect(&mut self, at: u32, over: Loop, filter: Option<Expr>, item: Expr) -> Expr {
        let init = self.empty_list(at);
        let accu = self.ident(at, ACCU);
        let item = self.one(at, item);
        let step = self.made(at, op::ADD, vec![accu, item]);
        self.gather(at, over, init, filter, step)
    }

    fn collect_map(&mut self, at: u32, over: Loop, filter: Option<Expr>, step: Expr) -> Expr {
        let init = self.node(at, Kind::Map(Vec::new()));
        self.gather(at, over, init, filter, step)
    }

    fn gather(&mut self, at: u32, over: Loop, init: Expr, filter: Option<Expr>, step: Expr) -> Expr {
        let condition = self.constant(at, Const::Bool(true));
        let step = match filter {
            None => step,
            Some(filter) => {
                let accu = self.ident(at, ACCU);
                self.made(at, op::CONDITIONAL, vec![filter, step, accu])
            }
        };
        let result = self.ident(at, ACCU);
        self.fold(at, over, init, condition, step, result)
    }

    fn fold(&mut self, at: u32, over: Loop, init: Expr, condition: Expr, step: Expr, result: Expr) -> Expr {
        let fold = Fold { range: over.range, var: over.var, var2: over.var2, accu: ACCU.to_owned(), init, condition, step, result };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    /// A name for a value, as a loop that never runs.
    fn named(&mut self, at: u32, name: &str, value: Expr, result: Expr) -> Expr {
        let range = self.empty_list(at);
        let condition = self.constant(at, Const::Bool(false));
        let step = self.ident(at, name);
        let fold = Fold { range, var: UNUSED.to_owned(), var2: None, accu: name.to_owned(), init: value, condition, step, result };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    fn bind(&mut self, at: u32, mut args: Vec<Expr>) -> Expr {
        let Kind::Ident(name) = args[0].kind.clone() else {
            let place = self.place(args[0].id);
            return self.report(Some(place), "cel.bind() variable names must be simple identifiers");
        };
        let result = args.pop().expect("three arguments");
        let value = args.pop().expect("three arguments");
        self.named(at, &name, value, result)
    }

    fn member_call(&mut self, at: u32, target: Expr, function: &str, args: Vec<Expr>) -> Expr {
        self.node(at, Kind::Call { function: function.to_owned(), target: Some(Box::new(target)), args })
    }

    fn opt_map(&mut self, at: u32, target: Expr, mut args: Vec<Expr>, flat: bool) -> Expr {
        let name = if flat { "optFlatMap" } else { "optMap" };
        let Kind::Ident(var) = args[0].kind.clone() else {
            let place = self.place(args[0].id);
            return self.report(Some(place), &format!("{name}() variable name must be a simple identifier"));
        };
        let body = args.pop().expect("two arguments");
        if !self.may_copy(&target) {
            return self.report(None, "expression recursion limit exceeded: 250");
        }
        let value = self.member_call(at, target.clone(), "value", Vec::new());
        let mapped = self.named(at, &var, value, body);
        let yes = if flat { mapped } else { self.made(at, "optional.of", vec![mapped]) };
        let has = self.member_call(at, target, "hasValue", Vec::new());
        let none = self.made(at, "optional.none", Vec::new());
        self.made(at, op::CONDITIONAL, vec![has, yes, none])
    }

    /// `list.sortBy(x, key)`: the keys are computed once and the list is sorted by them.
    fn sort_by(&mut self, at: u32, target: Expr, args: Vec<Expr>) -> Expr {
        let input = self.ident(at, SORT_INPUT);
        let keys = self.single(at, "map", input, args);
        if matches!(keys.kind, Kind::Error) {
            return keys;
        }
        let input = self.ident(at, SORT_INPUT);
        let sorted = self.member_call(at, input, "@sortByAssociatedKeys", vec![keys]);
        self.named(at, SORT_INPUT, target, sorted)
    }
}
