"""Conditions of random rules, and values that fulfil them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from draw_world import Json, World

PATHS = ("/headers", "/headers/foo", "/headers/foo/bar", "/headers/Foo", "/", "/name", "/headers/v1/x", "/other")
ODD_PATHS = ("/headers/./foo", "/headers/x/../foo", "/headers//foo", "/headers/f%6Fo", "/headers/foo%2Fbar")
URIS: tuple[Json, ...] = (
    {"exact": "/headers"},
    {"exact": "/headers/foo"},
    {"prefix": "/headers"},
    {"prefix": "/headers/foo"},
    {"prefix": "/headers/"},
    {"prefix": "/"},
    {"prefix": ""},
    {"regex": "/headers/v[0-9]/.*"},
    {"regex": "/(name|other)"},
    {"regex": "(?i)/HEADERS/f.*"},
    {"regex": "/h"},
    {"regex": ".*"},
    {},
)
SAMPLES: dict[str, Sequence[str]] = {
    "/headers/v[0-9]/.*": ("/headers/v1/x", "/headers/v2/"),
    "/(name|other)": ("/name", "/other"),
    "(?i)/HEADERS/f.*": ("/headers/foo", "/headers/Foo"),
    "/h": ("/headers",),
    ".*": PATHS,
    "j.*n": ("jason", "jn"),
    "[0-9]+": ("1", "42"),
    "*": ("any",),
    "GET|PUT": ("GET", "PUT"),
    "(?i)(web|shop).*": ("WEB", "shop.default"),
}
TEXTS: tuple[Json, ...] = (
    {},
    {"exact": "jason"},
    {"exact": "1"},
    {"prefix": "ja"},
    {"prefix": "4"},
    {"regex": "j.*n"},
    {"regex": "[0-9]+"},
)
NAMES = ("x-a", "end-user", "X-Odd-Case")
METHODS: tuple[Json, ...] = ({"exact": "GET"}, {"prefix": "P"}, {"regex": "GET|PUT"})
AUTHORITIES: tuple[Json, ...] = ({"prefix": "web"}, {"prefix": "s"}, {"prefix": "r"}, {"regex": "(?i)(web|shop).*"})
SCHEMES: tuple[Json, ...] = ({"exact": "http"}, {"exact": "http"}, {"prefix": "https"})


class Matches:
    """Draws match entries.

    Args:
        dice: decides.
        world: what there is.
    """

    def __init__(self, dice: random.Random, world: World) -> None:
        self.dice, self.world = dice, world

    def maybe(self, share: float) -> bool:
        """Whether something with this probability happens."""
        return self.dice.random() < share

    def pick(self, of: Sequence[Any]) -> Any:
        """One of some values."""
        return self.dice.choice(of)

    def match(self, name: str, gateways: Sequence[str], ports: Sequence[int]) -> Json:
        """One entry of ``match``: one to four conditions."""
        match: Json = {"name": name} if self.maybe(0.7) else {}
        kinds = self.dice.choices(
            ("uri", "headers", "queryParams", "method", "withoutHeaders", "port", "source", "authority", "gateways",
             "space", "scheme"),
            (10, 6, 4, 3, 3, 2, 2, 2, 2, 1, 1),
            k=self.pick((1, 1, 2, 2, 3)),
        )  # fmt: skip
        for kind in dict.fromkeys(kinds):
            match |= self._condition(kind, gateways, ports)
        return match

    def _condition(self, kind: str, gateways: Sequence[str], ports: Sequence[int]) -> Json:
        if kind == "uri":
            return {"uri": self.pick(URIS), **({"ignoreUriCase": True} if self.maybe(0.25) else {})}
        if kind == "headers":
            names = self.dice.sample(NAMES, self.pick((1, 1, 1, 2)))
            pseudo = {":method": {"exact": "GET"}} if self.maybe(0.05) else {}
            return {"headers": {name: self.pick(TEXTS) for name in names} | pseudo}
        if kind == "withoutHeaders":
            return {"withoutHeaders": {self.pick(NAMES): self.pick((*TEXTS, {"regex": "*"}))}}
        if kind == "queryParams":
            return {"queryParams": {self.pick(("a", "b")): self.pick(TEXTS)}}
        if kind == "method":
            return {"method": self.pick(METHODS)}
        if kind == "authority":
            return {"authority": self.pick(AUTHORITIES)}
        if kind == "scheme":
            return {"scheme": self.pick(SCHEMES)}
        if kind == "port":
            return {"port": self.pick((*ports, *ports, 80, 9999))}
        if kind == "gateways":
            named = [name for name in gateways if name != "mesh"]
            return {"gateways": self.pick((["mesh"], named[:1] or ["mesh"], ["mesh", *named[-1:]]))}
        if kind == "source":
            return {"sourceLabels": self.pick(self.world.labels)}
        return {"sourceNamespace": self.pick((*self.world.spaces, "elsewhere"))}

    def path_for(self, match: Json) -> str:
        """A path that fulfils an entry's condition, most of the time."""
        path: str = self.value(match["uri"], PATHS) if "uri" in match else self.pick(PATHS)
        if next(iter(match.get("uri", ())), "") == "prefix" and self.maybe(0.5):
            path += self.pick(("", "x", "/x", "foo"))
        if (match.get("ignoreUriCase") and self.maybe(0.6)) or self.maybe(0.06):
            path = path.swapcase()
        elif self.maybe(0.06):
            path = self.pick(ODD_PATHS)
        return path if path.startswith("/") and not path.startswith("//") else "/"

    def value(self, wanted: Json, free: Sequence[str] = ("1", "jason", "")) -> str:
        """A text that fulfils a condition."""
        if not wanted:
            return str(self.pick(free))
        ((kind, text),) = wanted.items()
        if kind == "regex":
            return str(self.pick(SAMPLES.get(text, (text,))))
        if kind == "prefix":
            known = {"P": "PUT", "https": "https", "": "/", "web": "web", "s": "shop", "r": "ring"}
            return known.get(text, text + self.pick(("", "son", "2")))
        return str(text)
