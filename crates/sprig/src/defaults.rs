//! Defaults, choice, reflection and flow.

use gotemplate::{Failure, Functions, Signature, Type, Value};

use crate::args::{any, boolean, text};
use crate::cast::{deep_equal, empty};

use Type::{Any, Bool, String as Text};

const A: Signature = Signature::fixed(&[Any]);
const TA: Signature = Signature::fixed(&[Text, Any]);
const ANYS: Signature = Signature::variadic(&[Any]);

pub fn register(f: &mut Functions) {
    f.add("default", Signature::variadic(&[Any, Any]), |a| Ok(if a.len() < 2 || empty(&a[1]) { any(a, 0) } else { any(a, 1) }));
    f.add("empty", A, |a| Ok(Value::Bool(empty(&a[0]))));
    f.add("coalesce", ANYS, |a| Ok(a.iter().find(|value| !empty(value)).cloned().unwrap_or(Value::Nil)));
    f.add("all", ANYS, |a| Ok(Value::Bool(!a.iter().any(empty))));
    f.add("any", ANYS, |a| Ok(Value::Bool(!a.iter().all(empty))));
    f.add("ternary", Signature::fixed(&[Any, Any, Bool]), |a| Ok(any(a, usize::from(!boolean(a, 2)))));
    f.add("typeOf", A, |a| Ok(Value::str(&*a[0].type_name())));
    f.add("typeIs", TA, |a| Ok(Value::Bool(text(a, 0).as_bytes() == a[1].type_name().as_bytes())));
    f.add("typeIsLike", TA, |a| {
        let name = a[1].type_name();
        let wanted = text(a, 0);
        Ok(Value::Bool(wanted.as_bytes() == name.as_bytes() || name.as_bytes().strip_prefix(b"*") == Some(wanted.as_bytes())))
    });
    f.add("kindOf", A, |a| Ok(Value::str(a[0].kind_name())));
    f.add("kindIs", TA, |a| Ok(Value::Bool(text(a, 0).as_bytes() == a[1].kind_name().as_bytes())));
    f.add("deepEqual", Signature::fixed(&[Any, Any]), |a| Ok(Value::Bool(deep_equal(&a[0], &a[1])?)));
    f.add("fail", Signature::fixed(&[Text]), |a| Err(Failure::new(text(a, 0).text())));
}
