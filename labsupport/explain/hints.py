"""Near misses: what a condition that failed for little was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labsupport.explain.regex import full_match
from labsupport.model.schema.suggest import closest

__all__ = ["about_authority", "about_path", "about_text", "absent_header", "absent_label", "absent_parameter"]


def about_path(kind: str, wanted: str, path: str, *, any_case: bool) -> str:
    """Why a path nearly fits a condition.

    Args:
        kind: ``exact``, ``prefix`` or ``regex``.
        wanted: what was written.
        path: of the request.
        any_case: whether case does not count.

    Returns:
        A clause, or an empty text.
    """
    if kind != "regex":
        if not wanted.startswith("/") and wanted:
            return "every path begins with a slash, so this never fits"
        if "?" in wanted:
            return "a path has no query here; use queryParams for it"
    if kind == "prefix" and wanted.rstrip("/") == path:
        return f"only the last slash is missing; {wanted.rstrip('/')} would fit both"
    if kind == "exact":
        if wanted.rstrip("/") == path.rstrip("/"):
            return "only the last slash differs"
        if path.startswith(wanted.rstrip("/") + "/") and wanted != "/":
            return "exact is for this path alone; prefix takes what is below it, too"
    if not any_case and _case_differs(kind, wanted, path):
        return "only the case differs; ignoreUriCase: true would do" if kind != "regex" else "only the case differs"
    return _partly(kind, wanted, path)


def about_text(kind: str, wanted: str, got: str | None) -> str:
    """Why a value nearly fits a condition; a clause, or an empty text."""
    if got is None:
        return ""
    if _case_differs(kind, wanted, got):
        return "only the case differs"
    if kind == "exact" and wanted.strip() == got.strip():
        return "only spaces differ"
    return _partly(kind, wanted, got)


def about_authority(kind: str, wanted: str, got: str | None) -> str:
    """Why the authority nearly fits; it carries the port if the client sends one."""
    name, colon, port = (got or "").rpartition(":")
    if kind == "exact" and colon and port.isdigit() and name.lower() == wanted.lower():
        return f"the client sends the port along; prefix: {wanted} would fit both"
    return about_text(kind, wanted, got)


def absent_header(name: str, given: Iterable[str], cookies: str | None = None, query: Iterable[str] = ()) -> str:
    """Which header was probably meant where one is missing; a clause, or an empty text."""
    if name in query:
        return f"{name} stands in the query; match it by queryParams"
    if cookies is not None and any(part.strip().partition("=")[0] == name for part in cookies.split(";")):
        return f"there is a cookie {name}, which is part of header cookie"
    guess = closest(name, given)
    return f"there is a header {guess}" if guess and guess.lower() != name.lower() else ""


def absent_parameter(name: str, given: Iterable[str], headers: Iterable[str]) -> str:
    """Which parameter of the query was probably meant where one is missing; a clause, or an empty text."""
    if name.lower() in headers:
        return f"{name} is a header; match it by headers"
    guess = closest(name, given)
    return f"there is a parameter {guess}" if guess else ""


def absent_label(key: str, labels: Mapping[str, str]) -> str:
    """Which label was probably meant where one is missing; a clause, or an empty text."""
    guess = closest(key, labels)
    return f"there is a label {guess}" if guess and guess != key else ""


def _case_differs(kind: str, wanted: str, got: str) -> bool:
    if kind == "exact":
        return wanted.lower() == got.lower() and wanted != got
    if kind == "prefix":
        return got.lower().startswith(wanted.lower()) and not got.startswith(wanted)
    return full_match(f"(?i:{wanted})", got) and not full_match(wanted, got)


def _partly(kind: str, wanted: str, got: str) -> str:
    if kind != "regex" or full_match(wanted, got):
        return ""
    if full_match(f"(?s:{wanted}).*", got):
        return "an expression has to fit the whole value; .* at its end would do"
    if full_match(f"(?s).*({wanted}).*", got):
        return "an expression has to fit the whole value, not a part of it"
    return ""
