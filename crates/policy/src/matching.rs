//! Whether a webhook or a policy is about a request: rules, namespaces, labels.
//!
//! Upstream: apiserver `pkg/admission/plugin/webhook/predicates` and `pkg/admission/plugin/policy/matching`.

use api::meta;
use api::selector::LabelSelector;
use catalog::walk;
use serde_json::Value;

/// What is done to what, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    /// A namespace's own name where the request is about a namespace.
    pub namespace: String,
    pub name: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: &'static str,
}

impl Subject {
    fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.resource == "namespaces"
    }
}

/// Operations on resources.
#[derive(Debug, Clone)]
pub struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<(String, String)>,
    scope: String,
    names: Vec<String>,
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    walk::list(value, key).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn one_of(items: &[String], wanted: &str) -> bool {
    items.iter().any(|i| i == "*" || i == wanted)
}

impl Rule {
    pub fn of(rule: &Value) -> Self {
        let split = |text: String| text.split_once('/').map_or((text.clone(), String::new()), |(r, s)| (r.to_owned(), s.to_owned()));
        Self {
            operations: texts(rule, "operations"),
            groups: texts(rule, "apiGroups"),
            versions: texts(rule, "apiVersions"),
            resources: texts(rule, "resources").into_iter().map(split).collect(),
            scope: walk::text(rule, "scope").to_owned(),
            names: texts(rule, "resourceNames"),
        }
    }

    /// Whether a request is one of the rule's, as if it were for `version` of `group`'s `resource`.
    pub fn matches(&self, subject: &Subject, group: &str, version: &str, resource: &str) -> bool {
        let fits = |wanted: &str, actual: &str| wanted == "*" || wanted == actual;
        let cluster_wide = subject.is_namespace() || subject.namespace.is_empty();
        let in_scope = match self.scope.as_str() {
            "Namespaced" => !cluster_wide,
            "Cluster" => cluster_wide,
            _ => true,
        };
        in_scope
            && one_of(&self.operations, subject.operation)
            && one_of(&self.groups, group)
            && one_of(&self.versions, version)
            && self.resources.iter().any(|(r, s)| fits(r, resource) && fits(s, &subject.subresource))
            && (self.names.is_empty() || self.names.contains(&subject.name))
    }

    /// Upstream: in policies a rule for all versions and no other word says which version objects come in.
    pub fn is_about(&self, group: &str, resource: &str) -> bool {
        one_of(&self.groups, group) && self.resources.iter().any(|(r, _)| r == "*" || r == resource)
    }
}

/// All conditions under which something is about a request, but those in CEL.
#[derive(Debug, Clone)]
pub struct Matcher {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    /// Whether other versions and groups of the same stored objects count.
    equivalent: bool,
    namespaces: LabelSelector,
    objects: LabelSelector,
    /// What is wrong with a selector: told once something else matches.
    fault: Option<String>,
}

/// A resource in one version, as a rule may name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub group: String,
    pub version: String,
    pub resource: String,
}

/// What selectors look at.
pub struct Facts<'a> {
    pub object: Option<&'a Value>,
    pub old: Option<&'a Value>,
    /// The namespace of the request, none where it does not exist.
    pub namespace: Option<&'a Value>,
}

/// What a matcher makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    No,
    /// In this form of the resource.
    Yes(Form),
    /// It would, were its namespace there.
    NoNamespace,
    Fault(String),
}

impl Matcher {
    /// Reads a webhook (`rules`) or match resources of a policy (`resourceRules`, `excludeResourceRules`).
    pub fn of(value: &Value) -> Self {
        let rules = |key: &str| walk::list(value, key).iter().map(Rule::of).collect::<Vec<_>>();
        let mut fault = None;
        let mut selector = |key: &str| {
            LabelSelector::from_value(&value[key]).unwrap_or_else(|why| {
                fault = Some(why);
                LabelSelector::default()
            })
        };
        let (namespaces, objects) = (selector("namespaceSelector"), selector("objectSelector"));
        let mut all = rules("rules");
        all.extend(rules("resourceRules"));
        Self { rules: all, excluded: rules("excludeResourceRules"), equivalent: walk::text(value, "matchPolicy") != "Exact", namespaces, objects, fault }
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// `equivalents` are all forms of the stored objects, that of the request among them. Without rules (a binding's
    /// match resources) every request is in them.
    pub fn decide(&self, subject: &Subject, equivalents: &[Form], facts: &Facts<'_>, all_without_rules: bool) -> Match {
        let in_namespace = self.selects_namespace(subject, facts);
        if in_namespace == Some(false) || !self.selects_object(facts) {
            return Match::No;
        }
        let own = Form { group: subject.group.clone(), version: subject.version.clone(), resource: subject.resource.clone() };
        if self.form(&self.excluded, subject, &own, equivalents).is_some() {
            return Match::No;
        }
        let found = if self.rules.is_empty() && all_without_rules { Some(own) } else { self.form(&self.rules, subject, &own, equivalents) };
        match (found, &self.fault, in_namespace) {
            (None, ..) => Match::No,
            (Some(_), Some(fault), _) => Match::Fault(fault.clone()),
            (Some(_), None, None) => Match::NoNamespace,
            (Some(form), None, Some(_)) => Match::Yes(form),
        }
    }

    fn form(&self, rules: &[Rule], subject: &Subject, own: &Form, equivalents: &[Form]) -> Option<Form> {
        if rules.iter().any(|r| r.matches(subject, &own.group, &own.version, &own.resource)) {
            return Some(own.clone());
        }
        if !self.equivalent {
            return None;
        }
        // Upstream: of several rules the first decides in which form the object is sent.
        let others = || equivalents.iter().filter(|form| *form != own);
        rules.iter().find_map(|r| others().find(|form| r.matches(subject, &form.group, &form.version, &form.resource))).cloned()
    }

    /// None where the namespace that decides is not there.
    fn selects_namespace(&self, subject: &Subject, facts: &Facts<'_>) -> Option<bool> {
        if (subject.namespace.is_empty() && subject.resource != "namespaces") || self.namespaces.is_everything() {
            return Some(true);
        }
        // Upstream: a namespace that is written is judged by what it becomes.
        let written = subject.is_namespace() && subject.subresource.is_empty() && matches!(subject.operation, "CREATE" | "UPDATE");
        let namespace = if written { facts.object } else { facts.namespace };
        namespace.map(|n| self.namespaces.matches(|key| meta::label(n, key)))
    }

    fn selects_object(&self, facts: &Facts<'_>) -> bool {
        self.objects.is_everything() || [facts.object, facts.old].into_iter().flatten().any(|o| self.objects.matches(|key| meta::label(o, key)))
    }
}

/// What configures admission is never itself sent there: a broken configuration could not be mended.
pub fn is_exempt(group: &str, kind: &str) -> bool {
    let kinds = [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    ];
    group == "admissionregistration.k8s.io" && kinds.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(text: &str) -> Form {
        let parts: Vec<&str> = text.split(' ').collect();
        Form { group: parts[0].trim_matches('-').into(), version: parts[1].into(), resource: parts[2].into() }
    }

    /// A case: the webhook or match resources, the request (`operation group version resource[/sub] [namespace [name]]`, `-`
    /// for the core group), other forms, and the labels of object, old object and namespace.
    #[test]
    fn cases() {
        casefile::run("cases/matching", |given| {
            let given: Value = serde_json::from_str(given).unwrap();
            let matcher = Matcher::of(&given["matcher"]);
            let mut told = String::new();
            for request in walk::list(&given, "requests") {
                let parts: Vec<&str> = request.as_str().unwrap().split(' ').collect();
                let (resource, subresource) = parts[3].split_once('/').unwrap_or((parts[3], ""));
                let operation = ["CREATE", "UPDATE", "DELETE", "CONNECT"].into_iter().find(|o| *o == parts[0]).unwrap();
                let at = |i: usize| parts.get(i).copied().unwrap_or_default().to_owned();
                let subject = Subject {
                    group: parts[1].trim_matches('-').into(), version: parts[2].into(), resource: resource.into(), subresource: subresource.into(), namespace: at(4), name: at(5), operation,
                };
                let equivalents: Vec<Form> = texts(&given, "equivalents").iter().map(|t| form(t)).collect();
                let labelled = |key: &str| given.get(key).filter(|l| l.is_object()).map(|labels| json!({"metadata": {"labels": labels}}));
                let (object, old, namespace) = (labelled("object"), labelled("old"), labelled("namespace"));
                let facts = Facts { object: object.as_ref(), old: old.as_ref(), namespace: namespace.as_ref() };
                told.push_str(&format!("{}: {:?}\n", request.as_str().unwrap(), matcher.decide(&subject, &equivalents, &facts, false)));
            }
            told
        });
    }

    #[test]
    fn configurations_are_exempt() {
        assert!(is_exempt("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding") && !is_exempt("", "Pod"));
    }
}
