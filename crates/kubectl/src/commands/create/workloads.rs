//! `create deployment`, `create job`, `create cronjob`.
// Upstream: kubectl pkg/cmd/create/create_deployment.go, create_job.go, create_cronjob.go.

use serde_json::{Value, json};

use super::{COMMON, command_words, finish_as, name, object};
use crate::call::Call;
use crate::command::{Command, EMPTY};
use crate::failure::{Outcome, fail};
use crate::flags::{int, slice, text};
use crate::select::Select;
use crate::{global, run};

pub const DEPLOYMENT: Command = Command {
    name: "deployment",
    aliases: &["deploy", "dep"],
    usage: "NAME --image=image -- [COMMAND] [args...]",
    about: "Create a deployment of the given name.",
    examples: "kubectl create deployment my-dep --image=nginx --replicas=3",
    flags: &[&[slice("image", "Images of the containers."), int("port", "-1", "The port that the containers listen on."), int("replicas", "1", "How many pods.").short('r')], COMMON, global::PRINT],
    required: &["image"],
    run: run!(deployment),
    ..EMPTY
};

/// `registry/team/app:1.2@sha256:...` is called `app`.
pub fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let base = last.split([':', '@']).next().unwrap_or(last);
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if base.chars().all(is_plain) {
        return base.to_owned();
    }
    let clean: String = base.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    format!("{clean}-{}", random(5))
}

/// Letters and digits that spell no words, as generated names have.
pub fn random(len: usize) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..len).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect()
}

async fn deployment(call: &Call) -> Outcome {
    let name = name(call)?;
    let (images, words, port) = (call.flags.list("image"), command_words(call), call.flags.int("port"));
    if images.len() > 1 && !words.is_empty() {
        return fail("cannot specify multiple --image options and command");
    }
    if port == 0 || port > 65_535 {
        return fail("invalid port, must be between 1 and 65535");
    }
    let container = |image: &String| {
        let mut container = json!({"image": image, "name": container_name(image), "resources": {}});
        if !words.is_empty() {
            container["command"] = json!(words);
        }
        container
    };
    let mut containers: Vec<Value> = images.iter().map(container).collect();
    if port > 0 {
        containers[0]["ports"] = json!([{"containerPort": port}]);
    }
    let mut made = object("apps/v1", "Deployment", &name);
    let labels = json!({"app": name});
    made["metadata"]["labels"] = labels.clone();
    made["spec"] = json!({
        "replicas": call.flags.int("replicas"),
        "selector": {"matchLabels": labels},
        "strategy": {},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    });
    made["status"] = json!({});
    finish_as(call, "/apis/apps/v1/namespaces/{}/deployments", made, "failed to create deployment").await
}

pub const JOB: Command = Command {
    name: "job",
    usage: "NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]",
    about: "Create a job of the given name.",
    examples: "kubectl create job my-job --image=busybox -- date\n\n# From a cron job\nkubectl create job test-job --from=cronjob/a-cronjob",
    flags: &[&[text("image", "", "Image to run."), text("from", "", "The resource to make the job of; only cronjob.")], COMMON, global::PRINT],
    run: run!(job),
    ..EMPTY
};

fn pod(call: &Call, name: &str, restart: &str) -> Value {
    let mut container = json!({"image": call.flags.text("image"), "name": name, "resources": {}});
    let words = command_words(call);
    if !words.is_empty() {
        container["command"] = json!(words);
    }
    json!({"metadata": {}, "spec": {"containers": [container], "restartPolicy": restart}})
}

async fn job(call: &Call) -> Outcome {
    let name = name(call)?;
    let (image, from) = (call.flags.text("image"), call.flags.text("from"));
    if image.is_empty() == from.is_empty() {
        return fail("either --image or --from must be specified");
    }
    if !from.is_empty() && !command_words(call).is_empty() {
        return fail("cannot specify --from and command");
    }
    let mut made = object("batch/v1", "Job", &name);
    if image.is_empty() {
        let infos = Select::of(call)?.latest().by(call, &[from.to_owned()]).await?.all()?;
        let [info] = &infos[..] else { return fail("from must be an existing cronjob") };
        if info.resource.kind != "CronJob" {
            return fail("from must be an existing cronjob: unknown object type *v1.".to_owned() + &info.resource.kind);
        }
        let template = &info.object["spec"]["jobTemplate"];
        let mut annotations = json!({"cronjob.kubernetes.io/instantiate": "manual"});
        for (key, value) in template["metadata"]["annotations"].as_object().into_iter().flatten() {
            annotations[key] = value.clone();
        }
        made["metadata"]["annotations"] = annotations;
        if template["metadata"]["labels"].is_object() {
            made["metadata"]["labels"] = template["metadata"]["labels"].clone();
        }
        made["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": info.name, "uid": api::meta::uid(&info.object), "controller": true}]);
        made["spec"] = template["spec"].clone();
    } else {
        made["spec"] = json!({"template": pod(call, &name, "Never")});
    }
    made["status"] = json!({});
    finish_as(call, "/apis/batch/v1/namespaces/{}/jobs", made, "failed to create job").await
}

pub const CRONJOB: Command = Command {
    name: "cronjob",
    aliases: &["cj"],
    usage: "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]",
    about: "Create a cron job of the given name.",
    examples: "kubectl create cronjob my-job --image=busybox --schedule=\"*/1 * * * *\" -- date",
    flags: &[&[text("image", "", "Image to run."), text("schedule", "", "When to run, in cron's form."), text("restart", "", "The pods' restart policy: OnFailure or Never.")], COMMON, global::PRINT],
    required: &["image", "schedule"],
    run: run!(cronjob),
    ..EMPTY
};

async fn cronjob(call: &Call) -> Outcome {
    let name = name(call)?;
    let restart = match call.flags.text("restart") {
        "" => "OnFailure",
        given => given,
    };
    let mut made = object("batch/v1", "CronJob", &name);
    made["spec"] = json!({"jobTemplate": {"metadata": {"name": name}, "spec": {"template": pod(call, &name, restart)}}, "schedule": call.flags.text("schedule")});
    made["status"] = json!({});
    finish_as(call, "/apis/batch/v1/namespaces/{}/cronjobs", made, "failed to create cronjob").await
}
