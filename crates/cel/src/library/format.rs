//! Named string formats. Upstream: k8s.io/apiserver/pkg/cel/library/format.go and the validations it names.

use crate::functions::{Run, Table, mismatch};
use crate::library::url;
use crate::texts;
use crate::time;
use crate::value::{Evaluated, Value as V};

/// A format: its name, what is wrong with a text, and the length of the pattern its cost is counted by.
#[derive(Debug)]
pub struct Format {
    pub name: &'static str,
    check: fn(&str) -> Vec<String>,
    pub(crate) regex_size: u64,
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn sized(text: &str, max: usize, valid: bool, message: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > max {
        errors.push(too_long(max));
    }
    if !valid {
        errors.push(message.to_owned());
    }
    errors
}

fn is_label(text: &str, first: fn(char) -> bool) -> bool {
    text.starts_with(first) && text.ends_with(plain) && text.chars().all(|c| plain(c) || c == '-')
}

fn label(text: &str) -> Vec<String> {
    sized(text, 63, is_label(text, plain), LABEL)
}

fn label_1035(text: &str) -> Vec<String> {
    sized(text, 63, is_label(text, |c| c.is_ascii_lowercase()), LABEL_1035)
}

fn subdomain(text: &str) -> Vec<String> {
    sized(text, 253, text.split('.').all(|part| is_label(part, plain)), SUBDOMAIN)
}

/// Upstream: maskTrailingDash lets a prefix end in a dash.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(head) if !head.is_empty() => format!("{head}a"),
        _ => text.to_owned(),
    }
}

fn is_name(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(ends) && text.ends_with(ends) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn qualified_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(subdomain(prefix).into_iter().map(|e| format!("prefix part {e}")));
            }
            name
        }
        _ => {
            return vec![format!("a qualified name {NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push(format!("name part {}", too_long(63)));
    }
    if !is_name(name) {
        errors.push(format!("name part {NAME}"));
    }
    errors
}

fn label_value(text: &str) -> Vec<String> {
    sized(text, 63, text.is_empty() || is_name(text), VALUE)
}

/// Dashes may be left out, each by itself.
fn uuid(text: &str) -> Vec<String> {
    let (mut digits, mut dashed) = (0, 0);
    let valid = text.chars().all(|c| match c {
        '-' if matches!(digits, 8 | 12 | 16 | 20) && dashed != digits => {
            dashed = digits;
            true
        }
        c => {
            digits += 1;
            c.is_ascii_hexdigit()
        }
    });
    when(valid && digits == 32, "does not match the UUID format")
}

fn when(valid: bool, message: &str) -> Vec<String> {
    if valid { Vec::new() } else { vec![message.to_owned()] }
}

const fn format(name: &'static str, regex_size: u64, check: fn(&str) -> Vec<String>) -> Format {
    Format { name, check, regex_size }
}

/// By the name functions and `format.named` use.
static FORMATS: [(&str, &str, Format, Run); 13] = [
    ("dns1123Label", "format.dns1123Label", format("DNS1123Label", 30, label), |_| Ok(V::Format(&FORMATS[0].2))),
    ("dns1123Subdomain", "format.dns1123Subdomain", format("DNS1123Subdomain", 60, subdomain), |_| Ok(V::Format(&FORMATS[1].2))),
    ("dns1035Label", "format.dns1035Label", format("DNS1035Label", 30, label_1035), |_| Ok(V::Format(&FORMATS[2].2))),
    ("qualifiedName", "format.qualifiedName", format("QualifiedName", 60, qualified_name), |_| Ok(V::Format(&FORMATS[3].2))),
    ("dns1123LabelPrefix", "format.dns1123LabelPrefix", format("DNS1123LabelPrefix", 30, |s| label(&masked(s))), |_| Ok(V::Format(&FORMATS[4].2))),
    ("dns1123SubdomainPrefix", "format.dns1123SubdomainPrefix", format("DNS1123SubdomainPrefix", 60, |s| subdomain(&masked(s))), |_| Ok(V::Format(&FORMATS[5].2))),
    ("dns1035LabelPrefix", "format.dns1035LabelPrefix", format("DNS1035LabelPrefix", 30, |s| label_1035(&masked(s))), |_| Ok(V::Format(&FORMATS[6].2))),
    ("labelValue", "format.labelValue", format("LabelValue", 40, label_value), |_| Ok(V::Format(&FORMATS[7].2))),
    ("uri", "format.uri", format("URI", 1103, |s| url::parse(s).err().into_iter().collect()), |_| Ok(V::Format(&FORMATS[8].2))),
    ("uuid", "format.uuid", format("uuid", 70, uuid), |_| Ok(V::Format(&FORMATS[9].2))),
    ("byte", "format.byte", format("byte", 84, |s| when(texts::is_base64(s), "invalid base64")), |_| Ok(V::Format(&FORMATS[10].2))),
    ("date", "format.date", format("date", 71, |s| when(time::date(s).is_some(), "invalid date")), |_| Ok(V::Format(&FORMATS[11].2))),
    ("datetime", "format.datetime", format("datetime", 71, |s| when(texts::is_date_time(s), "invalid datetime")), |_| Ok(V::Format(&FORMATS[12].2))),
];

fn named<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let V::String(name) = &a[0] else { return mismatch() };
    Ok(FORMATS.iter().find(|f| f.0 == &**name).map_or(V::Optional(None), |f| V::Format(&f.2).some()))
}

fn validate<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let (V::Format(format), V::String(text)) = (&a[0], &a[1]) else { return mismatch() };
    let errors = (format.check)(text);
    Ok(if errors.is_empty() { V::Optional(None) } else { V::list(errors.into_iter().map(V::string).collect()).some() })
}

pub(crate) fn add(table: &mut Table) {
    for (_, function, _, run) in &FORMATS {
        table.add(function, function, "() -> kubernetes.NamedFormat", *run);
    }
    table.add("format.named", "format-named", "(string) -> optional(kubernetes.NamedFormat)", named);
    table.add_method("validate", "format-validate", "kubernetes.NamedFormat", "string", "optional(list(string))", validate);
}
