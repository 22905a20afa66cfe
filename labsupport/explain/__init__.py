"""Why a request goes where it goes: reasoning over manifests, independent of their translation to Envoy."""

from __future__ import annotations

from labsupport.explain.decide import explain
from labsupport.explain.explanation import Explanation
from labsupport.explain.records import (
    Condition,
    Ignored,
    MatchEntry,
    Place,
    Policy,
    PredictedOutcome,
    RoutedTo,
    RuleTrace,
)

__all__ = [
    "Condition",
    "Explanation",
    "Ignored",
    "MatchEntry",
    "Place",
    "Policy",
    "PredictedOutcome",
    "RoutedTo",
    "RuleTrace",
    "explain",
]
