"""Make the page on the API from the docstrings of what ``labsupport`` exports: python docs/api.py (a second)."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import labsupport

PAGE = Path(__file__).with_name("api.md")
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Example|Examples|Attributes):$")
_ITEM = re.compile(r"^(\*{0,2}\w[\w.]*(?:, \w+)*): (.*)$")


class _Bare(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _inline(text: str) -> str:
    """Literals of reStructuredText as those of Markdown."""
    return re.sub(r"``(.+?)``", r"`\1`", text)


def _section(name: str, lines: list[str]) -> Iterator[str]:
    body = textwrap.dedent("\n".join(lines)).strip("\n")
    if name.startswith("Example"):
        code = textwrap.dedent(body.removeprefix("::")).strip("\n")
        yield from ("*Example:*", "", "```python", code, "```", "")
        return
    yield from (f"*{name}:*", "")
    if name == "Returns" or not _ITEM.match(body.partition("\n")[0]):
        yield from (_inline(body), "")
        return
    for line in body.splitlines():
        item = _ITEM.match(line)
        yield f"- `{item[1]}`: {_inline(item[2])}" if item else f"  {_inline(line.strip())}" if line.strip() else ""
    yield ""


def described(exported: Any) -> Iterator[str]:
    """The docstring of an exported object as Markdown, section by section."""
    section, lines = "", list[str]()
    text: list[str] = []
    for line in [*(inspect.getdoc(exported) or "").splitlines(), "End:"]:
        if (heading := _SECTION.match(line)) or line == "End:":
            if section:
                text += _section(section, lines)
            section, lines = heading[1] if heading else "", []
        elif section:
            lines.append(line)
        else:
            text.append(_inline(line))
    yield from text
    yield ""


def _signature(name: str, function: Any) -> str:
    bare = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_Bare(parameter.annotation))
        if isinstance(parameter.annotation, str)
        else parameter
        for parameter in bare.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    result = _Bare(bare.return_annotation) if isinstance(bare.return_annotation, str) else bare.return_annotation
    return f"{name}{bare.replace(parameters=parameters, return_annotation=result)}"


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class of ours has, its own and those of its bases of ours."""
    for name in dir(owner):
        if name.startswith("_"):
            continue
        home = next(base for base in owner.__mro__ if name in vars(base))
        member = inspect.getattr_static(owner, name)
        callable_or_property = isinstance(member, property | classmethod | staticmethod) or inspect.isfunction(member)
        if callable_or_property and home.__module__.startswith("labsupport") and inspect.getdoc(getattr(owner, name)):
            yield name, member


def entry(name: str, exported: Any) -> Iterator[str]:
    """What the page says of one exported name."""
    yield from (f"## {name}", "")
    if inspect.ismodule(exported):
        yield from described(exported)
        for part in sorted(exported.__all__):
            if inspect.isfunction(function := getattr(exported, part)):
                yield from (f"### {name}.{part}", "", "```python", _signature(f"{name}.{part}", function), "```", "")
                yield from described(function)
    elif inspect.isclass(exported):
        if inspect.isfunction(vars(exported).get("__init__")) and not dataclasses.is_dataclass(exported):
            yield from ("```python", _signature(name, vars(exported)["__init__"]).removesuffix(" -> None"), "```", "")
        yield from described(exported)
        for part, member in _members(exported):
            yield from (f"### {name}.{part}", "")
            function = getattr(member, "__func__", member)
            if not isinstance(member, property):
                yield from ("```python", _signature(f"{name}.{part}", function), "```", "")
            yield from described(function)
    elif inspect.isfunction(exported):
        yield from ("```python", _signature(name, exported), "```", "")
        yield from described(exported)
    else:
        yield from (f"A value of `{type(exported).__name__}`.", "")


def page() -> str:
    """The whole page."""
    lines = [
        "# The library",
        "",
        "What notebooks import from `labsupport`. Made by `docs/api.py` from the docstrings.",
        "",
    ]
    for name in sorted(labsupport.__all__, key=str.lower):
        lines += entry(name, getattr(labsupport, name))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
