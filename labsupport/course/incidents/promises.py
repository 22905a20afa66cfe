"""What is promised of the normal state: what users meet and wait for, and what it costs, never how rules are written.

Each promise is of one of five kinds: ``traffic``, ``time``, ``flags``, ``metric`` and ``untouched``. All count exactly,
or hold with room to spare, so that chance has no part in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from string import Template
from typing import TYPE_CHECKING, Any, Literal

import yaml

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.incidents.kinds import normal
from labsupport.course.judging import claim, joined
from labsupport.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["PAGE", "PROMISES", "Look", "Promise"]

PAGE = "gateway:/productpage"
HICCUP = "SERVICE=ratings, DELAY_S=0.3, FAIL_FIRST_TRIES=1"
OUTAGE = "SERVICE=ratings, FAIL_STATUS=503"
HANG = "SERVICE=ratings, DELAY_S=6"
_RATINGS, _ANOTHER = "ratings-v1", "anna"
# Where half of all goes wrong by chance, 18 pages show nothing of it less than once in 10^5 times.
_EACH, _SPECIAL, _BAD, _AT_ONCE = 9, 9, 4, 9
_QUICK_S, _HANG_S, _TRIES = 1.5, 3.0, 2


class Look:
    """The mesh as it is at one moment: what was sent is sent once for all promises.

    Args:
        lab: where to look.
        values: what was drawn of the normal state.
    """

    def __init__(self, lab: Lab, values: Mapping[str, str]) -> None:
        self.lab, self.values = lab, values

    def pages(self, count: int, **headers: str) -> Observations:
        """Load pages.

        Args:
            count: how many.
            **headers: of the requests, with ``_`` for ``-``.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.lab.send(PAGE, headers=named, count=count, concurrency=_AT_ONCE, keep_body=True)

    @cached_property
    def special(self) -> Observations:
        """Pages of the one reader who meets another version."""
        return self.pages(_SPECIAL, end_user=self.values["USER"])

    @cached_property
    def others(self) -> Observations:
        """Pages of others, with a name and without."""
        return self.pages(_EACH) + self.pages(_EACH, end_user=_ANOTHER)


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise.

    Args:
        name: short.
        kind: of which of the five kinds it is.
        text: what is promised, with ``$USER`` and the like.
        headers: with which a page is asked for where it is looked at; empty for none.
        holds: looks whether it is kept, and says what was seen.
    """

    name: str
    kind: Literal["traffic", "time", "flags", "metric", "untouched"]
    text: str
    headers: Mapping[str, str]
    holds: Callable[[Look], Iterator[CheckOutcome]]

    def told(self, values: Mapping[str, str]) -> str:
        """What is promised, with what was drawn.

        Args:
            values: name to what stands for it.
        """
        return Template(self.text).substitute(values)

    def request(self, values: Mapping[str, str]) -> str:
        """The call that sends one of its requests; empty where none is sent.

        Args:
            values: name to what stands for it.
        """
        if self.kind == "untouched":
            return ""
        headers = {name: Template(value).substitute(values) for name, value in self.headers.items()}
        return f'lab.send("{PAGE}"' + (f", headers={headers})" if headers else ")").replace("'", '"')

    def kept(self, look: Look) -> CheckOutcome:
        """Whether it is kept, under what is promised as a title.

        Args:
            look: at the mesh.
        """
        title = self.told(look.values)
        try:
            outcome = joined(*_until_broken(self.holds(look)))
        # An entrance, or whoever is asked, may be gone: that is an answer, and not a fault of the mesh.
        except (NotFoundError, UsageError) as error:
            outcome = claim(False, title, *str(error).splitlines())
        return CheckOutcome(outcome.state, title, outcome.lines, n=outcome.n)


def _until_broken(outcomes: Iterator[CheckOutcome]) -> Iterator[CheckOutcome]:
    for outcome in outcomes:
        yield outcome
        if not outcome.passed:
            return


def _whole(seen: Observations) -> Iterator[CheckOutcome]:
    """Pages that came, and on which no part says that it is missing."""
    yield check.ok(seen)
    lacking = sum('"error"' in response.body for response in seen)
    line = f"{lacking} of {words.plural(len(seen), 'page')} lack a part: details, reviews or stars."
    yield claim(not lacking, "pages lack nothing", line)


def _met(seen: Observations, version: str) -> Iterator[CheckOutcome]:
    yield from _whole(seen)
    yield check.only(seen, version=version, service="reviews")


def _special(look: Look) -> Iterator[CheckOutcome]:
    yield from _met(look.special, look.values["SPECIAL"])


def _others(look: Look) -> Iterator[CheckOutcome]:
    yield from _met(look.others, look.values["USUAL"])


def _no_flags(look: Look) -> Iterator[CheckOutcome]:
    log = look.lab.access_log(look.special + look.others)
    counts: dict[str, int] = {}
    for record in log:
        if record.flags:
            counts[record.flags] = counts.get(record.flags, 0) + 1
    told = words.join(f"{flag} {count} times" for flag, count in sorted(counts.items()))
    yield claim(bool(log) and not counts, "no flags", f"Response flags in {len(log)} lines of the logs: {told}.")


def _calls(look: Look) -> Iterator[CheckOutcome]:
    calls, pages = look.lab.access_log(look.others).received(_RATINGS), len(look.others)
    line = f"The proxy of ratings logged {words.plural(calls, 'call')} for {words.plural(pages, 'page')}."
    yield claim(calls == pages, "one call for a page", line)


def _quick(look: Look) -> Iterator[CheckOutcome]:
    yield check.duration(look.others, at_most_s=_QUICK_S)


def _hiccup(look: Look) -> Iterator[CheckOutcome]:
    yield from _whole(look.pages(_AT_ONCE, x_fault=HICCUP))


def _outage(look: Look) -> Iterator[CheckOutcome]:
    seen = look.pages(_BAD, x_fault=OUTAGE)
    yield check.ok(seen)
    calls = look.lab.access_log(seen).received(_RATINGS)
    line = f"The proxy of ratings logged {words.plural(calls, 'call')} for {words.plural(len(seen), 'page')}."
    yield claim(calls <= _TRIES * len(seen), "two calls at most", line)


def _hang(look: Look) -> Iterator[CheckOutcome]:
    seen = look.pages(_BAD, x_fault=HANG)
    yield check.ok(seen)
    yield check.duration(seen, at_most_s=_HANG_S)


def _after(look: Look) -> Iterator[CheckOutcome]:
    yield from _whole(look.pages(_BAD))


def _untouched(look: Look) -> Iterator[CheckOutcome]:
    """Deployments are as they were given, and each has a pod: a mesh is repaired by its rules."""
    ready = {pod.workload for pod in look.lab.pods() if pod.ready}
    there = {resource.name: resource.raw for resource in look.lab.get("Deployment")}
    given = (yaml.safe_load(text) for ref, text in normal().items() if ref.startswith("Deployment/"))
    lines = []
    for deployment in given:
        name = deployment["metadata"]["name"]
        if name not in there:
            lines.append(f"Deployment/{name} is gone: without it nobody is to be met. Apply it again.")
        elif _program(there[name]) != _program(deployment):
            lines.append(f"The labels or settings of {name} are not as given. An incident is repaired without them.")
        elif name not in ready:
            lines.append(f"No pod of {name} is ready: whoever is not there breaks nothing, and serves nobody.")
    yield claim(not lines, "applications untouched", *(lines or ["All are as given, and have a pod."]))


def _program(deployment: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and variables of the pods of a Deployment; engines add to the rest."""
    template = deployment["spec"]["template"]
    labels = {name: value for name, value in template["metadata"]["labels"].items() if name in ("app", "version")}
    settings = template["spec"]["containers"][0].get("env", [])
    return labels, {entry["name"]: str(entry.get("value")) for entry in settings}


PROMISES = (
    Promise(
        "untouched",
        "untouched",
        "The applications are as they were given: labels, settings, and a pod of each.",
        {},
        _untouched,
    ),
    Promise(
        "special",
        "traffic",
        "$USER meets $SPECIAL of reviews, on pages that lack nothing.",
        {"end-user": "$USER"},
        _special,
    ),
    Promise("others", "traffic", "All others meet $USUAL of reviews, on pages that lack nothing.", {}, _others),
    Promise("flags", "flags", "No proxy has a response flag to report of these pages.", {}, _no_flags),
    Promise("calls", "metric", "A page of others costs one call to ratings, by the access log.", {}, _calls),
    Promise("quick", "time", f"Half of the pages take {_QUICK_S:g} s at most.", {}, _quick),
    Promise(
        "hiccup",
        "traffic",
        "If a first call to ratings fails, after 0.3 s, the page lacks nothing all the same.",
        {"x-fault": HICCUP},
        _hiccup,
    ),
    Promise(
        "outage",
        "metric",
        "While ratings fails, a page comes all the same, and costs two calls to ratings at most.",
        {"x-fault": OUTAGE},
        _outage,
    ),
    Promise(
        "hang", "time", f"While ratings hangs, half of the pages take {_HANG_S:g} s at most.", {"x-fault": HANG}, _hang
    ),
    Promise("after", "traffic", "After such a moment, pages lack nothing.", {}, _after),
)
