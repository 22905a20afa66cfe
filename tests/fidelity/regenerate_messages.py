"""Asks real istiod which messages an EnvoyFilter may name, and writes down their names.

    ISTIO_ORACLE=/path/to/istio-oracle python tests/fidelity/regenerate_messages.py [FILE ...]

istiod cannot list them, so it is asked about every message of the installed API of Envoy, those already written down,
and the full names in the files given, which a newer API may need (one per line). The result is
``labsupport/model/validation/envoy_messages.txt``: packages, and below each the names of its messages.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mutate import as_yaml, oracle_verdicts

from labsupport.model.validation import envoymessage

LIST = Path(envoymessage.__file__).with_name("envoy_messages.txt")
ROOTS = ("envoy", "xds", "udpa", "opencensus", "opentelemetry", "cel", "google.api", "google.rpc", "google.protobuf")


def nested(message: Any) -> Iterator[str]:
    """Yield the full names of a message and those inside it."""
    yield message.full_name
    for inner in message.nested_types:
        if not inner.GetOptions().map_entry:
            yield from nested(inner)


def installed() -> Iterator[str]:
    """Yield the full names of all messages with generated code for Python."""
    for root in ROOTS:
        folder = importlib.import_module(root)
        for module in pkgutil.walk_packages(folder.__path__, f"{root}."):
            if module.name.endswith("_pb2"):
                for message in importlib.import_module(module.name).DESCRIPTOR.message_types_by_name.values():
                    yield from nested(message)


def known(oracle: str, names: Iterable[str]) -> list[str]:
    """Ask which names istiod knows."""
    asked = sorted(names)
    objects = []
    for index, name in enumerate(asked):
        config = {"@type": f"type.googleapis.com/{name}", "value": None}
        patch = {"operation": "ADD", "value": {"name": "x", "typed_config": config}}
        spec = {"configPatches": [{"applyTo": "HTTP_FILTER", "patch": patch}]}
        head = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter"}
        objects.append({**head, "metadata": {"name": f"m{index}"}, "spec": spec})
    verdicts = oracle_verdicts(oracle, as_yaml(objects))
    return [name for index, name in enumerate(asked) if not verdicts[f"m{index}"]["errors"]]


def main() -> int:
    """Write the list."""
    oracle = os.environ.get("ISTIO_ORACLE", "")
    if not oracle:
        print("set ISTIO_ORACLE to the path of the oracle", file=sys.stderr)
        return 2
    given = {line for file in sys.argv[1:] for line in Path(file).read_text(encoding="utf-8").split()}
    packages: dict[str, list[str]] = {}
    found = known(oracle, {*installed(), *envoymessage.linked(), *given})
    for name in found:
        parts = name.split(".")
        start = next(index for index, part in enumerate(parts) if part[:1].isupper())
        packages.setdefault(".".join(parts[:start]), []).append(".".join(parts[start:]))
    lines: list[str] = []
    for package, names in sorted(packages.items()):
        lines += [package, *(f" {line}" for line in textwrap.wrap(" ".join(names), 118, break_on_hyphens=False))]
    LIST.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(found)} messages in {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
