"""TCP traffic shifting: the words of a gateway's connections come from one version, then from both."""

from __future__ import annotations

from task_manifests import Apply

from labsupport import check
from labsupport.lab.lab import Lab


def test_connections_are_shifted_by_weight(lab: Lab, apply: Apply) -> None:
    apply("curl", "tcp-echo-services", "tcp-echo-all-v1")
    words = [seen.body for seen in lab.send("tcp://gateway:31400", body="now", count=20)]
    assert words == ["one now"] * 20
    apply("tcp-echo-20-v2")
    seen = lab.send("tcp://gateway:31400", body="now", count=200)
    assert check.share(seen, {"one": 80, "two": 20})
