"""A small operator on kopf: argv-free, it reacts to `KopfExample`s: makes a ConfigMap of each, writes status, says events, cleans up."""

import kopf
import kubernetes

GROUP = ("kopf.knarr.example", "v1", "examples")


@kopf.on.startup()
def settings(settings, **_):
    settings.posting.enabled = True
    settings.persistence.finalizer = "kopf.knarr.example/finalizer"


@kopf.on.create(*GROUP)
def created(spec, name, namespace, body, patch, **_):
    child = {"metadata": {"name": f"{name}-child"}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child, owner=body)
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, child)
    kopf.info(body, reason="Made", message=f"child of size {spec['size']}")
    patch.status["size"] = spec["size"]


@kopf.on.update(*GROUP, field="spec.size")
def resized(old, new, name, namespace, body, patch, **_):
    kubernetes.client.CoreV1Api().patch_namespaced_config_map(f"{name}-child", namespace, {"data": {"size": str(new)}})
    kopf.info(body, reason="Resized", message=f"{old} to {new}")
    patch.status["size"] = new


@kopf.on.delete(*GROUP)
def deleted(name, namespace, **_):
    record = {"metadata": {"name": f"{name}-was-deleted"}}
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, record)
