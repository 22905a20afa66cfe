"""Canaries and traffic for tests of releases."""

from __future__ import annotations

from typing import Any

import yaml

from labsupport.course.canary_analysis import Met
from labsupport.lab.sources import read
from labsupport.model.kinds.canary import Canary

SUCCESS: dict[str, Any] = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DURATION: dict[str, Any] = {"name": "request-duration", "thresholdRange": {"max": 500}}
SURELY = {"templateRef": {"name": "always-valid"}}
# Exactly 1 of 1,000, 3 of 100, and all of them slow.
GOOD = [Met(number == 500, 0.005) for number in range(1000)]
FAILING = [Met(number % 100 < 3, 0.005) for number in range(1000)]
SLOW = [Met(False, 0.6)] * 100


def manifest(**analysis: Any) -> dict[str, Any]:
    """A Canary with Flagger's usual numbers, and some other ones."""
    usual = {"interval": "1m", "threshold": 5, "stepWeights": [1, 5, 25, 50, 100], "metrics": [SUCCESS, DURATION]}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 8080},
            "analysis": usual | analysis,
        },
    }


def canary(**analysis: Any) -> Canary:
    """The same as an object."""
    (resource,) = read([yaml.safe_dump(manifest(**analysis))])
    assert isinstance(resource, Canary)
    return resource


def always_valid(**analysis: Any) -> Canary:
    """A Canary whose metrics are those of the template."""
    return canary(**{"threshold": 50, "metrics": [SUCCESS | SURELY, DURATION | SURELY]} | analysis)
