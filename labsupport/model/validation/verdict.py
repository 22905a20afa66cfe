"""The verdict on one object: what kubectl, the API server and istiod say to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import ValidationError

from labsupport.model.kinds.destinationrule import DestinationRule, DestinationRuleSpec
from labsupport.model.kinds.gateway import Gateway, GatewaySpec
from labsupport.model.kinds.gatewayapi.shared import GROUP
from labsupport.model.kinds.index import CLUSTER_SCOPED, api_versions, class_of, closest_kind
from labsupport.model.kinds.otheristio import OtherIstio
from labsupport.model.kinds.serviceentry import ServiceEntry, ServiceEntrySpec, WorkloadEntry, WorkloadEntrySpec
from labsupport.model.kinds.sidecar import Sidecar, SidecarSpec
from labsupport.model.kinds.virtualservice import VirtualService, VirtualServiceSpec
from labsupport.model.schema.base import Resource, Schema
from labsupport.model.schema.issues import Issue, Report
from labsupport.model.schema.misplaced import placed
from labsupport.model.schema.protojson import DecodeError, decode
from labsupport.model.schema.shape import shape_of
from labsupport.model.validation.destinationrule import check_destination_rule
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.gateway import check_gateway
from labsupport.model.validation.serviceentry import check_service_entry, check_workload_entry
from labsupport.model.validation.sidecar import check_sidecar
from labsupport.model.validation.virtualservice import check_virtual_service
from labsupport.records import Json, JsonObject

__all__ = ["NOT_JUDGED", "Inspection", "Verdict", "inspect", "is_istio", "is_judged", "judge", "validate"]

NOT_JUDGED = (
    "known, not judged: the API server and istiod of a cluster judge the rest"
    " (`apply` on a cluster asks them by a dry run)"
)
"""What is said of a kind that nothing here runs."""

_DRY_RUN = "istio.io/dry-run"
_CLUSTER_SCOPED = CLUSTER_SCOPED | {"Node", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
_CHECKED = (VirtualService, DestinationRule, Gateway, ServiceEntry, WorkloadEntry, Sidecar)
T = TypeVar("T", bound=Schema)
_RESERVED = (
    "internal.istio.io/webhook-always-reject",
    "internal.istio.io/parent-namespace",
    "internal.istio.io/parents",
)


class HasRaw(Protocol):
    """A document or a resource: both keep the mapping as it was written."""

    @property
    def raw(self) -> JsonObject:
        """The mapping."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a cluster says to one object of Istio or of the Gateway API.

    Args:
        kind, namespace, name: the object.
        errors: why it is refused, each beginning with who objects: ``strict`` (kubectl), ``crd`` (API server) or
            ``webhook`` (istiod); empty if it is accepted.
        warnings: istiod's admission warnings.
        note: who judges the object, if nobody does here; empty for a verdict on the whole object.
    """

    kind: str
    namespace: str
    name: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    note: str = ""

    def as_record(self) -> dict[str, str | list[str]]:
        """The verdict as JSON has it; a note only if there is one."""
        record: dict[str, str | list[str]] = {"kind": self.kind, "namespace": self.namespace, "name": self.name}
        record |= {"errors": list(self.errors), "warnings": list(self.warnings)}
        return {**record, "note": self.note} if self.note else record


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything found in one raw object.

    Args:
        resource: the typed object, if the schema accepts it.
        errors: who objects to what.
        warnings: istiod's warnings.
        kept: the mapping as it was written; for a kind that a CRD defines without the nulls that an API server drops.
    """

    resource: Resource | None
    errors: tuple[Issue, ...]
    warnings: tuple[Issue, ...]
    kept: JsonObject


def validate(objects: Iterable[HasRaw], *, namespace: str = "default") -> list[Verdict]:
    """Give a cluster's verdicts on objects of Istio and of the Gateway API; other objects are passed over.

    Args:
        objects: documents or resources.
        namespace: the namespace of objects that name none.

    Returns:
        one verdict per object of these groups, in order.
    """
    return [judge(entry.raw, namespace=namespace)[0] for entry in objects if is_judged(entry.raw)]


def is_istio(raw: Mapping[str, Json]) -> bool:
    """Whether an object is of a group under istio.io, known or not."""
    version = raw.get("apiVersion")
    return isinstance(version, str) and version.partition("/")[0].endswith(".istio.io") and "/" in version


def is_judged(raw: Mapping[str, Json]) -> bool:
    """Whether an object is of a group whose verdicts are given here: of Istio, or of the Gateway API."""
    version = raw.get("apiVersion")
    return is_istio(raw) or (isinstance(version, str) and version.rpartition("/")[0] == GROUP)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def judge(raw: JsonObject, *, namespace: str = "default") -> tuple[Verdict, Resource | None]:
    """Give the verdict on one object of Istio or of the Gateway API.

    Args:
        raw: the mapping as it was written.
        namespace: its namespace if it names none.

    Returns:
        the verdict, and the typed object if it is accepted.
    """
    metadata = raw.get("metadata", {})
    kind, version = _text(raw.get("kind")), _text(raw.get("apiVersion"))
    if metadata is None or (isinstance(metadata, dict) and not isinstance(metadata.get("namespace"), str)):
        # A namespace that is none is what a client fills in.
        raw = {**raw, "metadata": {name: value for name, value in (metadata or {}).items() if name != "namespace"}}
    space = namespace if isinstance(metadata, dict) and kind not in _CLUSTER_SCOPED else ""
    metadata = metadata if isinstance(metadata, dict) else {}
    errors: list[str]
    warnings: list[str] = []
    resource = None
    model = class_of(raw)
    if model is None or version.partition("/")[0] != model.GROUP:
        errors = [f"crd: there is no kind {kind} in {version}{_guess(raw, kind, version)}"]
    else:
        seen = inspect(raw, namespace=namespace)
        errors = [str(issue) for issue in seen.errors if issue.by != "object"]
        if version not in api_versions(model):
            errors.insert(0, f"crd: there is no {kind} in {version}")
        warnings = [f"{issue.path}: {issue.message}" for issue in seen.warnings]
        if not errors:
            # A cluster would not take an object without metadata, but it is for no istiod to say so.
            resource = seen.resource or decode(model, {**raw, "metadata": metadata}, "")
    space = _text(metadata.get("namespace")) or space
    note = NOT_JUDGED if not errors and isinstance(resource, OtherIstio) else ""
    return Verdict(kind, space, _text(metadata.get("name")), tuple(errors), tuple(warnings), note), resource


def _guess(raw: JsonObject, kind: str, version: str) -> str:
    """What somebody meant who wrote a kind that its group does not have."""
    model = class_of(raw)
    if model is not None:
        return f". Did you mean apiVersion {api_versions(model)[0]}?"
    group = version.partition("/")[0]
    known = closest_kind(kind, group) or closest_kind(kind)
    return f". Did you mean {known}?" if known else ""


def inspect(raw: JsonObject, *, namespace: str = "default") -> Inspection:
    """Check an object of a known kind.

    Args:
        raw: the mapping as it was written; ``kind`` must be known.
        namespace: its namespace if it names none.

    Returns:
        what was found.
    """
    model = class_of(raw)
    assert model is not None
    report = Report()
    shape = shape_of(model)
    cleaned = shape.check(raw, "", report)
    report.finish()
    errors = [placed(issue, shape, raw) for issue in report.issues]
    warnings: list[Issue] = []
    resource = None
    if all(issue.by == "object" for issue in errors):
        try:
            resource = model.model_validate(cleaned)
        except ValidationError as error:
            # What the shape let through, pydantic must not: a missing metadata is told already, anything else is new.
            errors += [] if errors else [Issue("crd", _path(detail["loc"]), detail["msg"]) for detail in error.errors()]
    if is_istio(raw) and not issubclass(model, OtherIstio):
        # What the schema accepts is decoded already; the rest istiod reads more leniently.
        spec = cleaned.get("spec") if not isinstance(resource, _CHECKED) else resource.spec
        findings = _webhook(raw["kind"], raw, spec, namespace)
        # istiod's decoder objects to the same fields as the schema, in other words; once is enough for a reader.
        told = {issue.path for issue in errors}
        errors += [issue for issue in findings.errors if issue.path not in told]
        # istiod cannot read an object whose metadata has a wrong type, so it has nothing to warn about.
        readable = not any(issue.by == "crd" and issue.path.startswith("metadata.") for issue in errors)
        warnings = findings.warnings if readable else []
    kept = _without_nulls(raw, cleaned) if is_judged(raw) else raw
    return Inspection(resource, tuple(errors), tuple(warnings), kept)


def _without_nulls(written: Json, cleaned: Json) -> Json:
    """What was written, without the nulls that its cleaned form lacks."""
    if isinstance(written, dict) and isinstance(cleaned, dict):
        pairs = ((key, value) for key, value in written.items() if value is not None or key in cleaned)
        return {key: _without_nulls(value, cleaned.get(key)) for key, value in pairs}
    if isinstance(written, list) and isinstance(cleaned, list):
        return [_without_nulls(item, kept) for item, kept in zip(written, cleaned, strict=True)]
    return written


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _webhook(kind: str, raw: Mapping[str, Json], spec: object, namespace: str) -> Findings:
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    strings = {
        name: {key: value for key, value in entries.items() if isinstance(value, str)}
        for name in ("labels", "annotations")
        if isinstance(entries := metadata.get(name), dict)
    }
    findings = Findings(
        _text(metadata.get("namespace")) or namespace, strings.get("annotations", {}), strings.get("labels", {})
    )
    _check_annotations(findings)
    if findings.errors:
        return findings
    try:
        _check_spec(kind, spec, _text(metadata.get("name")), findings)
    except DecodeError as error:
        findings.errors.clear()
        findings.warnings.clear()
        findings.error(error.path, str(error))
    return findings


def _check_annotations(findings: Findings) -> None:
    if _DRY_RUN in findings.annotations:
        findings.error(f"metadata.annotations.{_DRY_RUN}", "is supported only by AuthorizationPolicy", "Remove it.")
    for name in _RESERVED:
        if name in findings.annotations:
            findings.error(f"metadata.annotations.{name}", "is reserved for Istio itself", "Remove it.")


def _check_spec(kind: str, spec: object, name: str, findings: Findings) -> None:
    if kind == "Gateway":
        check_gateway(_decoded(GatewaySpec, spec), name, findings)
    else:
        _CHECKS[kind](spec, findings)


def _decoded(model: type[T], spec: object) -> T:
    return spec if isinstance(spec, model) else decode(model, spec, "spec")


def _check(model: type[T], check: Callable[[T, Findings], None]) -> Callable[[object, Findings], None]:
    return lambda spec, findings: check(_decoded(model, spec), findings)


_CHECKS: dict[str, Callable[[object, Findings], None]] = {
    "VirtualService": _check(VirtualServiceSpec, check_virtual_service),
    "DestinationRule": _check(DestinationRuleSpec, check_destination_rule),
    "ServiceEntry": _check(ServiceEntrySpec, check_service_entry),
    "WorkloadEntry": _check(WorkloadEntrySpec, check_workload_entry),
    "Sidecar": _check(SidecarSpec, check_sidecar),
}
