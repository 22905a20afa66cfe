"""What runs in the mesh, as HTML: pods, rules, addresses, access logs."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labsupport import words
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.marks import version_mark
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import breakable, el, esc
from labsupport.errors import UsageError
from labsupport.metrics.answers import Answer
from labsupport.metrics.series import braced
from labsupport.observe.flags import was_answered
from labsupport.observe.tables import AccessLog, LabelledPods, LabStatus, Pods, rule_name
from labsupport.records import AccessRecord, Pod, RuleStatus

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.lab.objects import Objects

__all__ = [
    "access_log_html",
    "answer_html",
    "lab_html",
    "objects_markdown",
    "pods_html",
    "status_html",
    "status_parts",
    "status_title",
]

_SHOWN_RECORDS = 200
_MOST_COLUMNS = 8
_PAGE = "productpage"


def _pod_row(pod: Pod) -> list[str]:
    ready = el("span", "✓ ready", class_="w") if pod.ready else el("b", "✗ not ready", class_="e")
    proxy = "sidecar" if pod.injected else "gateway" if pod.concurrency else "none"
    last = el("code", esc(pod.last_words)) if pod.last_words else ""
    return [esc(pod.name), version_mark(pod.version), ready, proxy, str(pod.restarts), last]


def _pods(pods: Pods) -> str:
    crashed = any(pod.last_words for pod in pods)
    heads = ["pod", "version", "state", "proxy", "restarts", "last words"]
    rows = [_pod_row(pod) for pod in pods]
    if not crashed:
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    names = ["namespace"] if pods.several_namespaces else []
    if names:
        rows = [[esc(pod.namespace), *row] for pod, row in zip(pods, rows, strict=True)]
        heads = [*names, *heads]
    if isinstance(pods, LabelledPods):
        heads.append("labels")
        labels = (esc(words.labels(pod.labels)).replace(",", ",<wbr>") for pod in pods)
        rows = [[*row, el("code", text)] for row, text in zip(rows, labels, strict=True)]
    return table(heads, rows, numeric=frozenset({4 + len(names)}), caption="pods")


def pods_html(pods: Pods) -> str:
    """A list of pods, like ``kubectl get pods``."""
    ready = sum(pod.ready for pod in pods)
    return panel("Pods", _pods(pods) if pods else "no pods", subtitle=f"{len(pods)}, {ready} ready")


def _rule_row(rule: RuleStatus, name: str) -> list[str]:
    if wrong := rule.wrong:
        name = f"{name} ({', '.join(wrong)})"
    if not rule.in_force_since_s:
        return [esc(name), "not yet" if rule.proxies else "concerns no proxy", "", ""]
    since = time.strftime("%H:%M:%S", time.localtime(rule.in_force_since_s))
    proxies = el("span", words.plural(len(rule.proxies), "proxy", "proxies"), title=", ".join(rule.proxies))
    return [esc(name), since, words.duration(rule.in_force_after_s), proxies]


def status_title(status: LabStatus) -> str:
    """What runs where, in numbers."""
    ready = sum(pod.ready for pod in status.pods)
    return (
        f"{status.engine}, namespace {status.namespace}: {words.plural(len(status.pods), 'pod')} ({ready} ready), "
        f"{words.plural(len(status.proxies), 'proxy', 'proxies')}, {words.plural(len(status.rules), 'rule')}"
    )


def status_parts(status: LabStatus) -> dict[str, str]:
    """The sections of the overview by name, so that a live one replaces only what changed.

    Args:
        status: what the lab runs.

    Returns:
        ``pods``, ``rules``, ``addresses`` and ``notes`` as HTML; a section without content is an empty text.
    """
    rules = [_rule_row(rule, rule_name(rule, status.namespace)) for rule in status.rules]
    urls = [[esc(name), _link(url)] for name, url in status.urls.items()]
    if any(pod.service == _PAGE for pod in status.pods) and (gateway := status.urls.get("gateway")):
        urls.append(["the page", _link(f"{gateway.rstrip('/')}/{_PAGE}")])
    notes = [el("div", f"▶ traffic to {esc(text)}") for text in status.traffic]
    notes += [el("div", f"⚠ {esc(text)}") for text in status.warnings]
    notes += [el("div", f"note: {esc(text)}") for text in status.notes]
    if status.last_error:
        error = el("div", el("b", "✗ last error: ", class_="e"), esc(status.last_error))
        notes.append(el("div", error, style="white-space:pre-wrap"))
    return {
        "pods": _pods(status.pods) if status.pods else "no pods",
        "rules": table(["rule", "in force since", "after", "in"], rules, caption="rules") if rules else "",
        "addresses": table(["address", "for your browser"], urls, caption="addresses") if urls else "",
        "notes": "".join(notes),
    }


def lab_html(lab: Lab) -> str:
    """That a lab is there, and what it is for; or that it is not any more."""
    try:
        status = lab.status()
    except UsageError as error:
        return panel("The lab is closed", el("div", esc(error)))
    verbs = (
        ("apply", "puts something in"),
        ("send", "sends requests"),
        ("status", "shows everything at a glance"),
        ("close", "ends it"),
    )
    lines = "".join(el("div", el("code", f"lab.{verb}()"), f" {does}") for verb, does in verbs)
    return panel("✓ The lab is open", lines, subtitle=status_title(status))


def status_html(status: LabStatus) -> str:
    """Everything at a glance."""
    parts = status_parts(status)
    sections = "".join(el("div", text) for name, text in parts.items() if text and name != "notes")
    body = [el("div", sections, class_="ws-row ws-status")]
    if parts["notes"]:
        body.append(el("div", parts["notes"], class_="ws-gap"))
    return panel("Mesh", *body, subtitle=status_title(status))


def _link(url: str) -> str:
    safe = url.startswith(("http://", "https://"))
    return el("a", esc(url), href=_href(url), target="_blank", rel="noopener") if safe else esc(url)


def _href(url: str) -> str:
    """Where the learner's browser finds an address: one of this machine behind the server that a hub has started."""
    server = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    parts = urlsplit(url)
    if not server or parts.scheme != "http" or parts.hostname != "127.0.0.1" or not find_spec("jupyter_server_proxy"):
        return url
    return f"{server}proxy/{parts.port or 80}{parts.path or '/'}"


def _record_row(record: AccessRecord) -> list[str]:
    copy = ", mirror copy" if record.mirrored else ""
    tries = f", try {record.attempt}" if record.attempt > 1 else ""
    bad = record.status >= 400 or record.status == 0
    flags = el("span", esc(record.flags), class_="e" if bad else "d", title=record.details) if record.flags else ""
    # A server's own sidecar always hands on to its own pod; and whom a request was sent to has not always answered.
    untold = record.upstream_pod in ("", record.pod) or not was_answered(record.flags)
    upstream = "" if untold else " → " + breakable(record.upstream_pod)
    cluster = el("code", breakable(words.cluster(record.cluster)), title=record.cluster) if record.cluster else "–"
    return [
        breakable(record.pod) + " " + el("span", esc(record.direction + copy + tries), class_="d l"),
        el("code", esc(record.method), " ", breakable(record.authority + record.path)),
        el("b", str(record.status), class_="e" if bad else None) + " " + flags,
        cluster + upstream,
        el("span", words.duration(record.duration_s), class_="w"),
    ]


def access_log_html(log: AccessLog) -> str:
    """Lines of access logs as a table."""
    heads = ["proxy", "request", "status", "cluster → answered by", "duration"]
    rows = [_record_row(record) for record in log[:_SHOWN_RECORDS]]
    rest = f"the first {_SHOWN_RECORDS} of {len(log):,}" if len(log) > _SHOWN_RECORDS else ""
    body = table(heads, rows, numeric=frozenset({4}), caption="access log") if rows else "no lines"
    return panel("Access log", body, subtitle=rest or words.plural(len(log), "line"))


def answer_html(answer: Answer) -> str:
    """An instant vector as a table; labels that all its elements have are told once."""
    heads, rows = answer.columns()
    if len(rows) == 1 and len(heads) > _MOST_COLUMNS:
        # One element with all labels of a metric: upright, with the value before them.
        pairs = [*zip(heads, rows[0], strict=True)]
        body = table(["", ""], [[esc(head), esc(cell)] for head, cell in (pairs[-1], *pairs[:-1])], caption="answer")
    elif rows:
        shown = [[esc(cell) for cell in row] for row in rows[:_SHOWN_RECORDS]]
        body = table(list(heads), shown, numeric=frozenset({len(heads) - 1}), caption="answer")
    else:
        body = esc(repr(answer))
    common = braced(answer.common) if len(answer) > 1 and answer.common else ""
    rest = f"the first {_SHOWN_RECORDS} of {len(rows):,}" if len(rows) > _SHOWN_RECORDS else ""
    about = [
        rest or ("a number" if answer.scalar else words.plural(len(rows), "element")),
        f"of {answer.source}",
        common,
    ]
    notes = el("p", esc(answer.note)) if answer.note else ""
    return panel("PromQL", body + notes, subtitle=", ".join(part for part in about if part))


def objects_markdown(objects: Objects) -> str:
    """One object in the colours of YAML, several by name."""
    return f"```yaml\n{objects.yaml}\n```" if len(objects) == 1 else f"```text\n{objects!r}\n```"
