"""Mutates valid objects and compares our verdicts with real istiod's.

    ISTIO_ORACLE=/path/to/istio-oracle python tests/fidelity/mutate.py --seed 1 --count 3000

Every mutation changes one to three places: a field is deleted, renamed, retyped, nulled, emptied, put out of range,
duplicated, or replaced by what some other object has there. Exits with status 1 and shows the objects if a verdict
(refused or not, warned or not) differs.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labsupport.model.kinds.gatewayapi.shared import GROUP
from labsupport.model.kinds.index import class_of
from labsupport.model.reading.documents import Document, read
from labsupport.model.schema.shape import ListShape, MapShape, ObjectShape, Shape, TextShape, shape_of
from labsupport.model.validation import validate

FOLDER = Path(__file__).parent / "validation"
BATCH = 1500

_ODD_VALUES = json.loads((Path(__file__).parent / "validation" / "odd.json").read_text(encoding="utf-8"))
_LONG = ("a" * 63, "a" * 64, "a" * 254 + ".b", "a." * 127 + "b", "x" * 1024, "x" * 1025)
TEXTS: list[str] = [*_ODD_VALUES["texts"], *_LONG]
NUMBERS: list[Any] = _ODD_VALUES["numbers"]
ODD: list[Any] = _ODD_VALUES["values"]

Path_ = tuple[str | int, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every value inside another."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(value: Any, path: Path_) -> Any:
    """Get the value at a path."""
    for key in path:
        value = value[key]
    return value


def shape_at(shape: Shape, path: Path_) -> Shape | None:
    """Get the shape at a path, None where there is none."""
    for key in path:
        if isinstance(shape, ObjectShape):
            shapes = shape.fields.get(str(key))
            if shapes is None:
                return None
            shape = shapes
        elif isinstance(shape, ListShape | MapShape):
            shape = shape.item
        else:
            return None
    return shape


def _shape_of(raw: dict[str, Any]) -> ObjectShape:
    model = class_of(raw)
    assert model is not None
    return shape_of(model)


class Mutator:
    """Makes mutations of the base objects."""

    def __init__(self, seed: int, base: str) -> None:
        self.random = random.Random(seed)
        self.base = [document.raw for document in read(FOLDER / base)]
        self.known: dict[str, list[Any]] = {}
        for raw in self.base:
            for path in places(raw["spec"]):
                if isinstance(path[-1], str):
                    self.known.setdefault(path[-1], []).append(at(raw["spec"], path))

    def make(self, index: int) -> dict[str, Any]:
        """Make the object with a number."""
        raw = copy.deepcopy(self.random.choice(self.base))
        raw["metadata"]["name"] = f"m{index}"
        self._thin(raw)
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            self._change(raw)
        if not isinstance(raw.get("metadata"), dict) or raw["metadata"].get("name") != f"m{index}":
            raw["metadata"] = {"name": f"m{index}"}
        return raw

    def _thin(self, raw: dict[str, Any]) -> None:
        """Drop some list items and fields first, so that what is left is not always the same mixture."""
        for _ in range(self.random.randrange(6)):
            paths = [path for path in places(raw["spec"]) if isinstance(path[-1], int) or len(path) > 2]
            if paths:
                path = self.random.choice(paths)
                del at(raw["spec"], path[:-1])[path[-1]]

    def _change(self, raw: dict[str, Any]) -> None:
        if not isinstance(raw.get("spec"), dict) or self.random.random() < 0.03:
            self._top(raw)
            return
        paths = list(places(raw["spec"]))
        if not paths:
            return
        path = self.random.choice(paths)
        holder, key = at(raw["spec"], path[:-1]), path[-1]
        shape = shape_at(_shape_of(raw).fields["spec"], path)
        self.random.choice(self._operations())(raw, holder, key, shape, path)

    def _top(self, raw: dict[str, Any]) -> None:
        choice = self.random.randrange(7)
        if choice == 0:
            raw["spec"] = self.random.choice(ODD)
        elif choice == 1:
            raw.pop("spec", None)
        elif choice == 2:
            raw[self.random.choice(("specs", "Spec", "status", "data"))] = self.random.choice(ODD)
        elif choice == 3:
            raw["metadata"]["labels"] = self.random.choice(
                ({"a": 1}, {"istio.io/use-waypoint": "w"}, None, {"a": "b c"})
            )
        elif choice == 4:
            odd = ({"istio.io/dry-run": "true"}, {"internal.istio.io/parents": "x"}, {"a": True}, None)
            raw["metadata"]["annotations"] = self.random.choice(odd)
        elif choice == 5:
            raw["metadata"]["namespace"] = self.random.choice(("prod", "default", "istio-system"))
        else:
            versions = ("v1", "v1beta1", "v1alpha3", "v1alpha2", "v2", "v1alpha1")
            raw["apiVersion"] = f"{raw['apiVersion'].partition('/')[0]}/{self.random.choice(versions)}"

    def _operations(self) -> list[Callable[..., None]]:
        return [
            self.delete,
            self.delete,
            self.odd,
            self.text,
            self.text,
            self.text,
            self.number,
            self.number,
            self.word,
            self.word,
            self.rename,
            self.duplicate,
            self.swap,
            self.splice,
            self.splice,
            self.add,
            self.add,
            self.add,
            self.key,
            self.list_item,
        ]

    def delete(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        del holder[key]

    def odd(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        holder[key] = copy.deepcopy(self.random.choice(ODD))

    def text(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        leaves = [at_ for at_ in places(raw["spec"]) if isinstance(at(raw["spec"], at_), str)]
        if leaves:
            path = self.random.choice(leaves)
            at(raw["spec"], path[:-1])[path[-1]] = self.random.choice(TEXTS)

    def number(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        leaves = [at_ for at_ in places(raw["spec"]) if type(at(raw["spec"], at_)) in (int, float)]
        if leaves:
            path = self.random.choice(leaves)
            at(raw["spec"], path[:-1])[path[-1]] = self.random.choice(NUMBERS)

    def word(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        spec_shape = _shape_of(raw).fields["spec"]
        leaves = []
        for place in places(raw["spec"]):
            seen = shape_at(spec_shape, place)
            if isinstance(seen, TextShape) and seen.words:
                leaves.append((place, seen.words))
        if leaves:
            place, words = self.random.choice(leaves)
            choice = self.random.choice([*words, *words, words[0].lower(), "FOO", 1])
            at(raw["spec"], place[:-1])[place[-1]] = choice

    def rename(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        if isinstance(key, str):
            snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in key)
            name = self.random.choice((snake, key + "s", key[:-1], key.capitalize(), key.upper(), "mirror_percent"))
            holder[name] = holder.pop(key)

    def duplicate(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        lists = [at_ for at_ in places(raw["spec"]) if isinstance(at(raw["spec"], at_), list) and at(raw["spec"], at_)]
        if lists:
            chosen = at(raw["spec"], self.random.choice(lists))
            chosen.insert(self.random.randrange(len(chosen) + 1), copy.deepcopy(self.random.choice(chosen)))

    def swap(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        lists = [at_ for at_ in places(raw["spec"]) if isinstance(at(raw["spec"], at_), list)]
        if lists:
            self.random.shuffle(at(raw["spec"], self.random.choice(lists)))

    def splice(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        if isinstance(key, str) and key in self.known:
            holder[key] = copy.deepcopy(self.random.choice(self.known[key]))

    def add(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        spec_shape = _shape_of(raw).fields["spec"]
        inside = [(), *(at_ for at_ in places(raw["spec"]) if isinstance(at(raw["spec"], at_), dict))]
        chosen = self.random.choice(inside)
        seen = shape_at(spec_shape, chosen)
        if isinstance(seen, ObjectShape) and seen.fields:
            name = self.random.choice(list(seen.fields))
            values = [*self.known.get(name, ()), self.random.choice(ODD)]
            if isinstance(seen.fields[name], TextShape):
                values.append(self.random.choice(TEXTS))
            else:
                values.append(self.random.choice(NUMBERS))
            at(raw["spec"], chosen)[name] = copy.deepcopy(self.random.choice(values))

    def key(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        spec_shape = _shape_of(raw).fields["spec"]
        maps = [at_ for at_ in places(raw["spec"]) if isinstance(shape_at(spec_shape, at_), MapShape)]
        maps = [at_ for at_ in maps if isinstance(at(raw["spec"], at_), dict) and at(raw["spec"], at_)]
        if maps:
            chosen = at(raw["spec"], self.random.choice(maps))
            # Longer keys are not YAML: a simple key has at most 1024 characters.
            chosen[self.random.choice(TEXTS)[:500]] = chosen.pop(self.random.choice(list(chosen)))

    def list_item(self, raw: Any, holder: Any, key: Any, shape: Any, path: Any) -> None:
        lists = [at_ for at_ in places(raw["spec"]) if isinstance(at(raw["spec"], at_), list)]
        if lists:
            chosen = at(raw["spec"], self.random.choice(lists))
            extra = self.random.choice(ODD)
            if chosen and isinstance(chosen[0], str):
                extra = self.random.choice(TEXTS)
            chosen.insert(self.random.randrange(len(chosen) + 1), copy.deepcopy(extra))


def as_yaml(objects: list[dict[str, Any]]) -> str:
    """Print objects as YAML documents (JSON is YAML)."""
    return "\n---\n".join(json.dumps(raw, ensure_ascii=False) for raw in objects)


def oracle_verdicts(oracle: str, text: str) -> dict[str, dict[str, Any]]:
    """Ask the oracle, by name of the object."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "objects.yaml")
        file.write_text(text, encoding="utf-8")
        result = subprocess.run([oracle, "validate", "-f", str(file)], capture_output=True, text=True, check=False)
    if result.returncode not in (0, 3):
        raise SystemExit(f"the oracle failed: {result.stderr[-2000:]}")
    return {entry["name"]: entry for entry in map(json.loads, result.stdout.splitlines())}


def differences(oracle: str, objects: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Yield the objects with different verdicts, with the oracle's and ours."""
    text = as_yaml(objects)
    theirs = oracle_verdicts(oracle, text)
    documents: list[Document] = read(text)
    for raw, verdict in zip(objects, validate(documents), strict=True):
        other = theirs[raw["metadata"]["name"]]
        if raw["apiVersion"].startswith(GROUP) and any("metadata." in error for error in verdict.errors):
            # Nobody in the oracle decodes the metadata of these kinds, as an API server would.
            continue
        if bool(other["errors"]) != bool(verdict.errors) or bool(other["warnings"]) != bool(verdict.warnings):
            yield raw, other, verdict


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--base", default="valid.yaml", help="file of validation/ to start from")
    parser.add_argument("--show", type=int, default=10, help="how many differences to show")
    options = parser.parse_args()
    oracle = os.environ.get("ISTIO_ORACLE", "")
    if not oracle:
        parser.error("set ISTIO_ORACLE to the path of the oracle")
    mutator = Mutator(options.seed, options.base)
    objects = [mutator.make(index) for index in range(options.count)]
    bad = 0
    refused = 0
    for start in range(0, len(objects), BATCH):
        for raw, other, verdict in differences(oracle, objects[start : start + BATCH]):
            bad += 1
            if bad <= options.show:
                shown = {"object": raw, "oracle": other, "ours": [*verdict.errors, "WARN", *verdict.warnings]}
                print(json.dumps(shown, ensure_ascii=False)[:3000], end="\n\n")
    refused = sum(1 for verdict in validate(read(as_yaml(objects))) if verdict.errors)
    print(f"seed {options.seed}: {len(objects)} mutations, {refused} refused by us, {bad} different verdicts")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
