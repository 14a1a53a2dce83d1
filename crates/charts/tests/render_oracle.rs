//! What the real Helm 4 engine made of templates: ours must make the same, to the byte, errors included.

use std::collections::BTreeMap;
use std::path::Path;

use charts::render::{Capabilities, KubeVersion, ReleaseInfo, RenderInput};
use charts::{Chart, File, Metadata, render};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    #[serde(default)]
    helpers: Option<String>,
    #[serde(default)]
    values: Map<String, Value>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    strict: bool,
    output: Option<String>,
    error: Option<String>,
}

fn chart(case: &Case) -> Chart {
    let mut templates = vec![File { name: "templates/t.yaml".into(), data: case.template.clone().into_bytes() }];
    if let Some(helpers) = &case.helpers {
        templates.push(File { name: "templates/_helpers.tpl".into(), data: helpers.clone().into_bytes() });
    }
    Chart {
        metadata: Metadata { name: "web".into(), version: "1.2.3".into(), app_version: "4.5".into(), api_version: "v2".into(), ..Metadata::default() },
        templates,
        files: case.files.iter().map(|(name, text)| File { name: name.clone(), data: text.clone().into_bytes() }).collect(),
        ..Chart::default()
    }
}

/// What the engine knew of a cluster when the cases were recorded: an earlier release with an earlier client.
fn recorded() -> Capabilities {
    let mut all = Capabilities { kube_version: KubeVersion { version: "v1.35.0".into(), major: "1".into(), minor: "35".into() }, helm_version: "v4.1".into(), ..Capabilities::default() };
    all.api_versions.extend(["autoscaling/v2beta1", "autoscaling/v2beta2", "rbac.authorization.k8s.io/v1alpha1"].map(str::to_owned));
    all
}

fn outcome(case: &Case) -> Result<String, String> {
    let chart = chart(case);
    let release = ReleaseInfo { name: "rel".into(), namespace: "prod".into(), revision: 1, is_install: true, is_upgrade: false };
    let input = RenderInput { strict: case.strict, capabilities: recorded(), ..RenderInput::new(&chart, &case.values, release) };
    render(&input).map(|mut all| all.remove("web/templates/t.yaml").unwrap_or_default()).map_err(|error| error.to_string())
}

#[test]
fn renders_as_the_real_engine_does() {
    let Ok(folder) = std::env::var("KNARR_ORACLE") else {
        eprintln!("skipped: KNARR_ORACLE names no folder of recorded cases");
        return;
    };
    let path = Path::new(&folder).join("helm/cases.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut passed, mut all) = (0, 0);
    let mut faults = String::new();
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let wanted = match (&case.output, &case.error) {
            (Some(output), _) => Ok(output.clone()),
            (None, error) => Err(error.clone().unwrap_or_default()),
        };
        let found = outcome(&case);
        all += 1;
        if found == wanted {
            passed += 1;
        } else {
            faults.push_str(&format!("\n{}\n  template {:?}\n  wanted   {wanted:?}\n  found    {found:?}\n", case.name, case.template));
        }
    }
    println!("helm templates: {passed} of {all}");
    assert!(passed == all, "helm templates: {passed} of {all}{faults}");
}
