"""TCP traffic shifting in a namespace of its own: a gateway's connections reach one version, then both."""

from __future__ import annotations

from task_manifests import MANIFESTS

from labsupport import check
from labsupport.lab.lab import Lab

SPACE = "tcp-traffic-shifting"
NAMESPACE = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {SPACE}, labels: {{istio-injection: enabled}}}}
"""


def test_connections_are_shifted_by_weight(lab: Lab) -> None:
    lab.apply(NAMESPACE)

    def apply(*names: str) -> None:
        for name in names:
            lab.apply(MANIFESTS / f"{name}.yaml", namespace=SPACE)

    apply("curl", "tcp-echo-services", "tcp-echo-all-v1")
    words = [seen.body for seen in lab.send("tcp://gateway:31400", body="now", count=20)]
    assert words == ["one now"] * 20
    apply("tcp-echo-20-v2")
    shown = lab.get("virtualservice", "tcp-echo", namespace=SPACE).yaml
    assert "weight: 80" in shown and "weight: 20" in shown
    seen = lab.send("tcp://gateway:31400", body="now", count=200)
    assert check.share(seen, {"one": 80, "two": 20})

    lab.delete(MANIFESTS / "tcp-echo-all-v1.yaml", namespace=SPACE)
    assert not lab.get("virtualservice", namespace=SPACE)
    assert {seen.outcome for seen in lab.send("tcp://gateway:31400", body="now", count=3)} == {"connection"}
    for name in ("curl", "tcp-echo-services"):
        lab.delete(MANIFESTS / f"{name}.yaml", namespace=SPACE)
    lab.delete(f"namespace/{SPACE}")
    assert SPACE not in {space.name for space in lab.get("namespace")}
