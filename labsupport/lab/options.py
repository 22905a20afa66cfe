"""A mistyped option of a method is a learner's mistake, and is told as one: by its name, with the nearest one."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from labsupport.errors import UsageError

__all__ = ["checked", "refuse_unknown"]

_Class = TypeVar("_Class", bound=type)


def refuse_unknown(call: str, given: dict[str, Any], signature: inspect.Signature) -> None:
    """Refuse keyword arguments that a function does not have.

    Args:
        call: what the learner called, such as ``lab.send()``.
        given: the keyword arguments.
        signature: of the function.

    Raises:
        UsageError: there is no such option; with the nearest one, or all.
    """
    known = signature.parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in known):
        return
    names = [one.name for one in known if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
            options = ", ".join(one for one in names if one != "self") or "none"
            remedy = f"Did you mean {near[0]}?" if near else f"Its options: {options}."
            raise UsageError(f"{call} has no option {name!r}. {remedy}")


def checked(owner: _Class) -> _Class:
    """Let all public methods of a class refuse unknown options in words; a class decorator.

    Args:
        owner: the class; methods that it inherits are included.
    """
    for name in dir(owner):
        method = inspect.getattr_static(owner, name)
        if not name.startswith("_") and inspect.isfunction(method):
            setattr(owner, name, _checked(f"{owner.__name__.lower()}.{name}()", method))
    return owner


def _checked(call: str, method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        refuse_unknown(call, kwargs, signature)
        return method(*args, **kwargs)

    return wrapper
