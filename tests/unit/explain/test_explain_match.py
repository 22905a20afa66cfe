"""Conditions of a match entry, one kind at a time, as Istio and Envoy read them."""

from __future__ import annotations

import pytest
from explain_world import SUBSETS, ask, to, virtual_service

from labsupport.explain.regex import full_match, substitute
from labsupport.explain.request import normal_path, query_values


def holds(match: str, *, path: str = "/reviews/0", **options: object) -> bool:
    """Whether a rule with this match entry takes the request (another rule is there for the rest)."""
    service = virtual_service(f"[{to('v1', match=f'[{match}]')}, {to('v2')}]")
    seen = ask(service, SUBSETS, url=f"http://reviews:9080{path}", **options)
    return seen.destinations[0].subset == "v1"


@pytest.mark.parametrize(
    ("uri", "path", "expected"),
    [
        ("exact: /foo", "/foo", True),
        ("exact: /foo", "/foo?a=b", True),
        ("exact: /foo", "/foo/", False),
        ("exact: /foo", "/FOO", False),
        ("prefix: /foo", "/foobar", True),
        ("prefix: /foo/", "/foo", False),
        ("prefix: /foo", "/Foo", False),
        ('prefix: ""', "/anything", True),
        ("regex: /foo", "/foo/x", False),
        ("regex: '/foo.*'", "/foo/x", True),
        ("regex: '.*\\.jpg'", "/a/b.jpg", True),
        ("regex: '/v[0-9]+'", "/v12?x=1", True),
        ("exact: /a/c", "/a/./b/../c", True),
        ("exact: /a~b", "/a%7Eb", True),
        ("exact: /a%2Fb", "/a%2Fb", True),
        ("exact: /a/b", "/a%2Fb", False),
        ("exact: /a/b", "/a//b", False),
    ],
)
def test_uri(uri: str, path: str, expected: bool) -> None:
    assert holds(f"{{uri: {{{uri}}}}}", path=path) is expected


def test_an_empty_uri_condition_takes_everything() -> None:
    assert holds("{uri: {}}")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("exact: /FoO", True), ("prefix: /FO", True), ("regex: /FOO", False), ("exact: /bar", False)],
)
def test_ignore_uri_case_is_for_exact_and_prefix_only(uri: str, expected: bool) -> None:
    assert holds(f"{{uri: {{{uri}}}, ignoreUriCase: true}}", path="/foo") is expected


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ("exact: jason", "jason", True),
        ("exact: jason", "Jason", False),
        ("exact: jason", None, False),
        ("prefix: ja", "jason", True),
        ("prefix: ja", "ann", False),
        ("regex: 'ja.*'", "jason", True),
        ("regex: ja", "jason", False),
        ("regex: '.*'", None, False),
        ("exact: jason", " jason\t", True),
        ("", "", True),
        ("", "any", True),
        ("", None, False),
    ],
)
def test_headers(condition: str, value: str | None, expected: bool) -> None:
    headers = {} if value is None else {"End-User": value}
    assert holds(f"{{headers: {{end-user: {{{condition}}}}}}}", headers=headers) is expected


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ("exact: jason", "jason", False),
        ("exact: jason", "ann", True),
        ("exact: jason", None, True),
        ("prefix: ja", None, True),
        ("regex: '.*'", None, False),
        ("regex: '*'", None, True),
        ("regex: '*'", "any", False),
        ("", None, True),
        ("", "any", False),
    ],
)
def test_without_headers(condition: str, value: str | None, expected: bool) -> None:
    headers = {} if value is None else {"end-user": value}
    assert holds(f"{{withoutHeaders: {{end-user: {{{condition}}}}}}}", headers=headers) is expected


@pytest.mark.parametrize(
    ("condition", "path", "expected"),
    [
        ("exact: 'true'", "/?test-v2=true", True),
        ("exact: 'true'", "/?test-v2=truer", False),
        ("exact: 'true'", "/?other=true", False),
        ("exact: 'true'", "/?test-v2=true&test-v2=false", True),
        ("exact: 'true'", "/?test-v2=false&test-v2=true", False),
        ("prefix: tr", "/?test-v2=true", True),
        ("regex: 't.*'", "/?a&test-v2=true", True),
        ("", "/?test-v2", True),
        ("", "/?x=test-v2", False),
    ],
)
def test_query_parameters(condition: str, path: str, expected: bool) -> None:
    assert holds(f"{{queryParams: {{test-v2: {{{condition}}}}}}}", path=path) is expected


def test_method_scheme_and_authority() -> None:
    assert holds("{method: {exact: POST}}", method="post")
    assert not holds("{method: {exact: POST}}")
    assert holds("{scheme: {exact: http}}")
    assert not holds("{scheme: {exact: https}}")
    # Envoy compares :authority as it was sent, port included and in its own case.
    assert holds("{authority: {exact: 'reviews:9080'}}")
    assert not holds("{authority: {exact: reviews}}")
    assert not holds("{authority: {exact: 'reviews:9080'}}", headers={"Host": "Reviews"})


def test_pseudo_headers_can_be_named_among_headers() -> None:
    assert holds("{headers: {':method': {exact: GET}}}")
    assert not holds("{headers: {':authority': {prefix: web}}}")


def test_conditions_of_one_entry_must_all_hold_and_entries_are_alternatives() -> None:
    both = "{uri: {prefix: /reviews}, headers: {end-user: {exact: jason}}}"
    assert holds(both, headers={"end-user": "jason"})
    assert not holds(both, path="/x", headers={"end-user": "jason"})
    assert not holds(both)
    assert holds(f"{both}, {{method: {{exact: GET}}}}")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("/a/b/", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/../a", "/a"),
        ("/a\\b", "/a/b"),
        ("/%41%2f%2e%2e/b", "/A%2f../b"),
        ("/a//b", "/a//b"),
    ],
)
def test_paths_are_normalised_before_they_are_compared(path: str, expected: str) -> None:
    assert normal_path(path) == expected


def test_of_repeated_query_parameters_the_first_counts() -> None:
    assert query_values("a=1&b&a=2&c=%20") == {"a": "1", "b": "", "c": "%20"}


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"[[:alpha:]]+", "abc", True),
        (r"[[:digit:]x]+", "1x2", True),
        (r"\Qa.b\E+", "a.bb", True),
        (r"\Qa.b\E", "axb", False),
        (r"a(?i)bc", "aBC", True),
        (r"a(?i)bc", "ABC", False),
        (r"(a(?i)b)c", "aBc", True),
        (r"(a(?i)b)c", "aBC", False),
        (r"a|(?i)b|c", "C", True),
        (r"(?i:a)b", "Ab", True),
        (r"(?U)a+", "aaa", True),
        (r"\d+", "٣", False),
        (r"\Aab\z", "ab", True),
        (r"a$", "a\n", False),
        (r"x{,2}", "x{,2}", True),
        (r"x{,2}", "xx", False),
        (r"x{2}", "xx", True),
        (r"\x{41}", "A", True),
        (r"[]a]+", "]a", True),
        (r"(?P<n>a)b", "ab", True),
        (r"[a-", "a", False),
        (r"(?=a)a", "a", False),
        (r"\pL+", "é", True),
        (r"[[:^digit:]]", "a", True),
    ],
)
def test_expressions_are_read_as_re2_does(pattern: str, text: str, expected: bool) -> None:
    assert full_match(pattern, text) is expected


def test_every_match_is_replaced_and_groups_are_put_in() -> None:
    assert substitute(r"/(\w)(\w)?", r"\2-\1\\\0", "/ab/c") == r"b-a\/ab-c\/c"
    assert substitute("a*", "x", "baac") == "xbxcx"
    assert substitute("/.*", r"/a\1", "/b") == "/b", "RE2 replaces nothing where a group is not there"
    assert substitute("/(.*)", r"/\\2\1", "/b") == r"/\2b"
