"""What a prediction made use of, so that a run can tell whether it has met everything that rules can say."""

from __future__ import annotations

from collections.abc import Iterator

from labsupport.explain import Explanation

__all__ = ["features"]

_REASONS = {
    "exportTo": "hidden by exportTo",
    "Sidecar object": "hidden by a Sidecar",
    "comes first": "an older rule on the host",
    "bound to": "bound to other gateways",
    "for sidecars only": "bound to the mesh only",
    "none of its rules": "no rule for the proxy",
    "nothing in common": "hosts that do not meet",
    "less exact than": "a less exact host",
    "nobody listens there": "a listener of no use",
    "is neither that of the client": "a route of a third namespace",
}


def features(why: Explanation) -> set[str]:
    """Names of everything that decided about a request."""
    return set(_features(why))


def _features(why: Explanation) -> Iterator[str]:
    yield f"by {why.proxy_kind}"
    if "https:" in why.url and why.proxy_kind != "none":
        yield "in TLS"
    for outcome in why.outcomes:
        yield f"ends: {outcome.kind}" + (" with 500" if outcome.status == 500 else "")
        if outcome.headers:
            yield "answer headers"
    if len(why.outcomes) > 1:
        yield "ends in several ways"
    for ignored in why.ignored:
        yield from (f"ignored: {name}" for text, name in _REASONS.items() if text in ignored.reason)
    for rule in why.rules:
        yield f"rule: {rule.verdict}"
        for failed in rule.failed:
            yield f"failed: {failed.field.partition('[')[0]}"
            if failed.hint:
                yield "near miss"
    if len({rule.object for rule in why.rules}) > 1:
        yield "rules of several objects"
    yield from _chosen(why)
    for policy in why.policies:
        if policy.place is not None:
            yield f"policy: {policy.name}"
    if why.timeout_s is not None:
        yield "timeout"
    if len(why.destinations) > 1:
        yield "weights"
    for destination in why.destinations:
        if destination.subset and not destination.problem:
            yield "subset"
        if destination.headers:
            yield "request headers"
        for policy in destination.policies:
            if policy.place is not None:
                level = (
                    "port"
                    if "portLevel" in policy.place.path
                    else "subset"
                    if "subsets" in policy.place.path
                    else "host"
                )
                yield f"DestinationRule: {level} level"
    for mirror in why.mirrors:
        yield "mirror" if not mirror.problem else "mirror to nobody"


def _chosen(why: Explanation) -> Iterator[str]:
    rule = why.chosen
    if rule is None:
        return
    if rule.index:
        yield "chosen: a later rule"
    if rule.kind == "rules":
        yield f"chosen: {'an' if rule.object[0] == 'H' else 'a'} {rule.object.partition('/')[0]}'s"
    if rule.object == "VirtualService/sub":
        yield "chosen: a delegate's"
    if not rule.entries:
        yield "chosen: without match"
    held = next((entry for entry in rule.entries if entry.holds), None)
    if held is None:
        return
    if held is not rule.entries[0]:
        yield "chosen: a later entry"
    for condition in held.conditions:
        kind = condition.field.partition("[")[0]
        yield f"held: {kind}"
        if kind in ("uri", "path"):
            yield f"held: {kind} {condition.wanted.partition(' ')[0]}"
            if "any case" in condition.wanted:
                yield "held: uri in any case"


def _level(path: str) -> str:
    if "portLevel" in path:
        return "port"
    return "subset" if "subsets" in path else "host"
