//! The committed table and the types built from it, each on first use.
//!
//! Never panics on a lookup; a malformed line of our own table would only lose that field, and the law tests would say so.

use std::sync::OnceLock;

use crate::types::{Field, List, ListKind, Map, Of, Special, Text, Type, TypeRef};

static TABLE: &str = include_str!("../data/types.tsv");

/// A kind that the API knows, built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    id: u16,
}

struct Index {
    kinds: Vec<Kind>,
    /// Name and where its field lines begin; sorted by name, the position is the id.
    types: Vec<(&'static str, u32)>,
    built: Vec<OnceLock<Box<Type>>>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let (mut kinds, mut types) = (Vec::new(), Vec::new());
        let mut at = 0;
        for line in TABLE.split_inclusive('\n') {
            at += line.len();
            let mut cells = line.trim_end_matches('\n').split('\t');
            match cells.next() {
                Some("T") => types.push((cells.next().unwrap_or_default(), (at - line.len()) as u32)),
                Some("K") => {
                    let mut next = || cells.next().unwrap_or_default();
                    let (group, version, kind) = (next(), next(), next());
                    kinds.push(Kind { group, version, kind, id: next().parse().unwrap_or(u16::MAX) });
                }
                _ => {}
            }
        }
        kinds.shrink_to_fit();
        types.shrink_to_fit();
        let built = (0..types.len()).map(|_| OnceLock::new()).collect();
        Index { kinds, types, built }
    })
}

/// The type of a built-in kind. Options and watch events are known under every group version, as upstream registers them.
pub fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    let kinds = &index().kinds;
    let key = (group, version, kind);
    if let Ok(found) = kinds.binary_search_by(|k| (k.group, k.version, k.kind).cmp(&key)) {
        return lookup(kinds[found].id);
    }
    const EVERYWHERE: [&str; 9] =
        ["CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "WatchEvent", "APIVersions", "Status"];
    const UNVERSIONED: [&str; 5] = ["APIGroup", "APIGroupList", "APIResourceList", "Table", "APIVersions"];
    if EVERYWHERE.contains(&kind) || UNVERSIONED.contains(&kind) {
        return by_name(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"));
    }
    None
}

/// The type of an OpenAPI definition name.
pub fn by_name(name: &str) -> Option<&'static Type> {
    lookup(id_of(name)?)
}

pub(crate) fn id_of(name: &str) -> Option<u16> {
    index().types.binary_search_by(|(n, _)| (*n).cmp(name)).ok().map(|at| at as u16)
}

pub fn kinds() -> &'static [Kind] {
    &index().kinds
}

/// Every definition name, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    index().types.iter().map(|(name, _)| *name)
}

impl Kind {
    pub fn of(&self) -> &'static Type {
        at(self.id)
    }
}

fn lookup(id: u16) -> Option<&'static Type> {
    ((id as usize) < index().types.len()).then(|| at(id))
}

pub(crate) fn at(id: u16) -> &'static Type {
    static NOTHING: OnceLock<Type> = OnceLock::new();
    let index = index();
    match (index.built.get(id as usize), index.types.get(id as usize)) {
        (Some(slot), Some((name, at))) => slot.get_or_init(|| Box::new(build(name, &TABLE[*at as usize..]))),
        _ => NOTHING.get_or_init(Type::default),
    }
}

fn build(name: &'static str, text: &'static str) -> Type {
    let mut lines = text.lines();
    let mut head = lines.next().unwrap_or_default().split('\t').skip(2);
    let atomic = head.next() == Some("a");
    let special = match head.next().unwrap_or_default() {
        "" => None,
        "a" | "A" => Some(Special::SchemaOrArray),
        "o" | "O" => Some(Special::SchemaOrBool),
        "g" | "G" => Some(Special::SchemaOrStrings),
        _ => Some(Special::Scalar),
    };
    let go_order = Text::Borrowed(head.next().unwrap_or_default());
    let fields = lines.take_while(|l| !l.starts_with("T\t")).filter_map(field).collect();
    Type { name: Text::Borrowed(name), fields, atomic, special, go_order, ..Type::default() }.sealed()
}

fn field(line: &'static str) -> Option<Field> {
    let mut cells = line.split('\t');
    let (name, number, of, flags) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let mut field = Field::new(name, Of::Json);
    field.number = number.split('.').filter_map(|n| n.parse().ok()).collect();
    field.required = flags.contains('r');
    field.pointer = flags.contains('p');
    field.always = flags.contains('z');
    field.atomic = flags.contains('a');
    let (mut kind, mut keys) = (ListKind::Atomic, Vec::new());
    for fact in cells {
        match fact.split_once('=')? {
            ("l", "set") => kind = ListKind::Set,
            ("l", "map") => kind = ListKind::Map,
            ("k", list) => keys = list.split(',').map(Text::Borrowed).collect(),
            ("s", strategy) => field.patch_strategy = Some(Text::Borrowed(strategy)),
            ("m", key) => field.merge_key = Some(Text::Borrowed(key)),
            ("d", json) => field.default = serde_json::from_str(json).ok(),
            _ => {}
        }
    }
    field.of = expression(of, field.atomic);
    if let Of::List(list) = &mut field.of {
        (list.kind, list.keys) = (kind, keys);
    }
    Some(field)
}

fn expression(text: &'static str, atomic: bool) -> Of {
    let mut chars = text.chars();
    let first = chars.next().unwrap_or('J');
    let rest = chars.as_str();
    match first {
        'b' => Of::Bool,
        'i' => Of::Int32,
        'l' => Of::Int64,
        'f' => Of::Float,
        'd' => Of::Double,
        's' => Of::Str,
        'y' => Of::Bytes,
        'Q' => Of::Quantity,
        'I' => Of::IntOrString,
        'T' => Of::Time,
        'M' => Of::MicroTime,
        'D' => Of::Duration,
        'V' => Of::Fields,
        'R' => Of::Raw,
        'j' => Of::JsonText,
        '#' => rest.parse().map_or(Of::Json, |id| Of::Object(TypeRef::Static(id))),
        '[' | '(' => Of::List(Box::new(List { item: expression(rest, false), kind: ListKind::Atomic, keys: Vec::new(), wrapped: first == '(' })),
        '{' => Of::Map(Box::new(Map { value: expression(rest, false), atomic })),
        _ => Of::Json,
    }
}
