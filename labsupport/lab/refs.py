"""How a learner names an object: ``VirtualService/web``, as with kubectl, short names and plurals included."""

from __future__ import annotations

import difflib

from labsupport.errors import UsageError
from labsupport.model.schema.base import Resource
from labsupport.records import Ref

__all__ = ["as_ref", "kind_name", "looks_like_ref", "ref_of"]


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

    if not isinstance(text, str):
        raise UsageError(f"{text!r} is not the name of a kind; write text, such as 'VirtualService' or 'all'.")
    word = text.strip()
    if word.lower() in ("*", "all"):
        return "*"
    known = find_kind(word)
    if known is not None:
        return known.KIND
    lower = {kind.lower(): kind for kind in KINDS}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    remedy = f"Did you mean {lower[near[0]]}?" if near else f"Known kinds: {', '.join(KINDS)}."
    raise UsageError(f"{text!r} is not a kind that the lab knows. {remedy}")


def looks_like_ref(text: str) -> bool:
    """Whether a text has the form ``kind/name`` with a known kind (so that it is not taken for a path)."""
    from labsupport.model.kinds.index import find_kind

    kind, slash, name = text.strip().partition("/")
    return bool(slash) and bool(name) and "/" not in name and find_kind(kind) is not None


def as_ref(given: str | Ref | Resource, *, default_kind: str = "") -> Ref:
    """Turn what a learner wrote into a reference.

    Args:
        given: ``"VirtualService/web"``, a ``Ref``, or an object as ``lab.get`` returns it.
        default_kind: the kind of a bare name; empty refuses bare names.

    Raises:
        UsageError: the text does not name one object.
    """
    if isinstance(given, Ref):
        return Ref(kind_name(given.kind), given.name, given.namespace)
    if isinstance(given, Resource):
        return ref_of(given)
    text = given.strip() if isinstance(given, str) else ""
    kind, slash, name = text.partition("/")
    if not slash and default_kind and kind:
        return Ref(default_kind, kind)
    if slash and name and "/" not in name:
        known = kind_name(kind)
        if known != "*":
            return Ref(known, name)
    example = f"'{default_kind or 'VirtualService'}/web'"
    raise UsageError(f"{given!r} does not name one object; write kind and name, such as {example}.")


def ref_of(resource: Resource) -> Ref:
    """The reference of an object."""
    return Ref(resource.kind, resource.name, resource.namespace)
