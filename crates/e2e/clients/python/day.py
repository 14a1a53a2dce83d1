"""A day's work with the official Python client, unmodified: argv is a namespace and an image that sleeps."""

import sys

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

NAMESPACE, IMAGE = sys.argv[1:3]
LABELS = {"app": "python-day"}


def container():
    return client.V1Container(name="main", image=IMAGE, image_pull_policy="Never", command=["/bin/sh", "-c", "echo awake; trap 'exit 0' TERM; sleep 100000 & wait"])


def deployments(apps):
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=LABELS), spec=client.V1PodSpec(containers=[container()]))
    spec = client.V1DeploymentSpec(replicas=1, selector=client.V1LabelSelector(match_labels=LABELS), template=template)
    made = apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(metadata=client.V1ObjectMeta(name="day", labels=LABELS), spec=spec))
    assert made.metadata.uid and made.spec.strategy.type == "RollingUpdate", made
    watcher = watch.Watch()
    for event in watcher.stream(apps.list_namespaced_deployment, NAMESPACE, label_selector="app=python-day", resource_version=made.metadata.resource_version, timeout_seconds=60):
        if event["object"].status.ready_replicas == 1:
            watcher.stop()
    assert apps.read_namespaced_deployment("day", NAMESPACE).status.available_replicas == 1
    patched = apps.patch_namespaced_deployment("day", NAMESPACE, {"metadata": {"annotations": {"day": "monday"}}})
    assert patched.metadata.annotations["day"] == "monday"
    scale = apps.patch_namespaced_deployment_scale("day", NAMESPACE, {"spec": {"replicas": 1}})
    assert scale.spec.replicas == 1 and scale.status.selector == "app=python-day", scale
    try:
        apps.create_namespaced_deployment(NAMESPACE, made)
        raise AssertionError("an object with a resourceVersion was created")
    except ApiException as refused:
        assert refused.status == 400 and "resourceVersion should not be set" in refused.body, refused


def pods(core):
    pod = core.list_namespaced_pod(NAMESPACE, label_selector="app=python-day", field_selector="status.phase=Running").items[0].metadata.name
    said = stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE, command=["/bin/sh", "-c", "echo out; echo err >&2"], stderr=True, stdin=False, stdout=True, tty=False)
    assert sorted(said.split()) == ["err", "out"], said
    session = stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE, command=["/bin/sh", "-c", "read line; echo got $line; exit 3"], stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
    session.write_stdin("hello\n")
    session.run_forever(timeout=30)
    assert session.read_stdout() == "got hello\n" and session.returncode == 3, session.returncode
    assert core.read_namespaced_pod_log(pod, NAMESPACE) == "awake\n"
    assert core.read_namespaced_pod_log(pod, NAMESPACE, timestamps=True, tail_lines=1).endswith("Z awake\n")


def config_maps(core):
    for number in range(7):
        core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"page-{number}", labels={"page": "yes"}), data={"n": str(number)}))
    names, token, pages = [], None, 0
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="page=yes", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token, pages = page.metadata._continue, pages + 1
        if not token:
            break
    assert pages == 3 and names == [f"page-{n}" for n in range(7)], (pages, names)
    first = core.read_namespaced_config_map("page-0", NAMESPACE)
    first.data["n"] = "changed"
    core.replace_namespaced_config_map("page-0", NAMESPACE, first)
    try:
        core.replace_namespaced_config_map("page-0", NAMESPACE, first)
        raise AssertionError("a stale object was written")
    except ApiException as conflict:
        assert conflict.status == 409 and "the object has been modified" in conflict.body, conflict
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page=yes")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="page=yes").items == []


def watch_resumes(core):
    """Old events are dropped once there is too much of them; a watch from then is told so, and a list brings it back."""
    made = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="large")))
    for number in range(24):
        made_later = core.patch_namespaced_config_map("large", NAMESPACE, {"data": {"text": str(number % 10) * 900_000}})
    try:
        for _ in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version=made.metadata.resource_version, timeout_seconds=30):
            pass
        raise AssertionError("a watch from a revision that is gone went on")
    except ApiException as gone:
        assert gone.status == 410 and "too old resource version" in str(gone.reason), gone
    listed = core.list_namespaced_config_map(NAMESPACE)
    assert int(listed.metadata.resource_version) >= int(made_later.metadata.resource_version)
    core.delete_namespaced_config_map("large", NAMESPACE)
    watcher = watch.Watch()
    kinds = []
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, field_selector="metadata.name=large", resource_version=listed.metadata.resource_version, timeout_seconds=30):
        kinds.append(event["type"])
        watcher.stop()
    assert kinds == ["DELETED"], kinds


def applies(api):
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
    maps.server_side_apply(body=body, namespace=NAMESPACE, field_manager="first")
    other = dict(body, data={"a": "2"})
    try:
        maps.server_side_apply(body=other, namespace=NAMESPACE, field_manager="second")
        raise AssertionError("a field of another's was taken")
    except ApiException as conflict:
        assert conflict.status == 409, conflict
    taken = maps.server_side_apply(body=other, namespace=NAMESPACE, field_manager="second", force_conflicts=True)
    assert taken.data.a == "2"
    managers = {entry.manager: entry.operation for entry in maps.get(name="applied", namespace=NAMESPACE).metadata.managedFields}
    assert managers.get("second") == "Apply", managers


def main():
    config.load_kube_config()
    api = client.ApiClient()
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    assert client.VersionApi(api).get_code().major == "1"
    deployments(apps)
    pods(core)
    config_maps(core)
    watch_resumes(core)
    applies(api)
    apps.delete_namespaced_deployment("day", NAMESPACE, propagation_policy="Foreground")
    print("python: done")


main()
