"""What we write into the status of Gateways and HTTPRoutes equals what istiod writes, for the corpus (no Go needed)."""

from __future__ import annotations

import pytest
from cases import Case, cases, read_lines
from statuses import STATUSES, THEMES, ours

ALL = [pytest.param(case, id=f"{case.theme}/{case.name}") for theme in THEMES for case in cases(theme)]
SAID = {
    (theme, record["case"]): record["says"] for theme in THEMES for record in read_lines(STATUSES / f"{theme}.jsonl")
}


@pytest.mark.parametrize("case", ALL)
def test_the_status_equals_istiods(case: Case) -> None:
    assert ours(case.text) == SAID[case.theme, case.name]


def test_every_reason_is_among_what_istiod_said() -> None:
    reasons = {line.partition(": ")[0].rsplit(" ", 1)[-1] for lines in SAID.values() for line in lines}
    assert reasons >= {
        "BackendNotFound",
        "HostnameConflict",
        "InvalidCACertificateKind",
        "InvalidCertificateRef",
        "InvalidRouteKinds",
        "ListenersNotValid",
        "NoMatchingListenerHostname",
        "NoMatchingParent",
        "NotAllowedByListeners",
        "ProtocolConflict",
        "RefNotPermitted",
        "UnsupportedAddress",
        "UnsupportedProtocol",
    }
