"""The objects of a lab in its namespace: read as people wrote them, tried, applied and deleted."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labsupport.controlplane.desired import Key, key_of
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import FIELD_MANAGER
from labsupport.engine.cluster.api.istio import GATEWAY_API
from labsupport.engine.cluster.objects.additions import PART_LABEL, added, taken_away
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.owned import written
from labsupport.engine.routestatus import shown_with
from labsupport.engine.warned import warnings
from labsupport.errors import EngineLostError, LabError, ManifestError, NotFoundError, Problem
from labsupport.model import CLUSTER_SCOPED, Origin, Resource, parse
from labsupport.model.kinds.gatewayapi.shared import GatewayApiResource
from labsupport.model.kinds.index import CALLED, class_of
from labsupport.model.reading.documents import Document
from labsupport.records import Ref

__all__ = ["ObjectStore", "Tried"]

# What controllers make of Deployments, and what is not in a namespace.
_MADE_BY_OTHERS = frozenset({*CLUSTER_SCOPED, "Pod", "ReplicaSet"})
_KINDS = tuple(kind for kind in CALLED if kind not in _MADE_BY_OTHERS)
# Present in every namespace.
_OF_THE_CLUSTER = frozenset(
    {
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
        ("ConfigMap", "istio-ca-crl"),
        ("ServiceAccount", "default"),
    }
)
# Who is needed comes first: a route must not be known before the subset that it names.
_ORDER = (
    *(
        "ServiceAccount",
        "ConfigMap",
        "Secret",
        "Service",
        "ServiceEntry",
        "WorkloadEntry",
        "WorkloadGroup",
        "ProxyConfig",
    ),
    *("Telemetry", "EnvoyFilter", "Deployment", "StatefulSet", "DaemonSet", "DestinationRule", "Sidecar"),
)
_TAKEN_PORT = re.compile(r"provided port is already allocated")
_PORT_FIELD = re.compile(r"spec\.ports\[(\d+)\]\.nodePort")


@dataclass(frozen=True, slots=True)
class Tried:
    """What the API server said to a set of objects.

    Args:
        bodies: the objects to send, in the order given.
        warnings: of admission, by the object.
    """

    bodies: tuple[dict[str, Any], ...] = ()
    warnings: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)

    def told(self, objects: Sequence[Resource]) -> tuple[str, ...]:
        """Admission warnings: the cluster's own of what it warned of, else istiod's as we know them.

        Args:
            objects: all objects that were given, also those that were not sent because they are there already.
        """
        told: dict[str, None] = {}
        for (kind, _, name), texts in self.warnings.items():
            told |= {f"{kind}/{name}: {text}": None for text in texts}
        said = {(kind, name) for (kind, _, name), texts in self.warnings.items() if texts}
        unsaid = [resource for resource in objects if (resource.called, resource.name) not in said]
        return tuple(told | dict.fromkeys(warnings(unsaid)))


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


class ObjectStore:
    """Reads and writes the objects of one namespace.

    Args:
        api: the cluster.
        images: where images come from.
    """

    def __init__(self, api: Api, images: Images) -> None:
        self._api = api
        self._images = images
        self._lock = threading.Lock()
        # What this lab wrote, and what that looked like on the server: as long as it still does, an object is shown
        # as it was written, with its file and lines.
        self._known: dict[Key, tuple[Resource, dict[str, Any]]] = {}

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self) -> tuple[Resource, ...]:
        """All objects that people put into the namespace, oldest first."""
        return tuple(resource for resource, _ in self._read())

    def shown(self) -> tuple[Resource, ...]:
        """The same; routes and Gateways of the Gateway API have the status that istiod wrote."""
        return tuple(_with_status(resource, status) for resource, status in self._read())

    def _read(self) -> list[tuple[Resource, dict[str, Any]]]:
        dated: list[tuple[str, str, Resource, dict[str, Any]]] = []
        with self._lock:
            for live in self._live():
                resource = self._shown(live)
                if resource is not None:
                    created = str(live["metadata"].get("creationTimestamp") or "")
                    dated.append((created, resource.name, resource, live.get("status") or {}))
        # The server's clock counts seconds; of what one second has made, istiod takes what comes first by name.
        return [entry[2:] for entry in sorted(dated, key=lambda entry: entry[:2])]

    def find(self, ref: Ref) -> Resource:
        """An object of the lab; ``NotFoundError`` if it is not there."""
        resources = self.read()
        for resource in resources:
            if (resource.called, resource.name) == (ref.kind, ref.name):
                return resource
        there = ", ".join(resource.name for resource in resources if resource.called == ref.kind)
        raise NotFoundError(f"{ref} does not exist. There are: {there or f'no {ref.kind} at all'}")

    def _live(self) -> list[dict[str, Any]]:
        return [body for body in self._api.all_items(_KINDS) if not _of_the_cluster(body)]

    def _shown(self, live: dict[str, Any]) -> Resource | None:
        seen = taken_away(written(live), self._images)
        metadata = live["metadata"]
        known = self._known.get((_called(live), metadata.get("namespace", ""), metadata["name"]))
        if known is not None and known[1] == seen:
            return known[0]
        origin = Origin(file=f"{live['kind']} in namespace {self._api.namespace}")
        try:
            return parse([Document(seen, origin)], namespace=self._api.namespace)[0]
        except ManifestError:
            # Written by another program, in a way that the course's model does not know.
            return known[0] if known is not None else None

    # --- writing -----------------------------------------------------------------------------------------------

    def dry_run(self, resources: Sequence[Resource]) -> Tried:
        """Ask the API server and its webhooks what they say to a set of objects; nothing is changed.

        Raises:
            ManifestError: at least one is refused, with the server's text.
        """
        tried = self._api.map(self._try, resources)
        problems = [problem for _, _, refusals in tried for problem in refusals]
        if problems:
            raise ManifestError(problems)
        warnings = {key_of(resource): tuple(said) for resource, (_, said, _) in zip(resources, tried, strict=True)}
        return Tried(tuple(body for body, _, _ in tried), warnings)

    def _try(self, resource: Resource) -> tuple[dict[str, Any], list[str], list[Problem]]:
        body = self._added(resource)
        try:
            sent, _, warnings = self._send_what_is_free(resource, body, dry=True)
        except ApiError as error:
            problems = _problems(resource, error)
            if not problems:
                raise
            return body, [], problems
        return sent, warnings, []

    def apply(
        self, resources: Sequence[Resource], bodies: Sequence[dict[str, Any]], *, before: Sequence[Resource]
    ) -> list[str]:
        """Apply objects that were tried; if one fails all the same, those before it are put back.

        Args:
            resources: the objects.
            bodies: what to send for each, as ``dry_run`` gave it.
            before: all objects of the lab as they were.

        Returns:
            notes: the node ports that were given in place of those in use.

        Raises:
            ManifestError: the server refuses one now.
        """
        notes: list[str] = []
        done: list[Resource] = []
        pairs = sorted(zip(resources, bodies, strict=True), key=lambda pair: _rank(pair[0].kind))
        for resource, body in pairs:
            try:
                # Somebody else may have taken a node port since the dry run.
                sent, live, _ = self._send_what_is_free(resource, body)
            except ApiError as error:
                self.put_back(done, before)
                problems = _problems(resource, error)
                if problems:
                    raise ManifestError(problems) from None
                raise
            done.append(resource)
            self._note(resource, live)
            notes += _given_ports(resource, sent, live)
        return notes

    def put_back(self, changed: Sequence[Resource], before: Sequence[Resource]) -> None:
        """Undo a change as far as the cluster lets us.

        Args:
            changed: what was applied.
            before: all objects of the lab as they were.
        """
        former = {key_of(resource): resource for resource in before}
        for resource in reversed(changed):
            old = former.get(key_of(resource))
            # The error that made this necessary is the one to tell.
            with contextlib.suppress(LabError):
                if old is None:
                    self.delete([resource.ref])
                else:
                    _, live, _ = self._send_what_is_free(old, self._added(old))
                    self._note(old, live)

    def _added(self, resource: Resource) -> dict[str, Any]:
        return added(_raw(resource), self._api.namespace, self._images, self._api.connection.version())

    def _note(self, resource: Resource, live: dict[str, Any]) -> None:
        with self._lock:
            self._known[key_of(resource)] = (resource, taken_away(written(live), self._images))

    def _send_what_is_free(
        self, resource: Resource, body: dict[str, Any], *, dry: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """Send an object without the node ports that are in use elsewhere: what was sent, what is there, warnings."""
        while True:
            try:
                return body, *self._send(resource, body, dry=dry)
            except ApiError as error:
                freed = _without_taken_ports(body, error)
                if freed is None:
                    raise
                body = freed

    def _send(self, resource: Resource, body: dict[str, Any], *, dry: bool = False) -> tuple[dict[str, Any], list[str]]:
        path = self._api.path(body["apiVersion"], resource.kind, resource.name)
        if not path:
            self._api.look_again(body["apiVersion"])
            path = self._api.path(body["apiVersion"], resource.kind, resource.name)
        if not path:
            text = f"the cluster does not know {resource.kind} in {body['apiVersion']}"
            raise ApiError(text, status=404, reason="UnknownKind", server_text=text)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        if dry:
            query["dryRun"] = "All"
        reply = self._api.connection.request(
            "PATCH", path, query=query, body=json.dumps(body), content_type="application/apply-patch+yaml"
        )
        return reply.body, list(reply.warnings)

    def delete(self, refs: Iterable[Ref], *, grace_s: int | None = None) -> list[Ref]:
        """Delete objects, users of others first; what is gone already counts as deleted.

        Args:
            refs: the objects.
            grace_s: how long their pods may take to end, in seconds; their own time by default.
        """
        refs = list(refs)
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        for rank in sorted({_rank(ref.kind) for ref in refs}, reverse=True):
            self._api.map(lambda ref: self._delete(ref, body), [ref for ref in refs if _rank(ref.kind) == rank])
        with self._lock:
            for ref in refs:
                self._known.pop((ref.kind, ref.namespace or self._api.namespace, ref.name), None)
        return refs

    def _delete(self, ref: Ref, body: dict[str, Any]) -> None:
        path = self._api.path_of(ref.kind, ref.name)
        try:
            self._api.connection.request("DELETE", path, body=body)
        except ApiError as error:
            if not error.missing:
                raise

    def leftovers(self) -> list[Ref]:
        """Everything that a reset removes: all that is not the cluster's own, nor the engine's."""
        return [
            Ref(_called(body), body["metadata"]["name"], self._api.namespace)
            for body in self._live()
            if not body["metadata"].get("deletionTimestamp")
        ]

    def forget(self) -> None:
        """Forget what was written, when all of it was deleted."""
        with self._lock:
            self._known.clear()


def _raw(resource: Resource) -> dict[str, Any]:
    return copy.deepcopy(resource.raw) or resource.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _called(live: dict[str, Any]) -> str:
    """What the lab calls the kind of a live object."""
    known = class_of(live)
    return known.CALLED or known.KIND if known is not None else str(live["kind"])


def _with_status(resource: Resource, status: dict[str, Any]) -> Resource:
    if not status or not isinstance(resource, GatewayApiResource):
        return resource
    return shown_with(resource, status)


def _of_the_cluster(live: dict[str, Any]) -> bool:
    metadata = live["metadata"]
    return (
        (live["kind"], metadata["name"]) in _OF_THE_CLUSTER
        or PART_LABEL in (metadata.get("labels") or {})
        or bool(metadata.get("ownerReferences"))
        or live.get("type") in ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")
    )


def _without_taken_ports(body: dict[str, Any], error: ApiError) -> dict[str, Any] | None:
    """The same Service without the node ports that are in use elsewhere; None if that is not the matter."""
    if body["kind"] != "Service":
        return None
    taken = {
        int(match[1])
        for path, message in error.causes
        if (match := _PORT_FIELD.fullmatch(path)) and _TAKEN_PORT.search(message)
    }
    ports = body["spec"].get("ports") or []
    taken = {index for index in taken if index < len(ports) and ports[index].get("nodePort")}
    if not taken:
        return None
    made = copy.deepcopy(body)
    for index in taken:
        del made["spec"]["ports"][index]["nodePort"]
    return made


def _given_ports(resource: Resource, body: dict[str, Any], live: dict[str, Any]) -> list[str]:
    if resource.kind != "Service":
        return []
    wanted = (_raw(resource).get("spec") or {}).get("ports") or []
    sent = body["spec"].get("ports") or []
    given = {(port["port"], port.get("protocol", "TCP")): port.get("nodePort") for port in live["spec"]["ports"]}
    return [
        f"Service/{resource.name}: node port {before['nodePort']} is in use by another namespace, "
        f"so it got {given.get((after['port'], after.get('protocol', 'TCP')))}"
        for before, after in zip(wanted, sent, strict=True)
        if before.get("nodePort") and not after.get("nodePort")
    ]


def _unknown_kind(resource: Resource) -> str:
    if isinstance(resource, GatewayApiResource):
        return GATEWAY_API
    return "Apply the rest without it, or use a newer Istio."


def _problems(resource: Resource, error: ApiError) -> list[Problem]:
    """A refusal as problems with file and line; none if it is not about this object."""
    if error.reason == "NotFound" and "namespaces" in error.server_text:
        raise EngineLostError(f"{error.server_text}. Open a new lab with Lab()") from None
    refused = error.status in (400, 413, 422) or error.reason == "UnknownKind"
    # A missing right is the matter of whoever runs the cluster; a quota or a policy is about this object.
    refused = refused or (error.forbidden and " cannot " not in error.server_text)
    if not refused:
        return []
    origin, label = resource.origin, f"{resource.kind}/{resource.name}"
    causes = [(path, message) for path, message in error.causes if path] or [("", error.server_text)]
    problems = []
    for path, message in causes:
        remedy = _unknown_kind(resource) if error.reason == "UnknownKind" else ""
        problems.append(Problem(message, origin.file, origin.document, origin.line_of(path), label, path, remedy))
    return problems
