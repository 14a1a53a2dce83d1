//! How long rendering takes: a chart of 10,000 lines, and one of 300 templates that include each other's definitions.

use std::hint::black_box;

use charts::render::{ReleaseInfo, RenderInput};
use charts::{Chart, File, Metadata, render};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, Value, json};

const HELPERS: &str = r#"
{{- define "app.name" -}}{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- define "app.labels" -}}
app.kubernetes.io/name: {{ include "app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}
"#;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "app.name" . }}-NUMBER
  labels:
    {{- include "app.labels" . | nindent 4 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Values.replicaCount }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "app.labels" . | nindent 6 }}
  template:
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
          {{- range $key, $value := .Values.env }}
            - name: {{ $key | upper | replace "-" "_" }}
              value: {{ tpl $value $ | quote }}
          {{- end }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
"#;

fn file(name: &str, text: &str) -> File {
    File { name: name.into(), data: text.as_bytes().to_vec() }
}

fn chart(templates: Vec<File>) -> Chart {
    Chart { metadata: Metadata { name: "app".into(), version: "1.0.0".into(), app_version: "2.0".into(), ..Metadata::default() }, templates, ..Chart::default() }
}

fn values() -> Map<String, Value> {
    let values = json!({
        "replicaCount": 3.0,
        "autoscaling": {"enabled": false},
        "image": {"repository": "example.com/app", "tag": ""},
        "env": {"log-level": "info", "host": "{{ .Release.Name }}.example.com"},
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "nodeSelector": {"disk": "ssd"},
    });
    values.as_object().cloned().unwrap_or_default()
}

/// Deployments until the text has that many lines, in that many templates.
fn deployments(templates: usize, lines: usize) -> Chart {
    let each = DEPLOYMENT.lines().count() + 1;
    let count = lines.div_ceil(each * templates).max(1);
    let mut files = vec![file("templates/_helpers.tpl", HELPERS)];
    for template in 0..templates {
        let text: String = (0..count).map(|n| format!("---{}", DEPLOYMENT.replace("NUMBER", &format!("{template}-{n}")))).collect();
        files.push(file(&format!("templates/deployment-{template}.yaml"), &text));
    }
    chart(files)
}

fn bench(criterion: &mut Criterion) {
    let values = values();
    for (name, chart) in [("10,000 lines in 10 templates", deployments(10, 10_000)), ("300 templates", deployments(300, 300))] {
        criterion.bench_function(name, |b| {
            b.iter(|| render(black_box(&RenderInput::new(&chart, &values, ReleaseInfo { name: "rel".into(), ..ReleaseInfo::default() }))).map(|all| all.len()));
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
