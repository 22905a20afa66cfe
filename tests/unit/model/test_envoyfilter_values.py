"""What is said about the values of EnvoyFilter patches, beyond refused or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labsupport.model.validation.verdict import inspect

HTTP_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"


def inspected(apply_to: str, value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Give the paths of errors and the texts of warnings about a patch with a value."""
    patch = {"applyTo": apply_to, "patch": {"operation": "MERGE", "value": value}}
    head = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": {"name": "patched"}}
    seen = inspect({**head, "spec": {"configPatches": [patch]}})
    return [issue.path for issue in seen.errors], [f"{issue.path}: {issue.message}" for issue in seen.warnings]


def test_an_error_names_the_field_inside_the_value() -> None:
    config = {"@type": f"{HTTP_FILTERS}.fault.v3.HTTPFault", "delay": {"fixed_delay": "soon"}}
    errors, _ = inspected("HTTP_FILTER", {"name": "fault", "typed_config": config})
    assert errors == ["spec.configPatches[0].patch.value.typed_config.delay.fixed_delay"]


def test_a_misspelt_field_is_warned_about_with_its_message() -> None:
    errors, warnings = inspected("CLUSTER", {"connect_timeuot": "1s"})
    assert not errors
    assert any("connect_timeuot: is no field of envoy.config.cluster.v3.Cluster" in warning for warning in warnings)


def test_an_extension_chosen_by_name_only_is_warned_about() -> None:
    _, warnings = inspected("HTTP_FILTER", {"name": "envoy.filters.http.router"})
    assert any("without typed_config: envoy.filters.http.router" in warning for warning in warnings)


@pytest.mark.parametrize(
    "name", ["type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lau", "antigravity.Any", ""]
)
def test_a_message_that_istiod_does_not_know_is_refused(name: str) -> None:
    errors, _ = inspected("HTTP_FILTER", {"name": "x", "typed_config": {"@type": name}})
    assert errors == ["spec.configPatches[0].patch.value.typed_config.@type"]


def test_a_manifest_does_not_choose_what_is_imported() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_envoyfilter_values import inspected;"
        "[inspected('HTTP_FILTER', {'typed_config': {'@type': name}}) for name in ('a/antigravity.X', 'this.v3.Y')];"
        "print([name for name in ('antigravity', 'this') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_protos_are_loaded_only_for_a_value() -> None:
    program = (
        "import sys; import labsupport.model.validation.verdict;"
        "print(any(name.startswith('google.protobuf') for name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
