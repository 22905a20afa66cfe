"""What istiod writes into the status of a Gateway of the Gateway API: of the whole, and of each listener."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from labsupport.model.gatewayapi.binding import taken_at
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.listeners import ListenerReport, is_managed, reports_of, services_of
from labsupport.model.gatewayapi.listenertls import certificate_fault
from labsupport.model.gatewayapi.surroundings import CONTROLLER, REMOTE, Surroundings
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.core import ConfigMap
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.gatewayapi.shared import GROUP, RouteResource
from labsupport.model.schema.base import Resource
from labsupport.records import JsonObject

__all__ = ["class_status", "gateway_status", "listener_faults"]

_NO_ERRORS = "No errors found"


def _holds(name: str, fault: Fault | None, message: str = _NO_ERRORS) -> JsonObject:
    """A condition that holds unless there is a fault."""
    return (fault or Fault(name, message)).condition(name, str(fault is None))


def class_status(controller: str, *, time: str) -> JsonObject:
    """The status of a GatewayClass.

    Args:
        controller: its controller.
        time: when it came.
    """
    said = _holds("Accepted", None, "Handled by Istio controller")
    if controller not in (CONTROLLER, REMOTE):
        said = Fault("Pending", "Waiting for controller").condition("Accepted", "Unknown")
    return {"conditions": [{**said, "lastTransitionTime": time}]}


def gateway_status(
    gateway: KubernetesGateway,
    objects: Sequence[Resource],
    facts: Facts,
    *,
    opened: Mapping[str, Iterable[int]],
    external: str = "",
) -> JsonObject:
    """The status of a Gateway as istiod writes it, without times; empty if it is for another controller.

    Args:
        gateway: with its namespace.
        objects: all objects, with their namespaces.
        facts: what routes may refer to.
        opened: ports of Services that have an address and pods behind them, by the Service's full name.
        external: the address that a load balancer has given its Service; empty without one.
    """
    around = Surroundings.of(objects)
    controller = around.classes.get(gateway.spec.gateway_class_name)
    if controller == REMOTE:
        programmed = Fault("Programmed", "This Gateway is remote; Istio will not program it")
        addresses = [item.model_dump(mode="json", by_alias=True) for item in gateway.spec.addresses]
        conditions = [_holds("Accepted", None, "Resource accepted"), programmed.condition("Programmed", "True")]
        return {"conditions": conditions} | ({"addresses": addresses} if addresses else {})
    if controller != CONTROLLER:
        return {}
    reports = reports_of(gateway, around, gateway.namespace)
    services = services_of(gateway, gateway.namespace)
    ports = {report.section.port for report in reports if report.section is not None}
    elsewhere = {host: space for host in services if host in opened and (space := _space(host)) != gateway.namespace}
    opened = {host: numbers for host, numbers in opened.items() if host not in elsewhere}
    assigned = sorted(f"{host}:{port}" for host in services for port in ports & set(opened.get(host, ())))
    conditions = [
        _accepted(gateway, reports, around),
        _programmed(services, ports, opened, assigned, _found_elsewhere(elsewhere, gateway.namespace)),
        _holds("ResolvedRefs", _client_certificate(gateway, around), "All references resolved"),
    ]
    if _is_lenient(gateway):
        told = "Gateway is operating in AllowInsecureFallback mode for frontend validation"
        lenient = Fault("ConfigurationChanged", told)
        # The CRD writes Accepted and Programmed before istiod does.
        conditions.insert(2, lenient.condition("InsecureFrontendValidationMode", "True"))
    result: JsonObject = {"conditions": conditions}
    places = [("Hostname", host) for host in sorted({text.rpartition(":")[0] for text in assigned})]
    if assigned and external:
        places = [("IPAddress", external)]
    if places:
        result["addresses"] = [{"type": kind, "value": value} for kind, value in places]
    if reports:
        routes = [item for item in objects if isinstance(item, RouteResource)]
        # A route counts once at a listener, by however many parents it means it.
        attached = Counter(section for route in routes for section in {item.section for item in taken_at(route, facts)})
        result["listeners"] = [
            _listener(report, attached[report.section] if report.section is not None else 0) for report in reports
        ]
    return result


def _accepted(gateway: KubernetesGateway, reports: Sequence[ListenerReport], around: Surroundings) -> JsonObject:
    fault = _addresses_fault(gateway) or _parameters_fault(gateway, around)
    valid = sum(report.valid for report in reports)
    if fault is None and reports and valid < len(reports):
        if valid:
            told = Fault("ListenersNotValid", "One or more of the Gateway's listeners are invalid")
            return told.condition("Accepted", "True")
        fault = Fault("ListenersNotValid", "None of the Gateway's listeners are valid")
    return _holds("Accepted", fault, "Resource accepted")


def _addresses_fault(gateway: KubernetesGateway) -> Fault | None:
    skipped = [item.value or "" for item in gateway.spec.addresses if item.type != "Hostname"]
    if is_managed(gateway) or not skipped:
        return None
    return Fault("UnsupportedAddress", f"only Hostname is supported, ignoring [{' '.join(skipped)}]")


def _parameters_fault(gateway: KubernetesGateway, around: Surroundings) -> Fault | None:
    made = gateway.spec.infrastructure
    reference = made.parameters_ref if made is not None else None
    if reference is None:
        return None
    if (reference.group, reference.kind) != ("", "ConfigMap"):
        told = f"Unsupported parametersRef group/kind {reference.group}/{reference.kind}, only ConfigMap is supported"
        return Fault("InvalidParameters", told)
    if isinstance(around.holders.get(("ConfigMap", gateway.namespace, reference.name)), ConfigMap):
        return None
    told = f"parametersRef ConfigMap {gateway.namespace}/{reference.name} does not exist"
    return Fault("InvalidParameters", told)


def _client_certificate(gateway: KubernetesGateway, around: Surroundings) -> Fault | None:
    tls = gateway.spec.tls
    reference = tls.backend.client_certificate_ref if tls is not None and tls.backend is not None else None
    if reference is None:
        return None
    return certificate_fault(reference, gateway.namespace, around, what="clientCertificateRef")


def _is_lenient(gateway: KubernetesGateway) -> bool:
    frontend = gateway.spec.tls.frontend if gateway.spec.tls is not None else None
    if frontend is None:
        return False
    parts = [frontend.default, *(item.tls for item in frontend.per_port)]
    return any(item.validation is not None and item.validation.mode == "AllowInsecureFallback" for item in parts)


def _joined(texts: Sequence[str]) -> str:
    """Texts as istiod lists them."""
    if len(texts) < 3:
        return " and ".join(texts)
    return f"{', '.join(texts[:-1])}, and {texts[-1]}"


def _space(host: str) -> str:
    """The namespace of a Service, by its full name."""
    return host.split(".")[1] if host.endswith(f".svc.{CLUSTER_DOMAIN}") else ""


def _found_elsewhere(spaces: Mapping[str, str], namespace: str) -> dict[str, str]:
    """What istiod adds for Services that are in another namespace than the Gateway."""
    return {
        host: f' in namespace "{namespace}", but it was found in namespace(s) "{space}"'
        for host, space in spaces.items()
    }


def _programmed(
    services: Sequence[str],
    ports: set[int],
    opened: Mapping[str, Iterable[int]],
    assigned: Sequence[str],
    elsewhere: Mapping[str, str],
) -> JsonObject:
    if not services:
        return _holds("Programmed", Fault("UnsupportedAddress", "Failed to assign to any requested addresses"))
    warnings = [f'hostname "{host}" not found{elsewhere.get(host, "")}' for host in services if host not in opened]
    for host in services:
        if host in opened and not list(opened[host]):
            warnings += [f'no instances found for hostname "{host}"'] * len(ports)
        elif host in opened:
            lacking = ports - set(opened[host])
            warnings += [f'port {port} not found for hostname "{host}"' for port in lacking]
    unusable = [text for text in warnings if not text.startswith("no instances")]
    if not warnings:
        where = f", assigned to service(s) {_joined(assigned)}" if assigned else ""
        return _holds("Programmed", None, f"Resource programmed{where}")
    told = "; ".join(sorted(warnings))
    failed = f"Failed to assign to any requested addresses: {told}"
    if assigned:
        failed = f"Assigned to service(s) {_joined(assigned)}, but failed to assign to all requested addresses: {told}"
    return _holds("Programmed", Fault("AddressNotUsable" if unusable else "AddressNotAssigned", failed))


def _listener(report: ListenerReport, attached: int) -> JsonObject:
    conditions = [_holds("Accepted", report.accepted)]
    conflict = report.conflict or Fault("NoConflicts", _NO_ERRORS)
    conditions.append(conflict.condition("Conflicted", str(report.conflict is not None)))
    conditions.append(_holds("Programmed", report.programmed))
    if report.conflict is None or report.resolved is not None:
        conditions.append(_holds("ResolvedRefs", report.resolved))
    return {
        "name": report.name,
        "supportedKinds": [{"group": GROUP, "kind": kind} for kind in report.kinds],
        "attachedRoutes": attached,
        "conditions": conditions,
    }


def listener_faults(gateway: KubernetesGateway, objects: Sequence[Resource]) -> list[tuple[str, str, Fault]]:
    """What is wrong with listeners: name, condition and fault of each.

    Args:
        gateway: with its namespace.
        objects: all objects, with their namespaces.
    """
    faults = []
    for report in reports_of(gateway, Surroundings.of(objects), gateway.namespace):
        told = (("Conflicted", report.conflict), ("ResolvedRefs", report.resolved), ("Accepted", report.accepted))
        faults += [(report.name, name, fault) for name, fault in told if fault is not None][:1]
    return faults
