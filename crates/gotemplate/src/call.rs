//! Calls of functions and methods: arguments are evaluated for the types of the parameters, then checked against them.

use crate::ast::{At, Operand, Term};
use crate::exec::{Evaluated, Scope, State};
use crate::function::{Body, Failure, Method, Outcome, Reflected, Signature, Type};
use crate::text::quote;
use crate::value::{Elem, IntType, Kind, List, Map, MapType, UintType, Value};

impl<'t> State<'t> {
    pub fn function(
        &mut self,
        dot: &Reflected,
        operand: &'t Operand,
        name: &str,
        node: At<'t>,
        args: &'t [Operand],
        piped: Option<Reflected>,
    ) -> Evaluated {
        self.at = At::Operand(operand);
        let set = self.set;
        let Some(function) = set.functions().get(name) else {
            return self.error(format!("{} is not a defined function", quote(name.as_bytes())));
        };
        self.count_arguments(name, function.signature, args.len(), piped.is_some())?;
        if function.builtin && (name == "and" || name == "or") {
            return self.logic(dot, name == "or", args, piped);
        }
        let callee = if function.builtin && name == "call" { Some(callee_name(args, piped.as_ref())) } else { None };
        let values = self.arguments(dot, function.signature, args, piped)?;
        let mut scope = Scope::new(self.set, self.budget);
        let result = match &function.body {
            Body::Reflect(body) => match callee {
                Some(callee) => crate::builtins::call(&callee, &values),
                None => body(&mut scope, &values),
            },
            Body::Plain(body) => body(&plain(values)).map(Reflected::bare),
            Body::Host(body) => body(&mut scope, &plain(values)).map(Reflected::bare),
        };
        self.result(name, node, result)
    }

    pub fn method(
        &mut self,
        dot: &Reflected,
        method: &Method,
        operand: &'t Operand,
        name: &str,
        args: &'t [Operand],
        piped: Option<Reflected>,
    ) -> Evaluated {
        self.count_arguments(name, method.signature, args.len(), piped.is_some())?;
        let values = self.arguments(dot, method.signature, args, piped)?;
        let result: Outcome = (method.body)(&plain(values));
        self.result(name, At::Operand(operand), result.map(Reflected::bare))
    }

    fn result(&mut self, name: &str, node: At<'t>, result: Result<Reflected, Failure>) -> Evaluated {
        let checked = result.and_then(|value| self.budget.make(size(&value.value)).map(|()| value));
        checked.or_else(|failure| {
            self.at = node;
            self.error_calling(name, failure)
        })
    }

    fn count_arguments(&self, name: &str, signature: Signature, given: usize, piped: bool) -> Result<(), Failure> {
        let all = given + usize::from(piped);
        let params = signature.params.len();
        if signature.variadic {
            if all < params - 1 {
                return self.error(format!("wrong number of args for {name}: want at least {} got {given}", params - 1));
            }
        } else if all != params {
            return self.error(format!("wrong number of args for {name}: want {params} got {all}"));
        }
        Ok(())
    }

    /// `and` and `or` evaluate no further than they must.
    fn logic(&mut self, dot: &Reflected, or: bool, args: &'t [Operand], piped: Option<Reflected>) -> Evaluated {
        let mut value = Reflected::bare(Value::Nil);
        for arg in args {
            value = self.argument(dot, Type::Reflect, arg)?;
            if value.value.is_true() == or {
                return Ok(value);
            }
        }
        Ok(piped.unwrap_or(value))
    }

    fn arguments(&mut self, dot: &Reflected, signature: Signature, args: &'t [Operand], piped: Option<Reflected>) -> Result<Vec<Reflected>, Failure> {
        let param = |at: usize| signature.params[at.min(signature.params.len() - 1)];
        let mut values = Vec::with_capacity(args.len() + 1);
        for (at, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, param(at), arg)?);
        }
        if let Some(value) = piped {
            values.push(self.validate(value, param(args.len()))?);
        }
        Ok(values)
    }

    /// An argument where any type will do, as it is.
    pub fn any_argument(&mut self, dot: &Reflected, operand: &'t Operand) -> Evaluated {
        self.argument(dot, Type::Reflect, operand)
    }

    fn argument(&mut self, dot: &Reflected, wanted: Type, operand: &'t Operand) -> Evaluated {
        self.at = At::Operand(operand);
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil => {
                return match nil_of(wanted) {
                    Some(nil) => Ok(nil),
                    None => self.error(format!("cannot assign nil to {}", wanted.name())),
                };
            }
            Term::Field(fields) => self.fields(dot, dot.clone(), operand, fields, &[], None)?,
            Term::Variable(name, fields) => {
                let value = self.variable(name)?;
                self.fields(dot, value, operand, fields, &[], None)?
            }
            Term::Pipe(pipe) => self.pipeline(dot, pipe)?,
            Term::Function(name) => self.function(dot, operand, name, At::Operand(operand), &[], None)?,
            Term::Chain(inner, fields) => self.chain(dot, operand, inner, fields, &[], None)?,
            Term::Bool(_) | Term::Number(_) | Term::Str { .. } => return self.literal(wanted, operand),
        };
        self.validate(value, wanted)
    }

    /// A literal as a value of the parameter's type.
    fn literal(&mut self, wanted: Type, operand: &'t Operand) -> Evaluated {
        let (value, expected) = match wanted {
            Type::Any | Type::Reflect => return self.constant(operand),
            Type::Bool => (if let Term::Bool(value) = operand.term { Some(Value::Bool(value)) } else { None }, "bool"),
            Type::String => (if let Term::Str { text, .. } = &operand.term { Some(Value::Str(text.clone())) } else { None }, "string"),
            Type::Int | Type::Int64 => {
                let kind = if wanted == Type::Int { IntType::Int } else { IntType::Int64 };
                let number = if let Term::Number(number) = &operand.term { number.int } else { None };
                (number.map(|int| Value::Int(kind, int)), "integer")
            }
            Type::Uint32 => {
                let number = if let Term::Number(number) = &operand.term { number.uint } else { None };
                (number.map(|uint| Value::Uint(UintType::Uint32, uint & 0xffff_ffff)), "unsigned integer")
            }
            Type::Float64 => (if let Term::Number(number) = &operand.term { number.float.map(Value::Float) } else { None }, "float"),
            _ => return self.error(format!("can't handle {operand} for arg of type {}", wanted.name())),
        };
        match value {
            Some(value) => Ok(Reflected::bare(value)),
            None => self.error(format!("expected {expected}; found {operand}")),
        }
    }

    /// The value as one of the wanted type.
    fn validate(&self, value: Reflected, wanted: Type) -> Evaluated {
        if value.is_invalid() {
            return match nil_of(wanted) {
                Some(nil) => Ok(nil),
                None => self.error(format!("invalid value; expected {}", wanted.name())),
            };
        }
        match wanted {
            Type::Reflect | Type::Any => return Ok(value),
            _ if value.is_nil_interface() => {
                return self.error(format!("wrong type for value; expected {}; got interface {{}}", wanted.name()));
            }
            _ => {}
        }
        let type_name = value.value.type_name();
        match assign(value.value, wanted) {
            Some(value) => Ok(Reflected::bare(value)),
            None => self.error(format!("wrong type for value; expected {}; got {type_name}", wanted.name())),
        }
    }
}

/// The values as a function of plain parameters receives them: copies, without the methods of their pointers.
fn plain(values: Vec<Reflected>) -> Vec<Value> {
    let copied = |value: Value| match &value {
        Value::Object(object) => object.unaddressed().unwrap_or(value),
        _ => value,
    };
    values.into_iter().map(|value| copied(value.value)).collect()
}

/// The zero value of types that nil can be assigned to.
fn nil_of(wanted: Type) -> Option<Reflected> {
    Some(match wanted {
        Type::Any => Reflected::boxed(Value::Nil),
        Type::Reflect | Type::NamedPointer(_) => Reflected::bare(Value::Nil),
        Type::List => Reflected::bare(Value::List(List::nil(Elem::Any))),
        Type::Strings => Reflected::bare(Value::List(List::nil(Elem::String))),
        Type::Bytes => Reflected::bare(Value::Bytes(None)),
        Type::Map | Type::NamedMap(_) => Reflected::bare(Value::Map(Map::nil(MapType::Any))),
        Type::StringMap => Reflected::bare(Value::Map(Map::nil(MapType::Strings))),
        _ => return None,
    })
}

/// `AssignableTo`, and the value as that type.
fn assign(value: Value, wanted: Type) -> Option<Value> {
    let fits = match (&value, wanted) {
        (Value::Bool(_), Type::Bool)
        | (Value::Str(_), Type::String)
        | (Value::Float(_), Type::Float64)
        | (Value::Int(IntType::Int, _), Type::Int)
        | (Value::Int(IntType::Int64, _), Type::Int64)
        | (Value::Uint(UintType::Uint32, _), Type::Uint32)
        | (Value::Bytes(_), Type::Bytes) => true,
        (Value::List(list), Type::List) => list.elem() == Elem::Any,
        (Value::List(list), Type::Strings) => list.elem() == Elem::String,
        (Value::Map(map), Type::Map | Type::NamedMap(_)) if map.kind() != MapType::Strings => {
            return Some(Value::Map(map.retyped(MapType::Any)));
        }
        (Value::Map(map), Type::StringMap) => map.kind() == MapType::Strings,
        (Value::Object(object), Type::Strings) if object.kind() == Kind::Slice => {
            return match object.basic() {
                Some(Value::List(list)) if list.elem() == Elem::String => Some(Value::List(list)),
                _ => None,
            };
        }
        (Value::Object(object), Type::Named(name) | Type::NamedPointer(name)) => object.type_name() == name,
        _ => false,
    };
    fits.then_some(value)
}

/// What `call` says the thing it calls is named.
fn callee_name(args: &[Operand], piped: Option<&Reflected>) -> String {
    match (args.first(), piped) {
        (Some(arg), _) => arg.to_string(),
        (None, Some(Reflected { value: Value::Str(text), .. })) => text.text().into_owned(),
        (None, Some(value)) => format!("<{} Value>", value.value.type_name()),
        (None, None) => String::new(),
    }
}

/// Roughly what a value made by a function takes, its elements not followed.
fn size(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.as_bytes().len(),
        Value::Bytes(Some(bytes)) => bytes.as_bytes().len(),
        Value::List(list) => list.items().len() * size_of::<Value>(),
        Value::Map(map) => map.len() * 2 * size_of::<Value>(),
        _ => 0,
    }
}
