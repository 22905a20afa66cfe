"""What a learner gives a public verb: taken where it is plain what is meant, else refused before anything is done.

``checked`` reads the annotations of a verb. A wrong argument is a learner's mistake, and is told as one: by its name,
with what was given, what may be given, and what the docstring says of it; so is a mistyped option, with the nearest.
What is ``Annotated`` the verb checks itself.
"""

from __future__ import annotations

import abc
import collections.abc
import dataclasses
import difflib
import functools
import inspect
import json
import math
import numbers
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Self, TypeVar

from labsupport import words
from labsupport.errors import UsageError

__all__ = ["MAX_SECONDS", "Taking", "a_kind", "check_options", "checked", "plain", "seconds", "shown", "whole"]

MAX_SECONDS = 86_400.0
"""The longest that anything is waited for, or lasts."""

_LASTING = ("timeout_s", "duration_s", "span_s", "seconds")
_LONGEST = 60
_MANY = (collections.abc.Iterable, collections.abc.Collection, collections.abc.Sequence)
_UNIONS = (typing.Union, types.UnionType)
_EXAMPLES: dict[object, str] = {
    float: " such as {'v1': 90, 'v2': 10}",
    int: " such as {200: 2, 503: 8}",
    str: " such as {'end-user': 'jason'}",
}
_FORMS: dict[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    type(None): "None",
}

_Checked = TypeVar("_Checked", bound=Callable[..., Any])


class Taking(abc.ABC):
    """A class that makes one of its own of other values where a verb asks for it."""

    @classmethod
    @abc.abstractmethod
    def _from_given(cls, given: object, name: str) -> Self:
        """Make one of its own.

        Args:
            given: what a learner gave.
            name: of the argument.

        Raises:
            UsageError: nothing of this class can be made of it.
        """


class _Unfit(Exception):
    """A value is not of a kind."""

    def __init__(self, name: str, value: object, kind: object) -> None:
        super().__init__()
        self.name, self.value, self.kind = name, value, kind


def checked(owner: _Checked) -> _Checked:
    """Let a function, or all public methods of a class, check what they are given; a decorator.

    Args:
        owner: a function; or a class, whose inherited methods are included.
    """
    if not isinstance(owner, type):
        return typing.cast(_Checked, _careful(_Verb(f"{owner.__name__}()", owner)))
    for name in dir(owner):
        method = inspect.getattr_static(owner, name)
        if not inspect.isfunction(method) or not method.__module__.startswith(__package__):
            continue
        if not name.startswith("_"):
            setattr(owner, name, _careful(_Verb(f"{owner.__name__.lower()}.{name}()", method)))
        elif name == "__init__" and name in vars(owner) and not dataclasses.is_dataclass(owner):
            setattr(owner, name, _careful(_Verb(f"{owner.__name__}()", method, explained=owner)))
    return owner


def check_options(call: str, made: type, options: dict[str, Any]) -> dict[str, Any]:
    """Check keyword arguments for a class that is not to be made yet.

    Args:
        call: what the learner called, such as ``Lab(engine='embedded')``.
        made: the class.
        options: the keyword arguments.

    Returns:
        The same, each as the class takes it.

    Raises:
        UsageError: there is no such option, or it is of a wrong kind.
    """
    verb = _Verb(call, inspect.getattr_static(made, "__init__"), explained=made)
    return verb.bound((None,), options).kwargs


def plain(name: str, value: object) -> Any:
    """A value as JSON has it: mappings with texts as keys, lists, texts, numbers, True, False and None.

    Args:
        name: of the argument.
        value: what was given; any mapping is taken for a dict, and a tuple for a list.

    Raises:
        UsageError: there is something else in it.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False, default=_as_json))
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is too deep" if isinstance(error, RecursionError) else _why_no_json(error)
        raise UsageError(f"{name}: only texts, numbers, lists, mappings have a place in it; {why}.") from error


def shown(name: str, value: object) -> str:
    """An argument in a message: its value if that is short, else what it is, such as ``count='many'``.

    Args:
        name: of the argument.
        value: what was given.
    """
    if value is None or (isinstance(value, bool | int | float | str) and len(repr(value)) <= _LONGEST):
        return f"{name}={value!r}"
    return f"{name} ({a_kind(type(value))})"


def a_kind(kind: type) -> str:
    """A class in a sentence, such as ``an int``.

    Args:
        kind: the class.
    """
    return f"{'an' if kind.__name__[0] in 'aeioAEIO' else 'a'} {kind.__name__}"


def whole(name: str, value: object, low: int, high: int) -> int:
    """A whole number within bounds.

    Args:
        name: of the argument.
        value: what was given.
        low: the smallest.
        high: the largest.

    Raises:
        UsageError: it is none.
    """
    try:
        number: int = _number(name, int, value)
    except _Unfit:
        number = low - 1
    if not low <= number <= high:
        raise UsageError(f"{shown(name, value)}: a whole number from {low:,} to {high:,}")
    return number


def seconds(name: str, value: object, high: float = MAX_SECONDS) -> float:
    """A number of seconds above 0.

    Args:
        name: of the argument.
        value: what was given.
        high: the largest.

    Raises:
        UsageError: it is none.
    """
    try:
        number: float = _number(name, float, value)
    except _Unfit:
        raise UsageError(f"{shown(name, value)}: a number of seconds") from None
    if not 0 < number <= high:
        raise UsageError(f"{shown(name, value)}: seconds above 0 and up to {high:,.0f}")
    return number


class _Verb:
    """What a function asks for.

    Args:
        call: what a learner calls it, such as ``lab.send()``.
        function: the function.
        explained: whose docstring tells of its arguments, if that is not its own.
    """

    def __init__(self, call: str, function: Callable[..., Any], *, explained: object = None) -> None:
        self.call, self.function = call, function
        self._explained = explained or function
        self._signature = inspect.signature(function)

    @functools.cached_property
    def _kinds(self) -> dict[str, object]:
        """The kinds of the arguments; without those whose names are there for type checkers only."""
        # Read at the first call, when everything that the module names is there.
        names = inspect.unwrap(self.function).__globals__
        kinds = {}
        for name, parameter in self._signature.parameters.items():
            if isinstance(parameter.annotation, str) and parameter.kind is not parameter.VAR_KEYWORD:
                try:
                    kinds[name] = eval(parameter.annotation, names)
                except NameError:
                    continue
        return kinds

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """The arguments of a call, each as the function takes it.

        Raises:
            UsageError: there are too few or too many, or one is of a wrong kind.
        """
        self._refuse_unknown(kwargs)
        try:
            given = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self.call}: {error}. Write {self.call[:-2]}{self._form()}.") from None
        for name, kind in self._kinds.items():
            if name in given.arguments:
                value = given.arguments[name]
                if self._signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                    given.arguments[name] = tuple(self._taken(name, kind, item) for item in value)
                else:
                    given.arguments[name] = self._taken(name, kind, value)
        return given

    def _taken(self, name: str, kind: object, value: object) -> Any:
        try:
            value = _fit(name, kind, value)
        except _Unfit as unfit:
            form = _form(unfit.kind)
            raise UsageError(f"{shown(unfit.name, unfit.value)}: give {form}{self._told(name, form)}.") from None
        return seconds(name, value) if name in _LASTING and value is not None else value

    def _told(self, name: str, form: str) -> str:
        """What the docstring says of an argument beyond its form, up to the end of its first sentence."""
        text = inspect.getdoc(self._explained) or ""
        told = re.search(rf"^    \**{name}: (.*(?:\n {{8,}}.*)*)", text, re.MULTILINE)
        if told is None:
            return ""
        first = re.split(r"\.(?:\s|$)", " ".join(told[1].split()))[0]
        # Of words to choose from, many a docstring says what is told already.
        known = set(re.findall(r"\w+", form))
        return f" ({first.replace('``', '')})" if set(re.findall(r"\w+", first)) - known else ""

    def _form(self) -> str:
        bare = [
            parameter.replace(annotation=parameter.empty)
            for name, parameter in self._signature.parameters.items()
            if name not in ("self", "cls")
        ]
        return str(inspect.Signature(bare))

    def _refuse_unknown(self, given: Iterable[str]) -> None:
        known = self._signature.parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
            return
        by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [parameter.name for parameter in known if parameter.kind in by_name and parameter.name != "self"]
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
                remedy = f"Did you mean {near[0]}?" if near else f"Its options: {', '.join(names) or 'none'}."
                raise UsageError(f"{self.call} has no option {name!r}. {remedy}")


def _careful(verb: _Verb) -> Callable[..., Any]:
    @functools.wraps(verb.function)
    def careful(*args: Any, **kwargs: Any) -> Any:
        given = verb.bound(args, kwargs)
        return verb.function(*given.args, **given.kwargs)

    return careful


def _fit(name: str, kind: object, value: Any) -> Any:
    """A value as one of a kind; ``_Unfit`` if it is none."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in _UNIONS:
        return _fit_any(name, kind, inner, value)
    if kind is float or kind is int:
        return _number(name, kind, value)
    if origin is Literal:
        fits = any(type(value) is type(member) and value == member for member in inner)
    elif origin is collections.abc.Callable:
        fits = callable(value)
    elif origin is collections.abc.Mapping:
        fits = isinstance(value, Mapping)
        if fits and inner[1] is not str:
            parts = {key: _fit(f"{name}[{key!r}]", inner[1], part) for key, part in value.items()}
            for key, part in parts.items():
                if inner[1] in (int, float) and part < 0:
                    raise UsageError(f"{name}[{key!r}]={part!r}: give numbers from 0.")
            return value if all(parts[key] is part for key, part in value.items()) else parts
    elif origin in _MANY:
        fits = isinstance(value, typing.cast(type, origin)) and not isinstance(value, str | bytes | Mapping)
        if fits and origin is collections.abc.Sequence:
            return [_fit(name, inner[0], item) for item in value]
    elif origin is tuple:
        fits = isinstance(value, tuple | list) and len(value) == len(inner)
        if fits:
            return tuple(_fit(name, part, item) for part, item in zip(inner, value, strict=True))
    elif kind is None:
        fits = value is None
    elif isinstance(kind, type) and kind not in (object, Any) and not kind.__dict__.get("_is_protocol"):
        fits = isinstance(value, kind)
        if not fits and issubclass(kind, Taking):
            return kind._from_given(value, name)
    else:
        fits = True
    if not fits:
        raise _Unfit(name, value, kind)
    return value


def _fit_any(name: str, kind: object, alternatives: Iterable[object], value: Any) -> Any:
    # What makes one of its own of other values comes last: it refuses in its own words.
    later: list[object] = []
    nearest: _Unfit | None = None
    for alternative in alternatives:
        if isinstance(alternative, type) and issubclass(alternative, Taking) and not isinstance(value, alternative):
            later.append(alternative)
            continue
        try:
            return _fit(name, alternative, value)
        except _Unfit as unfit:
            nearest = unfit if unfit.name != name else nearest
    if later:
        return _fit(name, later[0], value)
    raise nearest or _Unfit(name, value, kind)


def _number(name: str, kind: type, value: Any) -> Any:
    """A number, those of numpy included, as Python's own."""
    wanted = numbers.Integral if kind is int else numbers.Real
    try:
        if isinstance(value, wanted) and not isinstance(value, bool) and math.isfinite(value):
            return value if isinstance(value, int | float) else kind(value)
    except OverflowError:
        pass
    raise _Unfit(name, value, kind)


def _form(kind: object) -> str:
    """What may be given, in words."""
    return words.join(dict.fromkeys(_forms(kind)), "or")


def _forms(kind: object) -> Iterator[str]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in _FORMS:
        yield _FORMS[kind]
    elif origin in _UNIONS:
        for alternative in sorted(inner, key=lambda part: part is type(None)):
            yield from _forms(alternative)
    elif origin is Literal:
        yield from map(repr, inner)
    elif origin is collections.abc.Callable:
        yield "a function"
    elif origin is collections.abc.Mapping:
        yield f"a mapping{_EXAMPLES.get(inner[1], '')}"
    elif origin is tuple:
        each = words.join(map(_form, dict.fromkeys(inner)), "or")
        yield f"{words.plural(len(inner), 'value')} in brackets, each {each}"
    elif origin in _MANY:
        yield "a list"
    elif isinstance(kind, type):
        yield a_kind(kind)


def _why_no_json(error: Exception) -> str:
    """What Python says of a value that JSON cannot hold, in our words."""
    said = str(error)
    if said.startswith("Circular"):
        return "it contains itself"
    if said.startswith("Out of range"):
        return "infinity and NaN are no numbers there"
    return "a key is no text" if said.startswith("keys") else said


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"it holds {a_kind(type(value))}")
