"""Traffic: URLs, arguments, and batches that are waited for."""

from __future__ import annotations

import time

import pytest
from small_mesh import PacedMesh, SteppedMesh, response

from labsupport import progressbar
from labsupport.errors import EngineLostError, UsageError
from labsupport.records import TrafficSpec
from labsupport.traffic import sending
from labsupport.traffic.observations import Observations
from labsupport.traffic.spec import build_spec
from labsupport.traffic.tls import Tls
from labsupport.urls import entrance_url, parse_url


@pytest.mark.parametrize(
    ("url", "via", "service", "port", "path"),
    [
        ("gateway:/name", "gateway", "", 0, "/name"),
        ("gateway:", "gateway", "", 0, "/"),
        ("gateway:/a?b=c", "gateway", "", 0, "/a?b=c"),
        ("nodeport:web/name", "nodeport", "web", 0, "/name"),
        ("nodeport:web", "nodeport", "web", 0, "/"),
        ("nodeport:web?a=1", "nodeport", "web", 0, "/?a=1"),
        ("loadbalancer:web/name", "nodeport", "web", 0, "/name"),
        ("http://web", "service", "web", 80, "/"),
        ("http://web:8080/name?x=1&y=2", "service", "web", 8080, "/name?x=1&y=2"),
        ("http://reviews.default.svc.cluster.local:9080/", "service", "reviews.default.svc.cluster.local", 9080, "/"),
        ("gateway:80/name", "gateway", "", 0, "/name"),
        ("gateway:8081/name?a=1", "gateway", "", 8081, "/name?a=1"),
        ("gateway:8081", "gateway", "", 8081, "/"),
        ("https://shop.example/cart?a=1", "gateway", "shop.example", 443, "/cart?a=1"),
        ("https://shop.example:8443", "gateway", "shop.example", 8443, "/"),
        ("tcp://gateway:9000", "gateway", "", 9000, ""),
        ("tls://shop.example", "gateway", "shop.example", 443, ""),
        ("tls://shop.example:9443/", "gateway", "shop.example", 9443, ""),
    ],
)
def test_the_forms_are_read(url, via, service, port, path):
    target = parse_url(url)
    assert (target.via, target.service, target.port, target.path) == (via, service, port, path)
    assert parse_url(str(target)) == target


@pytest.mark.parametrize(
    ("url", "gateway", "port", "scheme"),
    [
        ("gateway/front:/a?b=c", "front", 0, "http"),
        ("gateway/front.shop:8080/a", "front.shop", 8080, "http"),
        ("gateway/front:https://shop.example:8443/a", "front", 8443, "https"),
        ("gateway/front:tcp://gateway:7000", "front", 7000, "tcp"),
    ],
)
def test_a_gateway_of_the_gateway_api_stands_in_front(url, gateway, port, scheme):
    target = parse_url(url)
    assert (target.via, target.gateway, target.port, target.scheme) == ("gateway", gateway, port, scheme)
    assert parse_url(str(target)) == target
    for wrong in ("gateway/:/a", "gateway/Front:/a"):
        with pytest.raises(UsageError):
            parse_url(wrong)


def test_the_address_of_such_a_gateway_leads_there():
    ways = {
        "gateway/front:8080": "http://127.0.0.1:1",
        "gateway/front": "http://127.0.0.1:2",
        "gateway/front:443": "https://127.0.0.1:3",
    }
    assert entrance_url("http://127.0.0.1:1/x", ways) == "gateway/front:8080/x"
    assert entrance_url("http://127.0.0.1:2", ways) == "gateway/front:/"
    assert entrance_url("https://127.0.0.1:3/x", ways) == "gateway/front:https://127.0.0.1:443/x"


def test_a_way_through_the_gateway_has_a_port_and_a_scheme():
    ways = ("gateway:/", "gateway:8081/", "https://a.example/", "tcp://gateway:9000", "tls://a.example")
    target = [parse_url(url) for url in ways]
    assert [(spec.scheme, spec.gateway_port) for spec in target] == [
        ("http", 80),
        ("http", 8081),
        ("https", 443),
        ("tcp", 9000),
        ("tls", 443),
    ]
    assert target[2].authority == "a.example" and parse_url("https://a.example:8443/").authority.endswith(":8443")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("/name", "gateway:/name"),
        ("web:8080/name", "http://web:8080/name"),
        ("gateway+https:/cart", "https://<host>/cart"),
        ("gateway:0/x", "1 to 65535"),
        ("gateway:70000/x", "1 to 65535"),
        ("https:///x", "names no service"),
        ("https://shop.example:x/", "1 to 65535"),
        ("tcp://web", "tcp://web:<port>"),
        ("tcp://gateway", "tcp://gateway:<port>"),
        ("tcp://gateway:9000/x", "body="),
        ("gateway:name", "gateway:/name"),
        ("gateway://name", "gateway:/name"),
        ("nodeport:web/x y", "%20"),
        ("nodeport:/name", "names no service"),
        ("http://[::1]/", "1 to 65535"),
        ("nodeport:", "names no service"),
        ("http:///name", "names no service"),
        ("http://Web/", "'web'"),
        ("http://we_b/", "not a service name"),
        ("http://web:0/", "1 to 65535"),
        ("http://web:99999/", "1 to 65535"),
        ("http://web:/", "1 to 65535"),
        ("http://me@web/", "not a service name"),
        ("http://web/#top", "fragment"),
        ("gateway:/x\r\nHost: y", "line break"),
        ("", "gateway:/path"),
        ("gateway", "Write gateway:/ to"),
        ("gateway/x", "Write gateway:/x to"),
        ("ftp://web/", "gateway:/path"),
        (None, "not text"),
    ],
)
def test_other_urls_are_refused_with_what_was_probably_meant(url, remedy):
    with pytest.raises(UsageError) as error:
        parse_url(url)
    assert remedy in str(error.value)


def test_defaults_follow_what_was_asked_for():
    assert build_spec("gateway:/").count == 1
    assert build_spec("gateway:/", duration_s=2).count is None
    assert build_spec("gateway:/", count=5).concurrency == 8
    assert build_spec("gateway:/", count=5, rate=10).concurrency == 64
    assert build_spec("gateway:/", count=10, simultaneous=True).concurrency == 10
    spec = build_spec("gateway:/", headers={"x-try": 1}, keep_headers=["X-Version"])
    assert (spec.headers, spec.keep_headers) == ({"x-try": "1"}, ("x-version",))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"count": 0}, "count=0"),
        ({"count": 1.5}, "count=1.5"),
        ({"count": True}, "count=True"),
        ({"count": 5, "duration_s": 1}, "only one"),
        ({"rate": 50}, "when does it end"),
        ({"count": 5, "rate": 0}, "rate=0"),
        ({"count": 5, "rate": float("nan")}, "rate=nan"),
        ({"count": 5, "rate": 1e9}, "5,000"),
        ({"duration_s": -1}, "duration_s=-1"),
        ({"duration_s": float("inf")}, "duration_s=inf"),
        ({"timeout_s": 0}, "timeout_s=0"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"users": -1}, "users=-1"),
        ({"source": "Client Pod"}, "source="),
        ({"method": "GET /"}, "method="),
        ({"method": "CONNECT"}, "method="),
        ({"body": {"a": 1}}, "body="),
        ({"headers": {"a b": "c"}}, "'a b'"),
        ({"headers": {"a": "b\r\nc: d"}}, "cannot send"),
        ({"headers": {"a": None}}, "not text"),
        ({"headers": "end-user: jason"}, "mapping"),
        ({"headers": {"A": "1", "a": "2"}}, "twice"),
        ({"headers": {"Content-Length": "3"}}, "set by the client"),
        ({"cookies": {"user": "a;b"}}, "cannot send"),
        ({"simultaneous": True, "duration_s": 2}, "simultaneous"),
        ({"simultaneous": True, "count": 5, "rate": 5}, "simultaneous"),
        ({"simultaneous": True, "count": 5000, "concurrency": 8}, "1,000"),
        ({"keep_headers": "x-version"}, "list"),
        ({"keep_headers": ["x version"]}, "keep_headers"),
        ({"keep_body": "yes"}, "keep_body"),
        ({"background": True}, "needs a rate"),
        ({"background": True, "rate": 5, "simultaneous": True}, "simultaneous"),
    ],
)
def test_senseless_arguments_are_refused_by_name(options, named):
    with pytest.raises(UsageError) as error:
        build_spec("gateway:/", **options)
    assert named in str(error.value)


def test_a_refused_description_sends_nothing():
    mesh = SteppedMesh()
    with pytest.raises(UsageError):
        sending.send(mesh, TrafficSpec(url="gateway:/", rate=5))
    assert not mesh.batches


def test_send_waits_for_all_responses():
    seen = sending.send(PacedMesh(), build_spec("gateway:/", count=20, rate=2000))
    assert isinstance(seen, Observations)
    assert [r.index for r in seen] == list(range(20))


def test_send_ends_with_its_time():
    seen = sending.send(PacedMesh(), build_spec("gateway:/", duration_s=0.1, rate=200))
    assert seen


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineLostError("gone")])
def test_an_interrupted_batch_is_stopped(error):
    def answer(index):
        if index == 3:
            raise error
        return response(index, started_s=time.time())

    mesh = PacedMesh(answer)
    with pytest.raises(type(error)):
        sending.send(mesh, build_spec("gateway:/", count=10))
    assert mesh.batches[0]._stopped


def test_progress_is_hidden_where_nobody_watches(monkeypatch, capsys):
    for name in ("CI", "PYTEST_CURRENT_TEST", "WORKSHOP_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    assert not progressbar.is_shown()
    monkeypatch.setenv("WORKSHOP_PROGRESS", "1")
    assert progressbar.is_shown()
    monkeypatch.setenv("WORKSHOP_PROGRESS", "0")
    with progressbar.bar(10, label="work") as reached:
        reached(10)
    assert capsys.readouterr() == ("", "")


def test_progress_is_shown_for_long_work_only(monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_PROGRESS", "1")
    with progressbar.bar(10, label="work") as reached:
        reached(5)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progressbar, "_DELAY_S", 0.0)
    with progressbar.bar(10, label="work") as reached:
        reached(5)
        reached(10)
    assert "work" in capsys.readouterr().err


def test_a_record_that_grows_is_shown_a_few_times_a_second_and_in_the_end(monkeypatch):
    told: list[tuple[str, object]] = []

    class Handle:
        def display(self, record: object) -> None:
            told.append(("display", record))

        def update(self, record: object) -> None:
            told.append(("update", record))

    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    with progressbar.growing() as grown:
        grown(lambda: 1, last=True)
    assert told == []
    monkeypatch.setattr(progressbar, "_in_notebook", lambda: True)
    monkeypatch.setenv("WORKSHOP_PROGRESS", "1")
    with progressbar.growing() as grown:
        for number in range(100):
            grown(lambda number=number: number)
        grown(lambda: "end", last=True)
    assert told == [("display", 0), ("update", "end")]
    # Where nobody watches, only what stays is shown.
    monkeypatch.setenv("WORKSHOP_PROGRESS", "0")
    with progressbar.growing() as grown:
        grown(lambda: 1)
        grown(lambda: "end", last=True)
    assert told[2:] == [("display", "end")]


PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("url", "options", "named"),
    [
        ("gateway:/", {"tls": Tls(ca=PEM)}, "not TLS"),
        ("http://web/", {"tls": Tls(version="1.2"), "source": "client"}, "not TLS"),
        ("tcp://gateway:9000", {"source": "client", "body": "x"}, "inside"),
        ("https://a.example/", {"tls": Tls(ca="no certificate")}, "tls: ca"),
        ("https://a.example/", {"tls": Tls(version="1.4")}, "version="),
        ("https://a.example/", {"tls": Tls(certificate=(PEM, ""))}, "belong together"),
        ("https://a.example/", {"tls": Tls(certificate=(PEM, "text"))}, "no private key"),
        ("https://a.example/", {"tls": Tls(certificate=PEM)}, "authority.client"),
        ("https://a.example/", {"tls": PEM}, "write tls=Tls("),
        ("tcp://gateway:9000", {}, "body="),
        ("tcp://gateway:9000", {"body": "x", "headers": {"a": "b"}}, "headers"),
        ("tls://a.example", {"body": "x", "reuse_connections": True}, "connection of its own"),
    ],
)
def test_what_a_scheme_does_not_allow_is_refused(url, options, named):
    with pytest.raises(UsageError) as error:
        build_spec(url, **options)
    assert named in str(error.value)


def test_options_for_tls_are_taken_and_not_shown():
    spec = build_spec("https://a.example/", tls=Tls(ca=PEM, certificate=(PEM, KEY), version="1.3"))
    assert (spec.tls.ca, spec.tls.key, spec.tls.version) == (PEM, KEY, "1.3")
    assert "BEGIN" not in repr(spec) and "secret" not in repr(spec)
    assert build_spec("https://a.example/").tls is None


def test_only_what_has_nothing_else_to_show_keeps_bodies_by_itself():
    assert build_spec("tcp://gateway:9000", body="hello").keep_body is True
    assert build_spec("https://a.example/").keep_body is False
    assert build_spec("tcp://gateway:9000", body="hello", keep_body=False).keep_body is False
