//! `.helmignore`: which files of a folder are no part of the chart.
// Upstream: helm pkg/ignore/rules.go.

use crate::glob;

/// The rules of one file, and the one that always holds: no dot files among templates.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    negated: bool,
    folders_only: bool,
    /// The whole path must match, not its last part.
    whole_path: bool,
}

impl Rules {
    pub fn parse(text: &str) -> Result<Rules, String> {
        let mut rules = Rules::default();
        for line in text.lines().chain(["templates/.?*"]) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains("**") {
                return Err("double-star (**) syntax is not supported".into());
            }
            if !glob::is_valid(line) {
                return Err("syntax error in pattern".into());
            }
            let (negated, line) = line.strip_prefix('!').map_or((false, line), |l| (true, l));
            let (folders_only, line) = line.strip_suffix('/').map_or((false, line), |l| (true, l));
            let whole_path = line.contains('/');
            let pattern = line.strip_prefix('/').unwrap_or(line).to_string();
            rules.rules.push(Rule { pattern, negated, folders_only, whole_path });
        }
        Ok(rules)
    }

    /// Whether a path (relative to the chart) is left out. The first rule that decides counts.
    pub fn ignores(&self, path: &str, is_folder: bool) -> bool {
        if matches!(path, "" | "." | "./") {
            return false;
        }
        let base = path.rsplit('/').next().unwrap_or(path);
        for rule in &self.rules {
            let fits = glob::matches(&rule.pattern, if rule.whole_path { path } else { base });
            if rule.negated {
                if rule.folders_only && !is_folder || !fits {
                    return true;
                }
            } else if fits && (!rule.folders_only || is_folder) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;

    #[test]
    fn rules_decide_in_order() {
        let rules = Rules::parse("# c\n*.txt\n/top\ndir/\nsub/*.md\n").expect("rules");
        for (path, folder, expected) in [
            ("a.txt", false, true), ("x/a.txt", false, true), ("top", false, true), ("x/top", false, false), ("dir", true, true), ("dir", false, false),
            ("sub/a.md", false, true), ("x/sub/a.md", false, false), ("templates/.hidden", false, true), ("templates/a.yaml", false, false),
        ] {
            assert_eq!(rules.ignores(path, folder), expected, "{path}");
        }
        assert!(Rules::parse("a/**").is_err());
    }
}
