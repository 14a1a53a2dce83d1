//! Go's `fmt`: `Sprint`, `Sprintln` and `Sprintf` of template values.
//!
//! Never fails on a bad format: as in Go, the fault stands in the output (`%!d(string=x)`). Only values nested deeper than the
//! stack allows, such as maps that hold themselves, are refused.

mod format;
mod verb;

use crate::function::Failure;
use crate::text::Str;
use crate::value::{Kind, Value};

use format::Printer;

const TOO_DEEP: &str = "value is nested too deeply to print: it may hold itself";

/// `fmt.Sprint`
pub fn sprint(args: &[Value]) -> Result<Str, Failure> {
    if let [Value::Str(text)] = args {
        return Ok(text.clone());
    }
    let mut printer = Printer::default();
    let mut after_string = false;
    for (at, arg) in args.iter().enumerate() {
        let string = arg.kind() == Kind::String;
        if at > 0 && !string && !after_string {
            printer.out.push(b' ');
        }
        printer.arg(arg, 'v');
        after_string = string;
    }
    finish(printer)
}

/// `fmt.Sprintln`
pub fn sprintln(args: &[Value]) -> Result<Str, Failure> {
    let mut printer = Printer::default();
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            printer.out.push(b' ');
        }
        printer.arg(arg, 'v');
    }
    printer.out.push(b'\n');
    finish(printer)
}

/// `fmt.Sprintf`
pub fn sprintf(format: &[u8], args: &[Value]) -> Result<Str, Failure> {
    let mut printer = Printer::default();
    printer.format(format, args);
    finish(printer)
}

/// One value by one verb without flags: `%v`, `%s`.
pub fn verb(value: &Value, verb: char) -> Result<Str, Failure> {
    let mut printer = Printer::default();
    printer.arg(value, verb);
    finish(printer)
}

/// Writes a value as `fmt.Fprint` does.
pub(crate) fn print_to(out: &mut Vec<u8>, value: &Value) -> Result<(), Failure> {
    if let Value::Str(text) = value {
        out.extend_from_slice(text);
        return Ok(());
    }
    let mut printer = Printer { out: std::mem::take(out), ..Printer::default() };
    printer.arg(value, 'v');
    let fault = printer.fault;
    *out = printer.out;
    fault.map_or(Ok(()), |text| Err(Failure::new(text)))
}

fn finish(printer: Printer) -> Result<Str, Failure> {
    match printer.fault {
        Some(text) => Err(Failure::new(text)),
        None => Ok(Str::from(printer.out)),
    }
}
