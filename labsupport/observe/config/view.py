"""What a rule looks like inside a proxy: the manifest as written, beside the part of Envoy's configuration it made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport import words
from labsupport.engine.protocol import Engine
from labsupport.errors import UsageError
from labsupport.model import DestinationRule, Gateway, Resource, ServiceEntry, Sidecar, VirtualService
from labsupport.model.gatewayapi import ROUTES, Facts, convert
from labsupport.model.writing.lines import ConfigLine, block, key, leaves
from labsupport.model.writing.written import written
from labsupport.observe.config.parts import ConfigPart, find_parts
from labsupport.records import EnvoyConfig, Pod, Ref

__all__ = ["ConfigView", "EnvoyPart", "view"]

_ROUTES = tuple(kind.KIND for kind in ROUTES)
_KINDS = ("VirtualService", *_ROUTES, "DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "Service")

# A name or host is found everywhere; what is worth following from one side to the other are the values of a rule.
_NAMES = frozenset({"host", "hosts", "name", "subset", "gateways", "kind", "apiVersion", "namespace"})


@dataclass(frozen=True, slots=True)
class EnvoyPart:
    """One piece of a proxy's configuration.

    Args:
        title: what it is, in Envoy's words.
        lines: YAML with proto field names, marked.
        alike: titles of pieces with the same content, but for their names.
    """

    title: str
    lines: tuple[ConfigLine, ...]
    alike: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class ConfigView:
    """A manifest and what one Envoy made of it.

    Args:
        ref: the object.
        source: where it was read from; empty if unknown.
        written: the manifest, as YAML.
        envoy_parts: pieces of the proxy's configuration, in the order in which a request meets them.
        proxy: the proxy's pod; empty if none holds anything of it.
        role: ``sidecar`` or ``gateway``.
        version: the version in force in this proxy.
        note: what else is worth knowing, such as why nothing is there.
    """

    ref: Ref
    source: str
    written: tuple[ConfigLine, ...]
    envoy_parts: tuple[EnvoyPart, ...]
    proxy: str = ""
    role: str = ""
    version: str = ""
    note: str = ""

    @words.shown
    def __repr__(self) -> str:
        place = f" ({self.source})" if self.source else ""
        lines = [f"What was written{place}", *(f"  {line.text}" for line in self.written), ""]
        if self.envoy_parts:
            version = f", version {self.version}" if self.version else ""
            lines.append(f"What Envoy got, in the {self.role} of {self.proxy}{version}")
        for part in self.envoy_parts:
            lines += [f"  {part.title}", *_plain(part.lines), *(f"    (the same: {title})" for title in part.alike)]
        if self.note:
            lines.append(self.note)
        return "\n".join(lines)


def _plain(lines: Iterable[ConfigLine]) -> Iterator[str]:
    """Lines as text; a default is told once, on the first of its lines."""
    head = -1
    for line in lines:
        indent = len(line.text) - len(line.text.lstrip())
        if line.mark != "default":
            head = -1
        elif head < 0 or indent <= head:
            head = indent
            yield f"    {line.text}  # default"
            continue
        yield f"    {line.text}"


def view(engine: Engine, resource: Resource, *, proxy: str = "") -> ConfigView:
    """Find what an object became in a proxy.

    Args:
        engine: where to look.
        resource: a VirtualService, route, DestinationRule, Gateway, ServiceEntry, Sidecar or Service.
        proxy: pod to look into; empty for one that holds something of it.

    Raises:
        UsageError: no proxy configuration is made of this kind.
    """
    if resource.kind not in _KINDS:
        what = f"{resource.kind}: no part of Envoy's configuration is made of this kind alone"
        raise UsageError(f"{what}; look at {_listed()}.")
    raw = written(resource)
    values = {key(path, value) for path, value in leaves(raw.get("spec", {})) if _tells(path, value)}
    tried: list[str] = []
    chosen: tuple[Pod, EnvoyConfig, list[ConfigPart]] | None = None
    made_from = _made_from(engine, resource)
    for pod in _candidates(engine, resource, made_from, proxy):
        config = engine.proxy_config(pod.name)
        tried.append(pod.name)
        parts = [part for made in made_from for part in find_parts(made, written(made), config)]
        if parts:
            chosen = pod, config, parts
            break
    in_part = {key(path, value) for part in (chosen[2] if chosen else ()) for path, value in leaves(part.content)}
    shown = in_part & values
    left = block(raw, lambda path, value: "written" if _is_value(path, value, shown) else "")
    ref, source = resource.ref, resource.origin.file
    if chosen is None:
        return ConfigView(ref, source, left, (), note=_why_nothing(resource, tried))
    pod, config, parts = chosen
    made = tuple(
        EnvoyPart(
            part.title,
            block(
                part.content,
                lambda path, value, part=part: (  # type: ignore[misc]
                    "default" if part.is_default(path, value) else "written" if _is_value(path, value, shown) else ""
                ),
            ),
            part.alike,
        )
        for part in parts
    )
    role = "gateway" if not pod.injected else "sidecar"
    missing = [part.missing for part in parts if part.missing]
    return ConfigView(ref, source, left, made, pod.name, role, config.versions.get(parts[0].xds, ""), " ".join(missing))


def _made_from(engine: Engine, resource: Resource) -> Sequence[Resource]:
    """The objects that Envoy's configuration is made of and marked with: for a route, what istiod makes of it."""
    if not isinstance(resource, ROUTES):
        return [resource]
    return convert([(resource, 0.0)], Facts.of(engine.get("*", namespace="*"), namespace=engine.namespace))


def _listed() -> str:
    return words.join((f"a {kind}" for kind in _KINDS), "or")


def _is_value(path: Sequence[str | int], value: Any, shown: Iterable[str]) -> bool:
    plain = not isinstance(value, Mapping | list | tuple | bool) and value not in (None, "")
    return plain and _tells(path, value) and key(path, value) in shown


def _tells(path: Sequence[str | int], value: Any) -> bool:
    """Whether a value can be followed from one side to the other; the name of a certificate can, other names not."""
    return not _NAMES & set(path) or str(value).startswith("kubernetes://")


def _candidates(engine: Engine, resource: Resource, made_from: Sequence[Resource], proxy: str) -> list[Pod]:
    """Proxies to look into, the most telling first: a caller of the host rather than the host itself."""
    pods = [pod for pod in engine.pods() if pod.has_proxy]
    if proxy:
        named = [pod for pod in pods if pod.name == proxy]
        if not named:
            known = ", ".join(pod.name for pod in pods) or "none"
            raise UsageError(f"proxy={proxy!r} has no Envoy. Pods with one: {known}.")
        return named
    holding = {name for rule in engine.rules() if _same(rule.ref, resource) for name in rule.proxies}
    at_gateway = isinstance(resource, Gateway)
    hosts: Iterable[str] = ()
    if isinstance(resource, Gateway):
        pods = [pod for pod in pods if resource.spec.selector.items() <= pod.labels.items()]
    elif isinstance(resource, Sidecar):
        selector = resource.spec.workload_selector
        labels = selector.labels if selector is not None else {}
        pods = [pod for pod in pods if pod.injected and labels.items() <= pod.labels.items()]
    elif isinstance(resource, VirtualService):
        at_gateway = bool(resource.spec.gateways) and "mesh" not in resource.spec.gateways
        hosts = resource.spec.hosts
    elif isinstance(resource, ServiceEntry):
        hosts = resource.spec.hosts
    elif isinstance(resource, DestinationRule):
        hosts = (resource.spec.host,)
    else:
        hosts = [host for made in made_from if isinstance(made, VirtualService) for host in made.spec.hosts]
    services = {host.split(".")[0] for host in hosts}

    def rank(pod: Pod) -> tuple[bool, bool, bool, str]:
        return pod.name not in holding, pod.injected == at_gateway, pod.service in services, pod.name

    return sorted(pods, key=rank)


def _same(ref: Ref, resource: Resource) -> bool:
    return (ref.kind, ref.name) == (resource.called, resource.name) and (
        not ref.namespace or not resource.namespace or ref.namespace == resource.namespace
    )


def _why_nothing(resource: Resource, tried: Sequence[str]) -> str:
    if resource.kind == "Gateway" and not tried:
        return (
            "No pod has the labels of its selector, so it opens nothing; the ingress gateway has istio: ingressgateway."
        )
    if resource.kind == "Sidecar" and not tried:
        return "No pod with a sidecar has the labels of its workloadSelector."
    if not tried:
        return "There is no proxy yet: nothing has a sidecar, and there is no gateway. Rules have no effect."
    nobody = f"None of {len(tried)} proxies holds anything" if len(tried) > 1 else f"{tried[0]} holds nothing"
    looked = f"{nobody} of it."
    if resource.kind == "VirtualService":
        return f"{looked} Check that hosts names a Service, that gateways names a Gateway or mesh, and older rules."
    if resource.kind in _ROUTES:
        return f"{looked} Check that parentRefs names a Service and one of its ports; its status tells what it found."
    if resource.kind == "DestinationRule":
        return f"{looked} Check that host names a Service."
    if resource.kind == "Gateway":
        return f"{looked} A server whose port the gateway's Service lacks has no listener."
    if resource.kind == "ServiceEntry":
        return f"{looked} Check exportTo, and Sidecars, which leave out what they do not name."
    return f"{looked} A proxy without callers of it, or a Service without an HTTP port, has no cluster for it."
