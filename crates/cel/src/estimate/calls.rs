//! What calls may cost, and how large their results may be: Kubernetes' functions first, then the language's.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/library/cost.go (EstimateCallCost), cel-go checker/cost.go (functionCost), ext/lists.go and
//! ext/sets.go (version 3 of lists).

use super::{Entries, Estimator, Range, Seen};
use crate::ast::{Const, Expr, Kind};
use crate::charge::{REGEX_FACTOR, STRING_FACTOR};
use crate::functions::Overload;
use crate::types::Type;

pub(super) struct Call<'c, 'e> {
    pub expr: &'e Expr,
    pub overload: &'static Overload,
    pub target: Option<&'c Seen<'e>>,
    pub args: &'c [Seen<'e>],
    pub costs: &'c [Range],
}

type Estimated = (Range, Option<Range>);

const LONGEST_FORMAT: u64 = 64;
const LONGEST_FORMAT_REGEX: f64 = 128.0;

impl Estimator<'_> {
    pub(super) fn function(&mut self, call: &Call<'_, '_>) -> Estimated {
        let args = call.costs.iter().fold(Range::default(), |sum, c| sum.plus(*c));
        if let Some((cost, size)) = self.lists_and_sets(call).or_else(|| self.kubernetes(call)) {
            return (cost.plus(args), size);
        }
        self.language(call, args)
    }

    /// The size of a node to Kubernetes' estimator: as computed, or as declared, or unknown.
    fn sized(&self, node: &Seen<'_>) -> Range {
        node.size.or_else(|| self.declared(&node.path)).unwrap_or(Range::UNKNOWN)
    }

    /// A list's element.
    fn element(&self, list: &Seen<'_>) -> Option<Seen<'static>> {
        let ty = match &list.ty {
            Type::List(of) => (**of).clone(),
            Type::Map(of) => of.0.clone(),
            _ => return None,
        };
        let mut path = list.path.clone();
        if !path.is_empty() {
            path.push("@items".to_owned());
        }
        Some(Seen { path, ty, expr: None, size: None })
    }

    fn lists_and_sets(&self, call: &Call<'_, '_>) -> Option<Estimated> {
        let allocating = |factor: f64, size: Range| (size.scaled(factor).plus(Range::of(11)), Some(size));
        let on = || call.target.map(|t| self.sized(t));
        Some(match call.overload.id {
            "list_sets_contains_list" | "list_sets_intersects_list" | "list_sets_equivalent_list" => {
                let factor = if call.overload.id == "list_sets_equivalent_list" { 2.0 } else { 1.0 };
                (self.sized(call.args.first()?).times(self.sized(call.args.get(1)?)).scaled(factor).plus(Range::of(1)), None)
            }
            "list_slice" => {
                let start = whole(call.args.first()?, 0);
                let end = whole(call.args.get(1)?, on()?.max);
                allocating(1.0, Range::of(end.wrapping_sub(start)))
            }
            "list_flatten" => allocating(1.0, on()?),
            "list_flatten_int" => allocating(whole(call.args.first()?, u64::MAX) as f64, on()?),
            "lists_range" => allocating(1.0, Range::of(whole(call.args.first()?, u64::MAX))),
            "list_reverse" => allocating(1.0, on()?),
            "list_distinct" => allocating(2.0, on()?.times(on()?)),
            id if id.starts_with("list_") && (id.contains("_sort_") || id.ends_with("_sortByAssociatedKeys")) => {
                let by = if id.contains("_sort_") { on()? } else { self.sized(call.args.first()?) };
                let text = id.starts_with("list_string") || id.starts_with("list_bytes");
                allocating(if text { 2.0 + STRING_FACTOR } else { 2.0 }, by.times(by))
            }
            _ => return None,
        })
    }

    fn kubernetes(&self, call: &Call<'_, '_>) -> Option<Estimated> {
        let one = Some((Range::of(1), None));
        let scan = |node: &Seen<'_>, factor: f64| self.sized(node).scaled(factor);
        let first = call.args.first();
        match call.overload.function {
            "check" => Some((Range::of(350_000), None)),
            "serviceAccount" | "path" | "group" | "resource" | "subresource" | "namespace" | "name" | "allowed" | "reason" | "error" | "errored" | "format.named" => one,
            "fieldSelector" | "labelSelector" => Some((selector(self.sized(first?)), None)),
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                let target = call.target?;
                let size = self.sized(target);
                Some(match self.element(target) {
                    None => (size.scaled(STRING_FACTOR), None),
                    Some(element) => {
                        let text = matches!(element.ty, Type::String | Type::Bytes);
                        let each = if text { Range::of(1).plus(scan(&element, STRING_FACTOR)) } else { Range::of(1) };
                        (size.times(each), None)
                    }
                })
            }
            "url" | "jsonpatch.escapeKey" => Some((scan(first?, STRING_FACTOR), Some(self.sized(first?)))),
            "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                let size = self.sized(call.target?);
                Some((size.scaled(STRING_FACTOR), Some(size)))
            }
            "replace" => self.replace(call),
            "split" => {
                let size = self.sized(call.target?);
                let most = call.args.get(1).map_or(size.max, |limit| whole(limit, size.max));
                Some((size.scaled(2.0 * STRING_FACTOR), Some(Range { min: 0, max: most })))
            }
            "join" => self.join(call),
            "find" | "findAll" => {
                let size = self.sized(call.target?);
                let text = size.plus(Range::of(1)).scaled(STRING_FACTOR);
                Some((text.times(scan(first?, REGEX_FACTOR)), Some(Range { min: 0, max: size.max })))
            }
            "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => Some((scan(first?, STRING_FACTOR), None)),
            "ip" => Some((first.map_or(Range::of(1), |a| scan(a, STRING_FACTOR)), None)),
            "ip.isCanonical" => Some((scan(first?, 2.0 * STRING_FACTOR), None)),
            "masked" | "prefixLength" | "family" | "isUnspecified" | "isLoopback" | "isLinkLocalMulticast" | "isLinkLocalUnicast" | "isGlobalUnicast" => one,
            "containsIP" | "containsCIDR" => self.contains(call),
            "validate" => Some((scan(first?, STRING_FACTOR).scaled(LONGEST_FORMAT_REGEX * REGEX_FACTOR), None)),
            "sign" | "asInteger" | "isInteger" | "asApproximateFloat" | "isGreaterThan" | "isLessThan" | "compareTo" | "add" | "sub" | "major" | "minor" | "patch" => one,
            "getScheme" | "getHostname" | "getHost" | "getPort" | "getEscapedPath" | "getQuery" => one,
            "_==_" => self.equality(call),
            _ => None,
        }
    }

    fn contains(&self, call: &Call<'_, '_>) -> Option<Estimated> {
        let size = Range { min: 4, max: 16 };
        let mut cost = size.plus(size).scaled(STRING_FACTOR);
        if call.overload.function == "containsCIDR" {
            cost = cost.plus(size.scaled(STRING_FACTOR)).plus(Range::of(1));
        }
        if matches!(call.overload.id, "cidr_contains_ip_string" | "cidr_contains_cidr_string") {
            cost = cost.plus(self.sized(call.args.first()?).scaled(STRING_FACTOR));
        }
        Some((cost, None))
    }

    fn equality(&self, call: &Call<'_, '_>) -> Option<Estimated> {
        let [left, right] = call.args else { return None };
        if left.ty != right.ty {
            return None;
        }
        let cost = match left.ty.name() {
            "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver" => Range::of(1),
            name if name.starts_with("kubernetes.authorization.") => Range::of(1),
            "kubernetes.NamedFormat" => Range { min: 1, max: LONGEST_FORMAT }.scaled(STRING_FACTOR),
            "kubernetes.URL" => Range { min: 1, max: right.size.map_or(1, |s| s.max) }.scaled(STRING_FACTOR),
            _ => return None,
        };
        Some((cost, None))
    }

    fn replace(&self, call: &Call<'_, '_>) -> Option<Estimated> {
        let size = self.sized(call.target?);
        let old = self.sized(call.args.first()?);
        let new = self.sized(call.args.get(1)?);
        let times = |whole: u64, part: u64| (whole as f64 / part as f64).ceil() as u64;
        // The longest result: every character surrounded, or nothing longer, or the shortest parts made the longest.
        let (most, kept_most) = match old.min {
            0 => (size.max.saturating_add(1), size.max),
            shortest if new.max <= shortest => (0, size.max),
            shortest => (times(size.max, shortest), 0),
        };
        let (least, kept_least) = match old.max {
            0 => (size.min.saturating_add(1), size.min),
            longest if longest <= new.min => (0, size.min),
            longest => (times(size.min, longest), 0),
        };
        let result = Range { min: least, max: most }.times(new).plus(Range { min: kept_least, max: kept_most });
        Some((size.scaled(2.0 * STRING_FACTOR), Some(result)))
    }

    fn join(&self, call: &Call<'_, '_>) -> Option<Estimated> {
        let list = self.sized(call.target?);
        let mut size = self.element(call.target?).map_or_else(Range::default, |element| list.times(self.sized(&element)));
        if let Some(separator) = call.args.first() {
            let separators = Range { min: list.min.saturating_sub(1), max: list.max.saturating_sub(1) };
            size = size.plus(self.sized(separator).times(separators));
        }
        Some((size.scaled(STRING_FACTOR), Some(size)))
    }

    fn language(&mut self, call: &Call<'_, '_>, args: Range) -> Estimated {
        let size = |i: usize| call.args.get(i).and_then(|a| a.size).unwrap_or(Range::UNKNOWN);
        let on = call.target.and_then(|t| t.size).unwrap_or(Range::UNKNOWN);
        match call.overload.id {
            "string_format" => (on.scaled(STRING_FACTOR).plus(args), None),
            "string_to_bytes" => (size(0).scaled(STRING_FACTOR).plus(args), Some(Range { min: size(0).min, max: size(0).max.wrapping_mul(4) })),
            "bytes_to_string" => (size(0).scaled(STRING_FACTOR).plus(args), Some(Range { min: size(0).min / 4, max: size(0).max })),
            "strings_quote" => (size(0).scaled(STRING_FACTOR).plus(args), Some(Range { min: size(0).min.wrapping_add(2), max: size(0).max.wrapping_mul(2).wrapping_add(2) })),
            "starts_with_string" | "ends_with_string" => (size(0).scaled(STRING_FACTOR).plus(args), None),
            "in_list" => (size(1).scaled(1.0).plus(args), None),
            "matches_string" => (on.plus(Range::of(1)).scaled(STRING_FACTOR).times(size(0).scaled(REGEX_FACTOR)).plus(args), None),
            "contains_string" => (on.scaled(STRING_FACTOR).times(size(0).scaled(STRING_FACTOR)).plus(args), None),
            "logical_or" | "logical_and" => {
                let (left, right) = (call.costs.first().copied().unwrap_or_default(), call.costs.get(1).copied().unwrap_or_default());
                (Range { min: left.min, max: left.plus(right).max }, None)
            }
            "conditional" => self.conditional(call),
            "add_string" | "add_bytes" | "add_list" => {
                let sum = size(0).plus(size(1));
                let parts = (call.args.first().and_then(|a| self.entries_of(a.expr?)), call.args.get(1).and_then(|a| self.entries_of(a.expr?)));
                if let Some(entries) = union(parts.0, parts.1) {
                    self.entries.insert(call.expr.id, entries);
                }
                let cost = if call.overload.id == "add_list" { Range::of(1) } else { sum.scaled(STRING_FACTOR) };
                (cost.plus(args), Some(sum))
            }
            "less_string" | "greater_string" | "less_equals_string" | "greater_equals_string" | "less_bytes" | "greater_bytes" | "less_equals_bytes" | "greater_equals_bytes" | "equals" | "not_equals" => {
                let max = size(0).max.min(size(1).max);
                (Range { min: u64::from(max > 0), max }.scaled(STRING_FACTOR).plus(args), None)
            }
            _ => (Range::of(1).plus(args), None),
        }
    }

    fn conditional(&mut self, call: &Call<'_, '_>) -> Estimated {
        let [condition, yes, no] = call.costs else { return (Range::of(1), None) };
        let size = |i: usize| call.args.get(i).and_then(|a| a.size).unwrap_or(Range::UNKNOWN);
        let parts = (call.args.get(1).and_then(|a| self.entries_of(a.expr?)), call.args.get(2).and_then(|a| self.entries_of(a.expr?)));
        if let Some(entries) = union(parts.0, parts.1) {
            self.entries.insert(call.expr.id, entries);
        }
        (condition.plus(yes.union(*no)), Some(size(1).union(size(2))))
    }
}

fn union(a: Option<Entries>, b: Option<Entries>) -> Option<Entries> {
    match (a, b) {
        (Some(a), Some(b)) => Some(Entries { list: a.list, keys: a.keys.union(b.keys), values: a.values.union(b.values) }),
        (a, b) => a.or(b),
    }
}

/// A literal integer, not negative; otherwise the default.
fn whole(node: &Seen<'_>, default: u64) -> u64 {
    match node.expr.map(|e| &e.kind) {
        Some(Kind::Const(Const::Int(i))) => u64::try_from(*i).unwrap_or(0),
        _ => default,
    }
}

/// A selector's text is parsed into requirements.
fn selector(length: Range) -> Range {
    let requirements = length.scaled(0.5).scaled(50.0);
    Range::of(10).plus(length.scaled(STRING_FACTOR)).plus(requirements)
}
