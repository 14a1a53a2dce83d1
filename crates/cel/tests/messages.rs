//! Compile errors in cel-go's words. Upstream: cel-go parser/parser_test.go, checker/checker_test.go and Kubernetes' own tests.

use cel::{Decl, DeclKind, Env, Type};

const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

fn errors(source: &str) -> String {
    let this = Decl::object("selfType", [("a".to_owned(), Decl::new(DeclKind::Int)), ("s".to_owned(), Decl::new(DeclKind::String)), ("l".to_owned(), Decl::list(Decl::new(DeclKind::String)))]);
    let env = Env::kubernetes().declare("self", std::sync::Arc::new(this)).variable("x", Type::Dyn);
    env.compile(source).map_or_else(|e| e.to_string(), |_| "none".to_owned())
}

/// Line, column and words of an issue.
type Issue<'a> = (usize, usize, &'a str);

fn check(rows: &[(&str, &[Issue])]) {
    for (source, issues) in rows {
        let want: Vec<String> = issues
            .iter()
            .map(|(line, column, message)| {
                let text = source.split('\n').nth(line - 1).unwrap_or_default();
                let dots: String = text.chars().take(column - 1).map(|c| if c.len_utf8() > 1 { '．' } else { '.' }).collect();
                let caret = if text.chars().nth(column - 1).is_some_and(|c| c.len_utf8() > 1) { '＾' } else { '^' };
                format!("ERROR: <input>:{line}:{column}: {message}\n | {text}\n | {dots}{caret}")
            })
            .collect();
        assert_eq!(errors(source), want.join("\n"), "{source}");
    }
}

#[test]
fn syntax() {
    let mismatched = |token: &str| format!("Syntax error: mismatched input {token} expecting {OPERAND}");
    let end = mismatched("'<EOF>'");
    let first = |sign: &str, after: &str, more: &str| format!("Syntax error: mismatched input '<EOF>' expecting {}", OPERAND.replacen(after, &format!("{after}, {sign}"), 1).replacen("'-', '!'", more, 1));
    check(&[
        ("1 + $", &[(1, 5, "Syntax error: token recognition error at: '$'"), (1, 6, &end)]),
        ("1 + 2\n3 +", &[(2, 1, "Syntax error: mismatched input '3' expecting <EOF>")]),
        ("1 + +", &[(1, 5, &mismatched("'+'")), (1, 6, &end)]),
        ("a b", &[(1, 3, "Syntax error: extraneous input 'b' expecting <EOF>")]),
        ("self.true == 1", &[(1, 6, "Syntax error: mismatched input 'true' expecting IDENTIFIER")]),
        ("(a){}", &[(1, 4, "Syntax error: mismatched input '{' expecting <EOF>")]),
        ("(a).b{}", &[(1, 6, "Syntax error: mismatched input '{' expecting <EOF>")]),
        ("'asdf'.contains('x'", &[(1, 20, "Syntax error: missing ')' at '<EOF>'")]),
        ("self.s.matches(", &[(1, 16, &first("')'", "'('", "'-', '!'"))]),
        ("[", &[(1, 2, &first("']'", "'['", "',', '-', '!', '?'"))]),
        ("{", &[(1, 2, &first("'}'", "'{'", "',', '-', '!', '?'"))]),
        ("x.matches(+ 'a')", &[(1, 11, &first("')'", "'('", "'-', '!'").replace("mismatched input '<EOF>'", "extraneous input '+'"))]),
        ("foo(a,b,)", &[(1, 9, &mismatched("')'"))]),
        ("a.`b-c`", &[(1, 3, "unsupported syntax: '`'")]),
        ("x{.", &[(1, 3, "Syntax error: mismatched input '.' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}")]),
        ("'\\udead' == '\\ufffd'", &[(1, 1, "invalid unicode code point")]),
        ("1 \u{b} + 2", &[(1, 3, "Syntax error: token recognition error at: '\u{b}'")]),
        ("\"abc", &[(1, 1, "Syntax error: token recognition error at: '\"abc'"), (1, 5, &end)]),
        ("9223372036854775808", &[(1, 1, "invalid int literal")]),
        ("package", &[(1, 1, "reserved identifier: package")]),
        ("has(x)", &[(1, 5, "invalid argument to has() macro")]),
        ("x.all(1, true)", &[(1, 7, "argument must be a simple name")]),
        ("", &[(1, 1, &end)]),
    ]);
}

#[test]
fn types() {
    check(&[
        ("1 < 'asdf'", &[(1, 3, "found no matching overload for '_<_' applied to '(int, string)'")]),
        ("1.0 == 1", &[(1, 5, "found no matching overload for '_==_' applied to '(double, int)'")]),
        ("foo.bar", &[(1, 1, "undeclared reference to 'foo' (in container '')")]),
        ("foo(1)", &[(1, 4, "undeclared reference to 'foo' (in container '')")]),
        ("self.missing", &[(1, 5, "undefined field 'missing'")]),
        ("self.a.b", &[(1, 7, "type 'int' does not support field selection")]),
        ("self.s.startsWith(1)", &[(1, 18, "found no matching overload for 'startsWith' applied to 'string.(int)'")]),
        ("self.a.all(v, true)", &[(1, 5, "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)")]),
        ("self.l.all(v, 1)", &[(1, 15, "expected type 'bool' but found 'int'")]),
        ("[1, 'a']", &[(1, 5, "expected type 'int' but found 'string'")]),
        ("{'a': 1, 'b': 'c'}", &[(1, 15, "expected type 'int' but found 'string'")]),
        ("true && 1", &[(1, 9, "expected type 'bool' but found 'int'")]),
        ("self.a + self.s", &[(1, 8, "found no matching overload for '_+_' applied to '(int, string)'")]),
        ("'é' == 1", &[(1, 5, "found no matching overload for '_==_' applied to '(string, int)'")]),
        ("self.s.matches('(')", &[(1, 16, "invalid matches argument")]),
        ("duration('x')", &[(1, 10, "invalid duration argument")]),
        ("timestamp('x')", &[(1, 11, "invalid timestamp argument")]),
        ("[dyn(1), 2]", &[(1, 10, "expected type 'dyn' but found 'int'")]),
        ("cel.bind(v, 1, v)", &[(1, 1, "undeclared reference to 'cel' (in container '')"), (1, 9, "undeclared reference to 'bind' (in container '')"), (1, 10, "undeclared reference to 'v' (in container '')"), (1, 16, "undeclared reference to 'v' (in container '')")]),
        ("self.a == null", &[(1, 8, "found no matching overload for '_==_' applied to '(int, null)'")]),
        ("Foo{}", &[(1, 4, "undeclared reference to 'Foo' (in container '')")]),
    ]);
}
