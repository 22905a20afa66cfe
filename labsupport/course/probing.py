"""Requests of several kinds, each with the version that it is to meet: what judges of content rules ask.

A failure names the kind of request, the rule that took it, and why the rules before did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import FAILED, CheckOutcome
from labsupport.course.acting import explained, reasons_of
from labsupport.course.judging import claim, with_reasons

if TYPE_CHECKING:
    from labsupport.explain import Explanation
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["Probe", "at_most_rules", "is_taken", "probed", "told_by_rules"]

_EACH = 6
_TOLD = 2


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of request.

    Args:
        what: the request in words, such as ``with end-user: tester``.
        version: who is to answer; empty where no pod is to.
        url: as for ``lab.send``.
        headers: of the request.
        status: of the answer; 0 for any that is no error.
        path: that the application is to see; empty for any.
    """

    what: str
    version: str
    url: str = "http://web:8080/"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    path: str = ""


def probed(lab: Lab, probes: Iterable[Probe], *, source: str = "client") -> Iterator[CheckOutcome]:
    """Send a few requests of each kind; rules on content leave nothing to chance, so that a few tell.

    Args:
        lab: where the rules are in force.
        probes: the kinds, what matters first in front.
        source: the Deployment or pod that sends.
    """
    for probe in probes:
        seen = lab.send(probe.url, source=source, headers=probe.headers, count=_EACH, reuse_connections=True)
        title = f"a request {probe.what} is to {_wanted(probe)}"
        outcome = check.ok(seen) if not probe.status else check.status(seen, probe.status)
        if outcome.passed and probe.version:
            outcome = check.only(seen, version=probe.version)
        told = explained(lab, probe.url, source=source, headers=probe.headers)
        if outcome.passed and (not probe.path or told.upstream_path == probe.path):
            yield replace(outcome, title=title, lines=(f"✓ A request {probe.what} {_came(seen)}.",))
            continue
        met = probe.version and [*seen.share("version")] == [probe.version]
        wanted = _answered(probe, told) if met or outcome.passed else _wanted(probe)
        said = f"A request {probe.what} {_came(seen)}; it is to {wanted}."
        lines = (said, *told_by_rules(told), *reasons_of(lab, told))
        yield with_reasons(lab, seen, CheckOutcome(FAILED, title, lines, outcome.details, outcome.n))


def is_taken(lab: Lab, probe: Probe, *, source: str = "client") -> bool:
    """Whether a rule takes such a request at all, by the manifests."""
    return explained(lab, probe.url, source=source, headers=probe.headers).chosen is not None


def at_most_rules(lab: Lab, most: int, *, url: str = "http://web:8080/", source: str = "client") -> CheckOutcome:
    """Expect the caller's proxy to have no more than so many rules for a host.

    Args:
        lab: where they are in force.
        most: the budget.
        url: of a request for the host.
        source: the Deployment or pod that sends.
    """
    rules = len(explained(lab, url, source=source).rules)
    line = f"{words.plural(rules, 'rule')} for these requests; the budget is {most}."
    return claim(rules <= most, f"at most {words.plural(most, 'rule')}", line)


def _wanted(probe: Probe) -> str:
    return f"meet {probe.version}" if probe.version else f"be answered {probe.status}"


def _answered(probe: Probe, told: Explanation) -> str:
    """What is still wanted where the right pods answer."""
    if probe.path and told.upstream_path != probe.path:
        return f"come to the application as {probe.path}"
    return f"be answered {probe.status}" if probe.status else "be answered without an error"


def _came(seen: Observations) -> str:
    versions, statuses = words.join(seen.share("version")), words.join(seen.share("status"))
    if versions == "none":
        return f"is answered {statuses} by the proxy"
    return f"meets {versions}" + ("" if statuses == "200" else f", answered {statuses}")


def told_by_rules(told: Explanation) -> Iterator[str]:
    """The rule that took a request, what it made of its path, and what failed in the rules before.

    Args:
        told: why the request goes where it goes.
    """
    chosen = told.chosen
    if chosen is None:
        yield "No rule took it." if told.rules else words.sentence(told.decision)
    else:
        name = f", {chosen.name}," if chosen.name else ""
        yield f"Rule {chosen.index + 1}{name} of {chosen.object} took it."
        if told.upstream_path and not told.url.endswith(told.upstream_path):
            path = told.upstream_path
            slash = f"Its path becomes {path}, without the slash that every path begins with."
            yield f"The application sees the path {path}." if path.startswith("/") else slash
    before = [rule for rule in told.rules if rule.verdict == "no match"]
    for rule in before[:_TOLD]:
        for condition in rule.failed[:_TOLD]:
            hint = f" ({condition.hint})" if condition.hint else ""
            yield (
                f"Rule {rule.index + 1} let it pass: {condition.field} wants {condition.wanted}, "
                f"the request has {condition.got}{hint}."
            )
