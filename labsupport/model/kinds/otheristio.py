"""What the kinds of Istio that are not about routing have in common: the embedded mesh only knows them by name."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.schema.base import IstioResource, Schema
from labsupport.model.schema.types import Rule

__all__ = ["NonEmpty", "OtherIstio", "PolicyTargetReference", "TargetReferences", "WorkloadMode", "matching"]

WorkloadMode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]

NonEmpty = Annotated[str, Field(min_length=1)]


def matching(pattern: str, message: str) -> Rule:
    """Make a rule that text matches a pattern as a whole.

    Args:
        pattern: a regular expression.
        message: what is wrong if it does not.

    Returns:
        the rule.
    """
    compiled = re.compile(pattern)
    return Rule(lambda value: compiled.fullmatch(value) is not None, message)


class OtherIstio(IstioResource):
    """A kind of Istio outside the course's subject.

    Attributes:
        PURPOSE: what the kind is for, in a few words.
    """

    PURPOSE: ClassVar[str] = ""


_GROUP = r"(?:[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?"


class PolicyTargetReference(Schema):
    """The object that a policy is attached to."""

    group: Annotated[str, Field(max_length=253), matching(_GROUP, "is not an API group")] = ""
    kind: Annotated[
        str, Field(min_length=1, max_length=63), matching(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?", "is not a kind")
    ]
    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Annotated[
        str, Rule(lambda value: not value, "must be left out: policies target only their namespace")
    ] = ""


TargetReferences = Annotated[list[PolicyTargetReference], Field(max_length=16)]
