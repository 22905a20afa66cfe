"""How a learner names an object: ``vs/web``, ``VirtualService/web`` or ``vs/web.shop``, as with kubectl."""

from __future__ import annotations

import difflib
import re
from typing import TypeAlias

from labsupport import words
from labsupport.errors import UsageError
from labsupport.lab.objects import Objects
from labsupport.model.kinds.index import placed
from labsupport.model.schema.base import Resource
from labsupport.records import Ref
from labsupport.traffic.weights import RuleName

__all__ = ["Named", "as_ref", "checked_namespace", "kind_name", "looks_like_ref", "ref_of", "rule_of", "within"]

Named: TypeAlias = str | Ref | Resource | Objects
"""What names one object; of objects, there is one."""

_INDEXED = re.compile(r"(.*?)(?:\[(\d+)\])?", re.DOTALL)


def kind_name(text: str) -> str:
    """The kind that a learner means: ``vs``, ``virtualservices`` and ``VirtualService`` are the same.

    Args:
        text: a kind, its plural or its short name, in any case; ``*`` and ``all`` stand for all kinds.

    Returns:
        The kind as manifests spell it, or ``*``.

    Raises:
        UsageError: no such kind; with the nearest one.
    """
    from labsupport.model.kinds.index import KINDS, find_kind
    from labsupport.model.reading.elsewhere import instead_of, kind_elsewhere

    if not isinstance(text, str):
        raise UsageError(f"{text!r} is not the name of a kind; write text, such as 'VirtualService' or 'all'.")
    word = text.strip()
    if word.lower() in ("*", "all"):
        return "*"
    known = find_kind(word)
    if known is not None:
        return known.CALLED or known.KIND
    if other := kind_elsewhere(word):
        does, instead = instead_of("", other)
        raise UsageError(f"The lab has no {other}, which {does}. {instead}")
    lower = {kind.lower(): kind for kind in KINDS}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    remedy = f"Did you mean {lower[near[0]]}?" if near else f"Known kinds: {', '.join(KINDS)}."
    raise UsageError(f"{text!r} is not a kind that the lab knows. {remedy}")


def looks_like_ref(text: str) -> bool:
    """Whether a text has the form ``kind/name`` with a known kind (so that it is not taken for a path)."""
    from labsupport.model.kinds.index import find_kind

    kind, slash, name = text.strip().partition("/")
    return bool(slash) and bool(name) and "/" not in name and find_kind(kind) is not None


def checked_namespace(namespace: str | None) -> str:
    """The name of a namespace; empty for the lab's own.

    Raises:
        UsageError: it is something else than a name.
    """
    if namespace is None:
        return ""
    if not isinstance(namespace, str) or not namespace.strip():
        raise UsageError(f"namespace={namespace!r}: write the name of a namespace, such as 'shop', or leave it out.")
    return namespace.strip()


def as_ref(given: Named, *, namespace: str | None = None, default_kind: str = "") -> Ref:
    """Turn what a learner wrote into a reference.

    Args:
        given: ``"vs/web"``, ``"VirtualService/web.shop"``, a ``Ref``, or an object as ``lab.get`` returns it.
        namespace: the namespace of the object; dots then belong to its name.
        default_kind: the kind of a bare name; empty refuses bare names.

    Returns:
        The reference; without a namespace, the lab's own is meant.

    Raises:
        UsageError: it does not name one object, or names two namespaces.
    """
    within = checked_namespace(namespace)
    if isinstance(given, Objects):
        if len(given) != 1:
            names = f": {words.join(ref_of(resource) for resource in given)}" if given else ""
            raise UsageError(f"One object is meant, and these are {len(given)}{names}. Name it, such as 'vs/web'.")
        (given,) = given
    if isinstance(given, Ref | Resource):
        ref = given if isinstance(given, Ref) else ref_of(given)
        if within and ref.namespace not in ("", within):
            raise UsageError(
                f"{ref} is in the namespace {ref.namespace}, and namespace={namespace!r} says another one."
            )
        return Ref(kind_name(ref.kind), ref.name, within or ref.namespace)
    text = given.strip() if isinstance(given, str) else ""
    kind, slash, name = text.partition("/")
    if not slash and default_kind:
        kind, name = default_kind, text
    if name and "/" not in name:
        known = kind_name(kind)
        if known != "*" and within:
            return Ref(known, name, within)
        # The name of a namespace has no dots, that of an object may.
        own, dot, last = name.rpartition(".")
        if known != "*" and not dot:
            return Ref(known, name)
        if known != "*" and own and last:
            return Ref(known, own, last)
    example = f"'{default_kind or 'VirtualService'}/web'"
    raise UsageError(
        f"{given!r} does not name one object; write kind and name, such as {example} (in another namespace: "
        f"{example[:-1]}.shop')."
    )


def rule_of(given: Named) -> RuleName:
    """Turn what a learner wrote into the name of one rule of a VirtualService.

    Args:
        given: ``"vs/web"`` or ``"web"``, a reference or an object; ``"vs/web[1]"`` for ``spec.http[1]`` of it.

    Raises:
        UsageError: it names no VirtualService.
    """
    text, place = given, None
    if isinstance(given, str) and (parts := _INDEXED.fullmatch(given.strip())) is not None:
        text, place = parts[1], None if parts[2] is None else int(parts[2])
    ref = as_ref(text, default_kind="VirtualService")
    if ref.kind != "VirtualService":
        raise UsageError(f"rule={given!r}: only a VirtualService has weights, such as 'vs/web' or 'vs/web[1]'.")
    return RuleName(ref, place)


def ref_of(resource: Resource) -> Ref:
    """The reference of an object."""
    return resource.ref


def within(namespace: str, resources: list[Resource]) -> list[Resource]:
    """Put objects into a namespace, as ``kubectl apply -n`` does.

    Args:
        namespace: the namespace; empty leaves them where they are.
        resources: objects.

    Raises:
        UsageError: an object names another one.
    """
    if not namespace:
        return resources
    for resource in resources:
        if resource.namespace not in ("", namespace):
            raise UsageError(
                f"{ref_of(resource)} names a namespace of its own, and namespace={namespace!r} another one."
            )
    return [placed(resource, namespace) for resource in resources]
