"""Whether a description of traffic makes sense, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from labsupport.arguments import seconds, whole
from labsupport.errors import UsageError
from labsupport.records import TrafficSpec
from labsupport.traffic.tls import Tls, check_tls, tls_options
from labsupport.urls import parse_url

__all__ = ["MAX_CONCURRENCY", "MAX_COUNT", "MAX_RATE", "build_spec", "check_rate", "check_spec"]

MAX_COUNT = 1_000_000
MAX_CONCURRENCY = 1_000
MAX_RATE = 5_000.0
"""Requests per second that traffic may be asked for."""

_MAX_TIMEOUT_S = 600.0
_DEFAULT_CONCURRENCY = 8
# At a given rate the mesh's latency must not decide how many requests are sent.
_CONCURRENCY_WITH_RATE = 64

# RFC 9110, section 5.6.2: names of headers, and of methods.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_POD = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
_UNSENDABLE = re.compile(r"[\r\n\x00]")
# What the client sets itself; a wrong value would break the connection rather than teach something.
_RESERVED = frozenset({"content-length", "transfer-encoding", "connection"})


def build_spec(
    url: str,
    *,
    source: str = "outside",
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, object] | None = None,
    cookies: Mapping[str, object] | None = None,
    users: int = 0,
    count: int | None = None,
    duration_s: float | None = None,
    rate: float | None = None,
    concurrency: int | None = None,
    simultaneous: bool = False,
    hold: bool = False,
    reuse_connections: bool = False,
    timeout_s: float = 15.0,
    keep_headers: Iterable[str] = (),
    keep_body: bool | None = None,
    tls: Tls | None = None,
    background: bool = False,
) -> TrafficSpec:
    """Describe traffic.

    Args:
        url: one of the forms of ``labsupport.urls.parse_url``.
        source: ``outside``, or the name of a Deployment or pod that runs the load client.
        method: HTTP method.
        body: request body.
        headers: request headers; numbers become text. ``{user}`` and ``{index}`` are replaced.
        cookies: cookies sent with every request.
        users: deal the requests to this many users in turn, each with a cookie jar.
        count: how many requests; 1 if neither ``duration_s`` nor ``rate`` is given.
        duration_s: for how many seconds to send.
        rate: requests per second.
        concurrency: requests under way at most; by default 8, with a rate 64, with ``simultaneous`` all.
        simultaneous: start all ``count`` requests at the same moment.
        hold: with ``simultaneous``: keep each under way until the batch is released.
        reuse_connections: keep connections open; False opens one for each request.
        timeout_s: seconds until the client gives up on a request.
        keep_headers: response headers to keep in the records.
        keep_body: keep response bodies; by default only over ``tcp`` and ``tls``, which have nothing else to show.
        tls: over TLS, whom the client trusts, what it shows and its version; None trusts every server.
        background: it goes on until it is stopped, and needs a rate.

    Returns:
        A checked description.

    Raises:
        UsageError: names the first argument that makes no sense, and its accepted forms.
    """
    if count is None and duration_s is None and not background and rate is None:
        count = 1
    if concurrency is None:
        if simultaneous and isinstance(count, int) and not isinstance(count, bool):
            concurrency = max(1, count)
        else:
            concurrency = _DEFAULT_CONCURRENCY if rate is None else _CONCURRENCY_WITH_RATE
    spec = TrafficSpec(
        url=url,
        source=source,
        method=method,
        body=body,
        headers=_texts("headers", {} if headers is None else headers),
        cookies=_texts("cookies", {} if cookies is None else cookies),
        users=users,
        count=count,
        duration_s=duration_s,
        rate=rate,
        concurrency=concurrency,
        simultaneous=simultaneous,
        hold=hold,
        reuse_connections=reuse_connections,
        timeout_s=timeout_s,
        keep_headers=_names(keep_headers),
        keep_body=parse_url(url).raw if keep_body is None else keep_body,
        tls=tls_options(tls),
    )
    return check_spec(spec, background=background)


def check_spec(spec: TrafficSpec, *, background: bool = False) -> TrafficSpec:
    """Check a description of traffic.

    Args:
        spec: the description.
        background: it may go on without end, and needs a rate.

    Returns:
        The same, with the names of headers to keep in lower case.

    Raises:
        UsageError: names the first argument that makes no sense, and its accepted forms.
    """
    _check_target(spec)
    if not isinstance(spec.source, str) or not _POD.match(spec.source):
        raise UsageError(f"source={spec.source!r}: write 'outside', or the name of a Deployment or pod")
    if not isinstance(spec.method, str) or not _TOKEN.match(spec.method) or spec.method.upper() == "CONNECT":
        raise UsageError(f"method={spec.method!r}: write an HTTP method such as 'GET' or 'POST'")
    if spec.body is not None and not isinstance(spec.body, str):
        raise UsageError(f"body={spec.body!r} is not text; json.dumps(...) makes JSON text of Python values")
    _check_pairs("headers", spec.headers)
    _check_pairs("cookies", spec.cookies)
    whole("users", spec.users, 0, MAX_COUNT)
    whole("concurrency", spec.concurrency, 1, MAX_CONCURRENCY)
    if spec.count is not None:
        whole("count", spec.count, 1, MAX_COUNT)
    if spec.duration_s is not None:
        seconds("duration_s", spec.duration_s)
    if spec.rate is not None:
        check_rate(spec.rate)
    seconds("timeout_s", spec.timeout_s, _MAX_TIMEOUT_S)
    _check_end(spec, background=background)
    for name in ("simultaneous", "hold", "reuse_connections", "keep_body"):
        if not isinstance(getattr(spec, name), bool):
            raise UsageError(f"{name}={getattr(spec, name)!r}: write True or False")
    return replace(spec, keep_headers=_names(spec.keep_headers))


def _check_target(spec: TrafficSpec) -> None:
    """What a URL's scheme allows, and from where."""
    target = parse_url(spec.url)
    if target.scheme == "tcp" and target.via == "gateway" and spec.source != "outside":
        raise UsageError(
            f"url={spec.url!r} leads from outside to the gateway, and source={spec.source!r} is inside. "
            "Write tcp://<service>:<port>, or leave source out."
        )
    if spec.tls is not None and not target.secure:
        raise UsageError(f"url={spec.url!r} is not TLS, so tls has no place: write https://<host>/path")
    if spec.tls is not None:
        check_tls(spec.tls)
    if target.raw:
        if not spec.body:
            raise UsageError(f"url={spec.url!r}: say what to send, such as body='hello'")
        for name in ("headers", "cookies", "users", "keep_headers"):
            if getattr(spec, name):
                raise UsageError(f"url={spec.url!r} carries no HTTP, so {name} has no place")
        if spec.reuse_connections or spec.simultaneous:
            raise UsageError(f"url={spec.url!r}: each sending is a connection of its own, and none can be held")


def check_rate(rate: float) -> float:
    """Check a rate.

    Args:
        rate: requests per second.

    Returns:
        The rate as a float.

    Raises:
        UsageError: if it is not above 0 and at most ``MAX_RATE``.
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= MAX_RATE:
        raise UsageError(f"rate={rate!r}: a rate lies above 0 and up to {MAX_RATE:,.0f} requests per second")
    return float(rate)


def _check_end(spec: TrafficSpec, *, background: bool) -> None:
    """When it ends must be said once, and no more than once."""
    if spec.count is not None and spec.duration_s is not None:
        raise UsageError(f"count={spec.count} and duration_s={spec.duration_s:g} are both given: say only one of them")
    if background:
        if spec.rate is None:
            raise UsageError("background traffic needs a rate in requests per second, such as rate=20")
        if spec.simultaneous:
            raise UsageError("simultaneous=True starts all requests at one moment: use send(..., count=...) for it")
        return
    if spec.count is None and spec.duration_s is None:
        raise UsageError("when does it end? Add count=... (requests) or duration_s=... (seconds)")
    if spec.simultaneous:
        if spec.count is None or spec.rate is not None or spec.duration_s is not None:
            raise UsageError("simultaneous=True starts all requests at one moment: give it count=..., and no rate")
        if spec.count > MAX_CONCURRENCY:
            raise UsageError(f"count={spec.count}: at most {MAX_CONCURRENCY:,} requests can be simultaneous")
    elif spec.hold:
        raise UsageError("requests are held all together: hold=True needs simultaneous=True")


def _texts(name: str, values: Mapping[str, object]) -> dict[str, str]:
    if not isinstance(values, Mapping):
        raise UsageError(f"{name}={values!r}: write a mapping such as {name}={{'end-user': 'jason'}}")
    texts = {}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise UsageError(f"{name}[{key!r}]={value!r} is not text")
        texts[key] = str(value)
    return texts


def _check_pairs(name: str, values: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for key, value in _texts(name, values).items():
        if not isinstance(key, str) or not _TOKEN.match(key):
            raise UsageError(f"{name}: {key!r} is not a name that HTTP can send (letters, digits and '-')")
        if _UNSENDABLE.search(value) or (name == "cookies" and ";" in value):
            raise UsageError(f"{name}[{key!r}]={value!r} contains a character that HTTP cannot send in it")
        if name == "headers" and key.lower() in _RESERVED:
            raise UsageError(f"headers: {key!r} is set by the client itself")
        if name == "headers" and key.lower() in seen:
            raise UsageError(f"headers: {key!r} is given twice (upper and lower case are the same)")
        seen.add(key.lower())


def _names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UsageError(f"keep_headers={names!r}: write a list of header names, such as ['x-version']")
    listed = tuple(names)
    for name in listed:
        if not isinstance(name, str) or not _TOKEN.match(name):
            raise UsageError(f"keep_headers: {name!r} is not the name of a header")
    return tuple(name.lower() for name in listed)
