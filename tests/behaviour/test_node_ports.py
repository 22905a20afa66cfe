"""The number of a node port is the one that is written, as long as nobody else on this machine has it."""

from __future__ import annotations

import socket

import pytest
import requests

from labsupport.lab.lab import Lab

pytestmark = pytest.mark.embedded

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: open}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{name: http, port: 8080, targetPort: 5000, nodePort: {number}}}]
"""


def free_number(*, above: int = 29999) -> int:
    """A node port that nobody has at the moment."""
    for number in range(above + 1, 32768):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)):
                return number
    pytest.skip("no node port is free on this machine")


def answered(address: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{address}/name", timeout=20).status_code


def test_a_node_port_has_the_number_that_is_written_and_follows_it(lab: Lab) -> None:
    first = free_number()
    try:
        for number in (first, free_number(above=first)):
            made = lab.apply(SERVICE.format(number=number))
            assert lab.urls()["nodeport:open"] == f"http://127.0.0.1:{number}"
            assert not any("in use" in note for note in made.notes)
            assert answered(lab.urls()["nodeport:open"]) == 200
    finally:
        lab.delete("svc/open")
    made = lab.apply(SERVICE.format(number=first))
    assert lab.urls()["nodeport:open"] == f"http://127.0.0.1:{first}"
    lab.delete("svc/open")


def test_a_number_that_is_in_use_is_told_and_another_one_leads_there(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_number()))
        taken.listen()
        number = taken.getsockname()[1]
        made = lab.apply(SERVICE.format(number=number))
        try:
            address = lab.urls()["nodeport:open"]
            assert address != f"http://127.0.0.1:{number}" and answered(address) == 200
            (told,) = (note for note in made.notes if f"port {number} of this machine is in use" in note)
            assert address.removeprefix("http://") in told
        finally:
            lab.delete("svc/open")


def test_a_load_balancer_is_reached_by_its_name_and_the_gateway_by_its_own(lab: Lab) -> None:
    lab.apply(SERVICE.format(number=0).replace("type: NodePort", "type: LoadBalancer"))
    try:
        assert lab.send("loadbalancer:open/name")[0].status == 200
        assert set(lab.urls()) == {"gateway", "nodeport:open"}
    finally:
        lab.delete("svc/open")
