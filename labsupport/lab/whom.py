"""Which pods a learner names: a pod, a Deployment, or a reference such as ``deploy/client.shop``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from labsupport.errors import UsageError
from labsupport.lab.refs import Named, as_ref
from labsupport.observe.tables import Pods
from labsupport.records import Pod, Ref

__all__ = ["Whom", "meant", "pods_named", "sender_named"]

Whom: TypeAlias = Named | Pod


def meant(given: Whom, *, namespace: str | None = None) -> Ref:
    """The pod or Deployment that is named; of a bare name, the Deployment.

    Args:
        given: a name, a reference, an object or a pod.
        namespace: where it is.

    Raises:
        UsageError: it names neither.
    """
    if isinstance(given, Pod):
        return Ref("Pod", given.name, given.namespace)
    ref = as_ref(given, namespace=namespace, default_kind="Deployment")
    if ref.kind not in ("Pod", "Deployment"):
        raise UsageError(f"{ref} has no pods of its own. Name a Deployment or a pod, such as 'deploy/client'.")
    return ref


def pods_named(pods: Pods, given: Whom, *, own: str, namespace: str | None = None) -> Pods:
    """The pods that are named, all of one namespace: of the lab's own where it has some of this name.

    Args:
        pods: all pods.
        given: a name of a pod or a Deployment, a reference, an object or a pod.
        own: the lab's own namespace.
        namespace: where they are.

    Raises:
        UsageError: it names neither a pod nor a Deployment.
    """
    bare = isinstance(given, str) and "/" not in given
    for ref in _readings(given, meant(given, namespace=namespace), namespace):
        within = [pod for pod in pods if ref.namespace in ("", pod.namespace)]
        within.sort(key=lambda pod: pod.namespace != own)
        itself = [pod for pod in within if pod.name == ref.name] if bare or ref.kind == "Pod" else []
        chosen = itself or [pod for pod in within if ref.kind == "Deployment" and pod.workload == ref.name]
        if chosen:
            return Pods(pod for pod in chosen if pod.namespace == chosen[0].namespace)
    return Pods()


def sender_named(pods: Pods, chosen: Pods) -> str:
    """What an engine calls a sender: its Deployment where all its pods are meant and the name is of one namespace.

    Else it is one of the pods.

    Args:
        pods: all pods.
        chosen: those that are meant.
    """
    name, namespace = chosen[0].workload, chosen[0].namespace
    namesakes = [pod for pod in pods if name in (pod.workload, pod.name) and pod.namespace != namespace]
    siblings = [pod for pod in pods if pod.workload == name and pod.namespace == namespace]
    return name if not namesakes and len(chosen) == len(siblings) else chosen[0].name


def _readings(given: Whom, ref: Ref, namespace: str | None) -> Iterator[Ref]:
    """What a text may mean: a dot may belong to a name, or part its namespace."""
    if isinstance(given, str) and namespace is None and ref.namespace:
        yield Ref(ref.kind, f"{ref.name}.{ref.namespace}")
    yield ref
