"""Small languages inside fields: hosts, labels, addresses, ports, header names, regular expressions.

Each function follows what istiod's validation accepts. ``*_problem`` functions return what is wrong, or an empty text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from labsupport.model.schema.duration import GoDuration

__all__ = [
    "cidr_problem",
    "duration_problem",
    "fqdn_problem",
    "host_problem",
    "is_digits",
    "is_dns_label",
    "is_go_integer",
    "is_ip",
    "is_wildcard",
    "label_problems",
    "port_problem",
    "regex_problem",
]

_DNS_LABEL = r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_QUALIFIED = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_RE = re.compile(_DNS_LABEL)
_WILDCARD_RE = re.compile(rf"\*|(?:\*|\*-)?{_DNS_LABEL}")
_KEY_RE = re.compile(rf"({_DNS_LABEL}(?:\.{_DNS_LABEL})*/)?({_QUALIFIED})")
_VALUE_RE = re.compile(rf"(?:{_QUALIFIED})?")
_INTEGER_RE = re.compile(r"[+-]?[0-9]+")
_PREFIX_LENGTH_RE = re.compile(r"0|[1-9][0-9]{0,2}")
_MS = 1_000_000


def is_dns_label(text: str) -> bool:
    """Tell whether text is one DNS label of either case (``labels.IsDNS1123Label``)."""
    return len(text) <= 63 and _LABEL_RE.fullmatch(text) is not None


def is_wildcard(host: str) -> bool:
    """Tell whether a host starts with an asterisk."""
    return host.startswith("*")


@lru_cache(maxsize=4096)
def is_ip(text: str) -> bool:
    """Tell whether text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_go_integer(text: str) -> int | None:
    """Read text as Go's ``strconv.Atoi`` does.

    Args:
        text: digits with an optional sign.

    Returns:
        the number, or None if it is none or does not fit 64 bits.
    """
    if len(text) > 4000 or not _INTEGER_RE.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def is_digits(text: str) -> bool:
    """Tell whether text is a whole number in up to 18 ASCII digits: what ``int`` takes and 64 bits hold."""
    return 0 < len(text) <= 18 and text.isascii() and text.isdecimal()


def fqdn_problem(host: str) -> str:
    """Check a host name without wildcards.

    Args:
        host: such as ``reviews`` or ``reviews.prod.svc.cluster.local``.

    Returns:
        what is wrong; empty if nothing is.
    """
    if not host:
        return "a host must not be empty"
    if len(host.encode()) > 255:
        return "a host has at most 255 characters"
    return _labels_problem(host, host)


def _labels_problem(host: str, domain: str) -> str:
    parts = domain.split(".")
    if is_go_integer(parts[-1]) is not None:
        return f"{host[:80]!r} is not a host name: its last part must not be a number"
    for index, label in enumerate(parts):
        if index == len(parts) - 1 and not label:
            return ""
        if not is_dns_label(label):
            return _label_text(host, label)
    return ""


def _label_text(host: str, label: str) -> str:
    shown = f"{host[:80]!r} is not a host name"
    if not label:
        return f"{shown}: a part between dots is empty"
    if len(label) > 63:
        return f"{shown}: {label[:20]!r}... is longer than 63 characters"
    if ":" in label or "/" in label:
        return f"{shown}: write it without scheme, port and path"
    return f"{shown}: {label[:60]!r} must be letters, digits and inner hyphens"


def host_problem(host: str) -> str:
    """Check a host name whose first label may be ``*`` or start with it.

    Args:
        host: such as ``reviews``, ``*`` or ``*.example.com``.

    Returns:
        what is wrong; empty if nothing is.
    """
    if not host:
        return "a host must not be empty"
    if len(host.encode()) > 255:
        return "a host has at most 255 characters"
    first, dot, rest = host.partition(".")
    if len(first) > 63 or not _WILDCARD_RE.fullmatch(first):
        return _label_text(host, first)
    return _labels_problem(host, rest) if dot else ""


def cidr_problem(subnet: str) -> str:
    """Check an IP address or a block such as ``10.0.0.0/8``.

    Args:
        subnet: the text.

    Returns:
        what is wrong; empty if nothing is.
    """
    address, slash, length = subnet.partition("/")
    fine = is_ip(address) and (not slash or (_PREFIX_LENGTH_RE.fullmatch(length) is not None and "%" not in address))
    if fine and slash:
        fine = int(length) <= ipaddress.ip_address(address).max_prefixlen
    return "" if fine else f"{subnet[:80]!r} is neither an IP address nor a block such as 10.0.0.0/8"


def port_problem(number: int) -> str:
    """Check a port number.

    Args:
        number: the port.

    Returns:
        what is wrong; empty if nothing is.
    """
    return "" if 1 <= number <= 65535 else f"{number} is not a port number (1 to 65535)"


def duration_problem(duration: GoDuration) -> str:
    """Check a duration: whole milliseconds, at least one.

    Args:
        duration: the duration.

    Returns:
        what is wrong; empty if nothing is.
    """
    if duration.nanoseconds < _MS:
        return "must be at least 1ms"
    if duration.nanoseconds % _MS:
        return "must be whole milliseconds"
    return ""


def label_problems(labels: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Check labels.

    Args:
        labels: keys and values.

    Returns:
        key and what is wrong, for each label that is not valid.
    """
    problems = []
    for key, value in labels:
        match = _KEY_RE.fullmatch(key)
        if match is None or len(match[1] or "") - 1 > 253 or len(match[2]) > 63:
            problems.append((key, f"{key[:80]!r} is not a label key"))
        if not _VALUE_RE.fullmatch(value):
            problems.append((key, f"{value[:80]!r} is not a label value, which is one word without * and commas"))
    return problems


@lru_cache(maxsize=4096)
def regex_problem(pattern: str) -> str:
    """Check an RE2 regular expression, as Envoy and Istio use it.

    Args:
        pattern: the expression.

    Returns:
        what is wrong; empty if nothing is.
    """
    # The bindings of RE2 itself: Python's re accepts look-ahead and back references, which RE2 does not have.
    import re2

    if len(pattern.encode()) > 1024:
        return "a regular expression has at most 1024 characters"
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        return f"{pattern[:80]!r} is not an RE2 regular expression: {text}"
    if _SINGLE_BYTE.search(pattern):
        return f"{pattern[:80]!r} is not an RE2 regular expression: \\C is not allowed"
    return ""


_SINGLE_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
