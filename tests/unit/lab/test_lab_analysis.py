"""Notes about the whole mesh follow what this mesh does."""

import pytest
from small_engine import SmallEngine

from labsupport.lab.analysis import Analysis
from labsupport.model import parse
from labsupport.model.reading.documents import read

BOTH = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default}
spec: {parentRefs: [{group: "", kind: Service, name: web}], rules: [{backendRefs: [{name: web, port: 80}]}]}
"""


@pytest.mark.parametrize(
    ("export_to", "winner"), [((), "only the HTTPRoute"), (("*",), "only the HTTPRoute"), ((".",), "only the Vir")]
)
def test_of_two_notations_the_one_counts_that_is_shown_to_fewer(export_to: tuple[str, ...], winner: str) -> None:
    engine = SmallEngine()
    engine.default_export_to = export_to
    told = Analysis().renew(engine, parse(read(BOTH)), [])
    assert any(winner in text for text in told)
