"""What the engine has to be allowed to do, and what of it a user is not."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from labsupport.engine.cluster.api.connect import Connection
from labsupport.errors import EngineError

__all__ = ["NEEDED", "USEFUL", "Right", "missing", "require"]


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that a user may do, as RBAC names it.

    Args:
        verb: such as ``create``.
        resource: plural, with its subresource as ``pods/exec``.
        group: API group; empty for the core.
        purpose: what the course does with it.
        everywhere: in the whole cluster, and not only in the learner's namespace.
    """

    verb: str
    resource: str
    group: str = ""
    purpose: str = ""
    everywhere: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}"


def _rights(verbs: str, resources: str, group: str, purpose: str) -> list[Right]:
    return [Right(verb, resource, group, purpose) for resource in resources.split() for verb in verbs.split()]


_CHANGE = "get list create patch delete"
NEEDED: tuple[Right, ...] = (
    *_rights(_CHANGE, "services configmaps", "", "applying manifests"),
    *_rights(_CHANGE, "deployments", "apps", "applying manifests"),
    *_rights(
        _CHANGE, "virtualservices destinationrules gateways serviceentries", "networking.istio.io", "applying rules"
    ),
    *_rights("get list delete", "pods", "", "seeing when pods are ready, and ending them"),
    *_rights("get", "pods/log", "", "access logs"),
    *_rights("get create patch delete", "pods/proxy", "", "telling the load client what to send"),
)
"""Without these there is no lab."""

USEFUL: tuple[Right, ...] = (
    *_rights("create get", "pods/exec", "", "asking proxies for their configuration and statistics"),
    *_rights("get list", "endpointslices", "discovery.k8s.io", "seeing which pods take traffic"),
    *_rights("create patch", "telemetries", "telemetry.istio.io", "switching access logs on"),
    *_rights("create patch", "envoyfilters", "networking.istio.io", "finding requests from outside in access logs"),
    *_rights("create patch", "serviceaccounts", "", "a gateway that serves TLS"),
    *_rights("create patch", "roles rolebindings", "rbac.authorization.k8s.io", "a gateway that serves TLS"),
    *_rights("get list create", "secrets", "", "a gateway that serves TLS"),
    *_rights(_CHANGE, "gateways httproutes", "gateway.networking.k8s.io", "applying rules of the Gateway API"),
    Right("list", "nodes", "", "finding the address of node ports", everywhere=True),
)
"""Without these something is left out, and says so."""

NAMESPACE = (Right("create", "namespaces", "", "making the learner's namespace", everywhere=True),)


def missing(connection: Connection, namespace: str, rights: Sequence[Right] = NEEDED) -> list[Right]:
    """Ask the cluster which of some rights this user does not have (``SelfSubjectAccessReview``).

    Args:
        connection: the cluster.
        namespace: the learner's namespace.
        rights: what to ask for.

    Raises:
        EngineLostError: the cluster does not answer.
    """

    def allowed(right: Right) -> bool:
        resource, _, subresource = right.resource.partition("/")
        asked = {"verb": right.verb, "resource": resource, "group": right.group}
        if subresource:
            asked["subresource"] = subresource
        if not right.everywhere:
            asked["namespace"] = namespace
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(connection.request("POST", path, body=body).body["status"]["allowed"])

    with ThreadPoolExecutor(8, thread_name_prefix="workshop-rights") as workers:
        answers = list(workers.map(allowed, rights))
    return [right for right, answer in zip(rights, answers, strict=True) if not answer]


def require(connection: Connection, namespace: str, *, create: bool) -> None:
    """Refuse to open a lab that could not work.

    Args:
        connection: the cluster.
        namespace: the learner's namespace.
        create: whether it has to be made.

    Raises:
        EngineError: rights are missing; names them all, and who can give them.
    """
    lacking = missing(connection, namespace, (*NEEDED, *(NAMESPACE if create else ())))
    if not lacking:
        return
    by_resource: dict[str, list[str]] = {}
    for right in lacking:
        name = right.resource + (f".{right.group}" if right.group else "")
        by_resource.setdefault(name, []).append(right.verb)
    listed = "; ".join(f"{', '.join(verbs)} {name}" for name, verbs in by_resource.items())
    hint = f" Or ask for a namespace {namespace!r} that is labelled as yours." if create else ""
    raise EngineError(
        f"you lack rights in namespace {namespace!r} of context {connection.context!r}: {listed}. Ask whoever runs the "
        f"cluster for them; a RoleBinding to the ClusterRole 'admin' together with Istio's kinds has them all.{hint}"
    )
