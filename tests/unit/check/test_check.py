"""Checks: what passes, what fails, what is said about it, and how often a correct mesh fails."""

from __future__ import annotations

import itertools
import re

import pytest
from small_mesh import response

from labsupport import check, statistics
from labsupport.errors import CheckFailed, UsageError
from labsupport.records import AccessRecord, Hop
from labsupport.traffic.observations import Observations
from labsupport.traffic.window import Window


def seen(counts: dict[str, int], **fields) -> Observations:
    """So many responses of each version; the version ``""`` is a request that nobody answered."""
    versions = itertools.chain.from_iterable([version] * count for version, count in counts.items())
    return Observations(
        response(i, version, status=200 if version else 503, outcome="ok" if version else "http_error", **fields)
        for i, version in enumerate(versions)
    )


CHECKS = {
    "share": lambda obs: check.share(obs, {"v1": 90, "v2": 10}),
    "same_share": lambda obs: check.same_share(obs, obs, "v1"),
    "exactly": lambda obs: check.exactly(obs, {"v1": 2}),
    "only": lambda obs: check.only(obs, version="v1"),
    "none": lambda obs: check.none(obs, version="v2"),
    "status": lambda obs: check.status(obs, 200),
    "ok": lambda obs: check.ok(obs),
    "even": lambda obs: check.even(obs, among=2),
    "between": lambda obs: check.between(obs, 1, 2, version="v1"),
    "sticky": lambda obs: check.sticky(obs),
    "moved": lambda obs: check.moved(obs, obs, at_most=1),
    "duration": lambda obs: check.duration(obs, at_most_s=10),
    "slower": lambda obs: check.slower(obs, obs),
    "received": lambda obs: check.received(obs, {"web-v1": 2}),
    "copied": lambda obs: check.copied(obs, {"web-v1": 50}),
}


def test_every_check_is_held_to_the_rules_below():
    # What looks at access logs or at endpoints instead of responses has tests of its own.
    functions = {name for name in check.__all__ if name.islower() and name not in ("all_of", "ejections", "flags")}
    assert functions == set(CHECKS)
    assert functions >= check.RANDOM_CHECKS


@pytest.mark.parametrize("name", CHECKS)
def test_no_responses_fail(name):
    outcome = CHECKS[name](Observations())
    assert outcome.state is check.FAILED
    assert "no responses" in repr(outcome)


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_sent_is_not_attempted(name):
    assert CHECKS[name](None).state is check.NOT_ATTEMPTED


def test_consistent_share_passes_and_says_what_it_rules_out():
    outcome = check.share(seen({"v1": 902, "v2": 98}), {"v1": 90, "v2": 10}, reject={"pods 8:2": {"v1": 8, "v2": 2}})
    assert outcome and outcome.n == 1000 and outcome.alpha == statistics.ALPHA
    assert outcome.rejects == ("pods 8:2",)
    assert outcome.interval["v2"].holds(0.098) and outcome.expected == {"v1": 0.9, "v2": 0.1}
    text = repr(outcome)
    for part in (
        "PASSED",
        "n = 1,000 requests",
        "98 seen, 9.8 %",
        "99.999 % interval",
        "10.0 % expected",
        "consistent",
    ):
        assert part in text


@pytest.mark.parametrize("counts", [{"v1": 800, "v2": 200}, {"v1": 1000}, {"v1": 98, "v2": 902}])
def test_other_share_fails(counts):
    outcome = check.share(seen(counts), {"v1": 90, "v2": 10})
    assert outcome.state is check.FAILED and "not consistent" in repr(outcome)
    assert outcome.p_value is not None and outcome.p_value < outcome.alpha


def test_weights_are_relative():
    assert check.share(seen({"v1": 300, "v2": 100}), {"v1": 3, "v2": 1})


def test_all_or_nothing_is_exact_and_leaves_nothing_to_chance():
    outcome = check.share(seen({"v1": 100}), {"v1": 100, "v2": 0})
    assert outcome and outcome.alpha == 0
    assert not check.share(seen({"v1": 999, "v2": 1}), {"v1": 100, "v2": 0})


def test_requests_that_no_version_answered_fail_with_their_cause():
    outcome = check.share(seen({"v1": 90, "v2": 10, "": 3}), {"v1": 90, "v2": 10})
    assert not outcome and "none: 3 seen, none expected (503: 3)" in repr(outcome)


def test_a_version_that_is_not_expected_fails():
    outcome = check.share(seen({"v1": 90, "v2": 10, "v3": 1}), {"v1": 90, "v2": 10})
    assert not outcome and "v3: 1 seen, none expected" in repr(outcome)


def test_too_few_requests_say_how_many_are_needed():
    outcome = check.share(seen({"v1": 9, "v2": 1}), {"v1": 90, "v2": 10})
    assert outcome.state is check.TOO_LITTLE_DATA and "too little data: 50 more requests" in repr(outcome)
    with pytest.raises(CheckFailed, match="too little data: 50 more requests"):
        outcome.require()
    assert check.all_of("both", outcome, check.ok(seen({"v1": 1}))).state is check.TOO_LITTLE_DATA
    named = check.share(seen({"v1": 270, "v2": 30}), {"v1": 90, "v2": 10}, reject=[{"v1": 80, "v2": 20}])
    assert named.state is check.TOO_LITTLE_DATA and "too little data: 300 more requests" in repr(named)
    wrong = check.share(seen({"v1": 1, "v2": 9}), {"v1": 99, "v2": 1}, reject=[{"v1": 98, "v2": 2}])
    assert wrong.state is check.FAILED


@pytest.mark.parametrize("risk", [100, 120], ids=["rules one half out by luck", "does not"])
def test_a_sample_that_is_too_small_claims_nothing_whatever_it_looks_like(risk):
    few = seen({"safe": 300 - risk, "risk": risk})
    outcome = check.share(few, {"safe": 2, "risk": 1}, reject={"one half": {"safe": 1, "risk": 1}})
    assert outcome.state is check.TOO_LITTLE_DATA and outcome.rejects == ()
    assert outcome.lines[-1] == "◔ too little data: 110 more requests, to be sure that it is not one half"
    assert "clearly not" not in repr(outcome) and "might still be" not in repr(outcome)


def test_of_several_alternatives_those_are_told_that_the_sample_is_large_enough_for():
    others = {"one half": {"safe": 1, "risk": 1}, "safe alone": {"safe": 1}}
    outcome = check.share(seen({"safe": 200, "risk": 100}), {"safe": 2, "risk": 1}, reject=others)
    assert outcome.rejects == ("safe alone",)
    assert outcome.lines[-2:] == (
        "✓ and clearly not safe alone",
        "◔ too little data: 110 more requests, to be sure that it is not one half",
    )


def test_counts_are_worded_as_counts():
    window = Observations([response(0)], window=Window(1, 2, {"503": 1}))
    assert "1 request before the last 1 failed." in repr(check.ok(window))


def test_alternatives_without_a_name_are_named_by_their_shares():
    outcome = check.share(seen({"v1": 900, "v2": 100}), {"v1": 90, "v2": 10}, reject=[{"v1": 1, "v2": 1}])
    assert outcome.rejects == ("50 % v1 : 50 % v2",)


def test_n_is_the_number_of_connections_where_these_are_chosen():
    observations = Observations(response(i, "v1" if i // 10 % 10 else "v2", connection=i // 10) for i in range(2000))
    by_request = check.share(observations, {"v1": 90, "v2": 10})
    by_connection = check.share(observations, {"v1": 90, "v2": 10}, per="connection")
    assert (by_request.n, by_connection.n) == (2000, 200)
    assert "each chosen by a proxy" in repr(by_request) and "200 connections (of 2,000 requests)" in repr(by_connection)
    # Where the lab knows that no proxy chose, nobody has to say it.
    known = Observations(observations, per="connection")
    assert check.share(known, {"v1": 90, "v2": 10}).n == 200
    asked_otherwise = check.share(known, {"v1": 90, "v2": 10}, per="request")
    assert asked_otherwise.n == 2000
    assert "proxy" not in repr(asked_otherwise)


def test_share_of_a_service_behind_the_one_that_answered():
    page = Hop("productpage", "v1", "p")
    observations = Observations(
        response(i, path=(page, Hop("reviews", "v1" if i % 2 else "v2", "r"))) for i in range(200)
    )
    assert check.share(observations, {"v1": 1, "v2": 1}, service="reviews")
    assert not check.share(observations, {"v1": 1, "v2": 1})


@pytest.mark.parametrize(
    "call",
    [
        lambda obs: check.share(obs, {}),
        lambda obs: check.share(obs, {"v1": 0, "v2": 0}),
        lambda obs: check.share(obs, {"v1": -1, "v2": 2}),
        lambda obs: check.share(obs, {"v1": 1, "v2": 1}, alpha=0),
        lambda obs: check.share(obs, {"v1": 1, "v2": 1}, reject=[{"v1": 5, "v2": 5}]),
        lambda obs: check.share(obs, {"v1": 1, "v2": 1}, reject=[0.5]),
        lambda obs: check.status(obs),
        lambda obs: check.duration(obs),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(UsageError):
        call(seen({"v1": 5, "v2": 5}))


def test_one_stray_is_one_too_many():
    outcome = check.only(seen({"v1": 999, "v2": 1}), version="v1")
    assert (
        not outcome
        and "999 of 1,000 requests met version v1, and 1 did not." in repr(outcome)
        and "1 × v2" in repr(outcome)
        and "id-999" in repr(outcome)
    )
    assert not check.none(seen({"v1": 999, "v2": 1}), version="v2")
    clean = check.none(seen({"v1": 1000}), version="v2")
    assert clean and "rejects a share of others above 1.2 %" in repr(clean) and clean.alpha == 0
    assert "rejects" not in repr(check.none(seen({"v1": 1}), version="v2")), "one request rules nothing out"


def test_status_and_ok_name_what_came_instead():
    observations = seen({"v1": 9, "": 1})
    assert check.status(seen({"v1": 9}), 200) and check.status(observations, 200, 503)
    assert "1 × 503" in repr(check.status(observations, 200)) and "1 × 503" in repr(check.ok(observations))


def test_exact_counts_are_exact():
    observations = Observations(
        response(i, status=200 if i < 2 else 503, outcome="ok" if i < 2 else "http_error") for i in range(10)
    )
    assert check.exactly(observations, {200: 2, 503: 8}, by="status")
    assert not check.exactly(observations, {200: 2, 503: 7}, by="status")
    assert "✗ 503: 8 seen, 0 expected" in repr(check.exactly(observations, {200: 2}, by="status"))


def test_even_counts_pods_that_got_nothing():
    assert check.even(seen({"v1": 10, "v2": 11}), among=2)
    assert not check.even(seen({"v1": 10, "v2": 12}), among=2)
    assert "✗ 2 met, 3 expected" in repr(check.even(seen({"v1": 10, "v2": 10}), among=3))


def test_both_bounds_are_inclusive_and_no_response_of_the_kind_is_a_number_too():
    responses = seen({"v1": 30, "v2": 10})
    assert check.between(responses, 10, 10, version="v2") and check.between(responses, 0, 5, version="v3")
    assert not check.between(responses, 11, 40, version="v2") and not check.between(responses, 0, 9, version="v2")
    failed = repr(check.between(responses, 0, 9, version="v2"))
    assert "10 of 40 requests met version v2; expected: 0 to 9." in failed and "✗ 10 seen, 0 to 9 expected" in failed
    with pytest.raises(UsageError, match="high"):
        check.between(responses, 2, 1)


def test_sticky_follows_each_user_and_ignores_who_came_once():
    stays = Observations(response(i, f"v{i % 3}", user=f"user-{i % 3}") for i in range(30))
    assert check.sticky(stays) and check.sticky(stays).n == 3
    moves = Observations(response(i, f"v{i % 2}", user=f"user-{i % 3}") for i in range(30))
    assert not check.sticky(moves) and "user-0 went to" in repr(check.sticky(moves))
    for users, last in ((5, "user-4 went to"), (6, "✗ and 2 more")):
        visits = ((k, version) for version in ("v1", "v2") for k in range(users))
        moved = Observations(response(0, user=f"user-{k}", version=version) for k, version in visits)
        assert last in check.sticky(moved, to="version").lines[-1]
    assert not check.sticky(Observations([response(0, user="user-0")]))
    assert not check.sticky(seen({"v1": 4}))


def at_home(*pods: str) -> Observations:
    """A request of each user, answered by its pod."""
    return Observations(
        response(i, path=(Hop("web", "v1", f"web-{pod}"),), user=f"user-{i}") for i, pod in enumerate(pods)
    )


def test_who_moves_although_its_pod_is_there_is_told_from_who_has_to():
    before, after = at_home("a", "a", "b", "b", "c", "c"), at_home("a", "b", "b", "b", "a", "b")
    outcome = check.moved(before, after, at_most=1)
    assert outcome.title == "at most 1 user moved, though their pod is still there"
    assert outcome.passed and outcome.n == 4
    assert outcome.seen == {"stayed": 3, "left": 2, "moved": 1}
    assert "Of 4 users whose pod is still there, 1 moved" in repr(outcome)
    assert not check.moved(before, after, at_most=0)
    assert not check.moved(before, before, at_least=1, at_most=9)
    with pytest.raises(UsageError, match="nothing can hold"):
        check.moved(before, after, at_least=2, at_most=1)


def test_who_has_no_home_or_was_seen_once_cannot_be_said_to_stay():
    wanders = at_home("a", "b") + at_home("b", "b")
    outcome = check.moved(wanders, at_home("b", "b"), at_most=2)
    assert outcome.state is check.FAILED
    assert "1 of 2 users met several places" in repr(outcome) and "user-0 met web-a and web-b" in repr(outcome)
    assert "nothing was shown" in repr(check.moved(at_home("a"), seen({"v1": 4}), at_most=0))


def test_durations_are_compared_by_quantile():
    slow, fast = seen({"v1": 50}, duration_s=0.6), seen({"v1": 50}, duration_s=0.1)
    assert check.duration(slow, at_least_s=0.5, at_most_s=1)
    assert not check.duration(slow, at_most_s=0.5)
    assert check.slower(slow, fast, factor=5) and not check.slower(slow, fast, factor=7)
    assert check.slower(slow, fast, by_s=0.4) and not check.slower(slow, fast, by_s=0.6)


def test_different_shares_are_told_apart():
    assert check.same_share(seen({"v1": 90, "v2": 10}), seen({"v1": 180, "v2": 20}), "v2")
    assert not check.same_share(seen({"v1": 90, "v2": 10}), seen({"v1": 40, "v2": 60}), "v2")


def test_require_stops_with_the_explanation():
    assert check.ok(seen({"v1": 1})).require().passed
    with pytest.raises(CheckFailed, match="1 × 503"):
        check.ok(seen({"": 1})).require()
    with pytest.raises(CheckFailed, match="NOT_ATTEMPTED"):
        check.ok(None).require()


def test_joined_checks_are_as_good_as_their_worst_part():
    good, bad, untried = check.ok(seen({"v1": 1})), check.ok(seen({"": 1})), check.ok(None)
    assert check.all_of("all", good, good)
    assert check.all_of("all", good, untried).state is check.NOT_ATTEMPTED
    assert check.all_of("all", untried, bad).state is check.FAILED
    assert check.all_of("all").state is check.FAILED
    share = check.share(seen({"v1": 90, "v2": 10}), {"v1": 90, "v2": 10})
    assert check.all_of("all", share, share).alpha == 2 * statistics.ALPHA


def test_joined_checks_say_a_sentence_then_a_line_for_each_and_tell_once_what_an_interval_is():
    three = seen({"v1": 30, "v2": 30, "v3": 240})
    share = check.share(three, {"v1": 10, "v2": 10, "v3": 80})
    outcome = check.all_of("a release", check.ok(three), share, check.only(seen({"v3": 50}), version="v3"))
    assert outcome.lines == (
        "All of 3 parts passed.",
        "✓ not one request failed: 300 of 300 requests succeeded.",
        "✓ v1, v2 and v3 as 10 : 10 : 80: Seen: 10.0 % v1, 10.0 % v2 and 80.0 % v3. That fits what was expected.",
        "✓ only version v3: 50 of 50 requests met version v3.",
    )
    assert [line for line in outcome.details if " % " in line and "shares that could" in line] == [
        "99.999 % interval: the shares that could have produced this; a correct mesh is outside once in 100,000 checks"
    ]
    assert repr(outcome).count("99.99") == 1
    bad = check.all_of("a release", check.ok(three), check.only(three, version="v3", title="done"), check.ok(None))
    assert bad.lines == (
        "Of 3 parts, 1 failed, 1 not attempted and 1 passed.",
        "✓ not one request failed: 300 of 300 requests succeeded.",
        "✗ done: 240 of 300 requests met version v3, and 60 did not.",
        "  ✗ version: 30 × v1 and 30 × v2",
        "○ not one request failed: Nothing was sent yet.",
    )
    assert check.all_of("one", check.ok(three)).lines[0] == "The only part passed."
    for nothing in (None, seen({})):
        assert re.fullmatch("[A-Z].*[.]", check.ok(nothing).lines[0])
    assert check.only(seen({"v1": 1}), version="v2").lines[0] == "0 of 1 request met version v2."


def test_a_cross_stands_before_what_is_wrong_alone():
    assert check.only(seen({"v1": 9, "v2": 1}), version="v1").lines[1:] == ("✗ version: 1 × v2",)
    assert check.ok(seen({"v1": 9, "": 1})).lines == ("9 of 10 requests succeeded, and 1 did not.", "✗ status: 1 × 503")
    both = check.only(seen({"v1": 9, "v2": 1}), version="v1", status=200)
    assert both.lines[1:] == ("✗ version: 1 × v2",)
    assert check.none(seen({"v1": 9, "v2": 1}), version="v2").lines == (
        "1 of 10 requests met version v2, and none may.",
        "✗ version: 1 × v2",
    )
    assert check.only(seen({"v1": 2}), service="ratings").lines == ("Not one of 2 requests passed ratings.",)
    by_predicate = check.only(seen({"v1": 9, "v2": 1}), lambda response: response.path[-1].version == "v1")
    assert by_predicate.lines[1:] == ("✗ 1 did not match what the check names",)


# --- windows ------------------------------------------------------------------------------------------------------


def windowed(*, errors: int) -> Observations:
    failed = {"503": errors} if errors else {}
    seen = [response(index) for index in range(20)]
    return Observations(seen, window=Window(20, 570, failed, response(3, outcome="http_error", status=503)))


@pytest.mark.parametrize(
    "judge",
    [
        check.ok,
        lambda seen: check.status(seen, 200),
        lambda seen: check.only(seen, version="v1"),
        lambda seen: check.none(seen, version="v2"),
        lambda seen: check.exactly(seen, {"v1": 20}),
        lambda seen: check.even(seen, among=1, by="version"),
        lambda seen: check.between(seen, 20, 20, version="v1"),
        lambda seen: check.duration(seen, at_most_s=60),
    ],
)
def test_errors_before_a_window_fail_whatever_is_checked_in_it(judge) -> None:
    assert judge(windowed(errors=0)).passed
    outcome = judge(windowed(errors=550))
    assert outcome.state is check.FAILED
    assert "a window: the last 20 of 570 responses were looked at" in outcome.lines
    assert outcome.lines[0] == "550 requests before the last 20 failed."
    assert any(line.startswith("✗ 550 × 503 before; the first error at ") for line in outcome.lines)


def test_who_chooses_by_outcome_has_decided_about_errors() -> None:
    outcome = check.only(windowed(errors=550).filter(outcome="ok"), version="v1")
    assert outcome.passed
    assert "a window: the last 20 of 570 responses were looked at" in outcome.lines


def test_errors_that_a_check_accepts_in_its_window_are_accepted_before_it() -> None:
    seen = Observations([response(0, outcome="http_error", status=503)] * 20, window=Window(20, 570, {"503": 550}))
    assert check.status(seen, 503).passed


def test_an_error_of_one_kind_hides_none_of_another_kind_before_the_window() -> None:
    last = [*map(response, range(19)), response(19, outcome="http_error", status=404)]
    seen = Observations(last, window=Window(20, 570, {"404": 3, "503": 5, "timeout": 1}))
    outcome = check.none(seen, status=503)
    assert outcome.state is check.FAILED
    assert outcome.lines[0] == "6 requests before the last 20 failed."
    assert "✗ 5 × 503 and 1 × timeout before" in outcome.lines
    assert check.none(Observations(last, window=Window(20, 570, {"404": 3})), status=503).passed


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"v1": 905, "v2": 95}, "Seen: 90.5 % v1 and 9.5 % v2. That fits what was expected."),
        ({"v1": 95, "v2": 905}, "expected: 90.0 % v1 and 10.0 % v2: the shares are the wrong way round."),
        ({"v1": 505, "v2": 495}, "expected: 90.0 % v1 and 10.0 % v2: this looks like an even split."),
        ({"v1": 700, "v2": 300}, "Seen: 70.0 % v1 and 30.0 % v2; expected: 90.0 % v1 and 10.0 % v2."),
    ],
)
def test_a_sentence_comes_first_and_numbers_last(counts, said):
    outcome = check.share(seen(counts), {"v1": 90, "v2": 10})
    assert outcome.lines[0].endswith(said)
    sign = "✓" if outcome else "✗"
    assert all(line.startswith(sign) for line in outcome.lines[1:])
    assert any("interval" in line for line in outcome.details)
    assert not any("interval" in line for line in outcome.lines)


TRIES = [AccessRecord(f"id-{n % 2}", 1.0 + n, "web-v1-ab12-cd34", "inbound") for n in range(6)]
COPIES = [
    AccessRecord(f"id-{n % 400}", 1.0 + n, f"web-v{1 + n // 400}-ab12-cd34", "inbound", mirrored=n >= 400)
    for n in range(600)
]
TALKS = {
    "share": (check.share, {"v1": 90, "v2": 10}, {"v1": 10, "v2": 90}),
    "same_share": (check.same_share, seen({"v1": 90, "v2": 10}), seen({"v1": 10, "v2": 90})),
    "exactly": (check.exactly, {"v1": 90, "v2": 10}, {"v1": 100}),
    "only": (check.only, {"version": ["v1", "v2"]}, {"version": "v1"}),
    "none": (check.none, {"version": "v3"}, {"version": "v2"}),
    "status": (check.status, 200, 503),
    "ok": (check.ok, {}, None),
    "between": (
        lambda obs, **given: check.between(obs, given["low"], 15, version="v2"),
        {"low": 10},
        {"low": 11},
    ),
    "even": (check.even, {"among": 2, "by": "version", "within": 80}, {"among": 3, "by": "version"}),
    "sticky": (check.sticky, {"to": "service"}, {"to": "pod"}),
    "moved": (
        lambda obs, **given: check.moved(obs, obs, at_most=0, **given),
        {"to": "service"},
        {"to": "pod"},
    ),
    "duration": (check.duration, {"at_most_s": 1.0}, {"at_least_s": 1.0, "at_most_s": 2.0}),
    "slower": (check.slower, {"factor": 0.5}, {"factor": 2.0}),
    "received": (lambda _, expected: check.received(TRIES, expected), {"web-v1": 6}, {"web-v1": 7}),
    "copied": (lambda _, expected: check.copied(COPIES, expected), {"web-v2": 50}, {"web-v2": 10}),
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_a_sentence_first_then_ticks_and_folds_statistics_away(name):
    judge, *options = TALKS[name]
    for given, state in zip(options, (check.PASSED, check.FAILED), strict=True):
        responses = seen({"v1": 90, "v2": 10}, user="a")
        if given is None:
            responses, given = seen({"v1": 90, "": 10}), {}
        if name == "same_share":
            outcome = judge(responses, given, "v1")
        elif name == "slower":
            outcome = judge(responses, responses, **given)
        elif name in ("share", "exactly", "status", "received", "copied"):
            outcome = judge(responses, given)
        else:
            outcome = judge(responses, **given)
        assert outcome.state is state
        sentence, *parts = outcome.lines
        assert sentence.endswith(".") and sentence[0].isalnum()
        assert parts and all(part[:2] in ("✓ ", "✗ ") for part in parts)
        assert any(part[0] == "✗" for part in parts) is (state is check.FAILED)
        assert not any("interval" in line or "p =" in line or "x-request-id" in line for line in outcome.lines)
        assert sum(" interval: the shares" in line for line in outcome.details) == bool(outcome.interval)


def test_copies_are_counted_exactly_where_nothing_is_drawn():
    every, none = check.copied(COPIES[:200] + COPIES[400:], {"web-v2": 100}), check.copied(COPIES, {"web-v1": 0})
    assert every.passed and none.passed and (every.alpha, none.alpha) == (0, 0)
    lacking = check.copied(COPIES[:200] + COPIES[400:-1], {"web-v2": 100})
    assert lacking.state is check.FAILED
    assert lacking.lines == ("Copies of 200 requests: 199 to web-v2.", "✗ web-v2: 99.5 % copied, 100 % expected")


def test_a_share_of_copies_needs_requests_enough_to_rule_out_all_and_none():
    few = check.copied(COPIES[:8] + COPIES[400:404], {"web-v2": 50})
    assert few.state is check.TOO_LITTLE_DATA and "more requests" in few.lines[-1]
    twice = check.copied([*COPIES[:200], *COPIES[400:], *COPIES[400:]], {"web-v2": 99.999})
    assert twice.state is check.FAILED
    with pytest.raises(UsageError, match="from 0 to 100"):
        check.copied(COPIES, {"web-v2": 101})


def test_what_servers_received_is_counted_with_every_try():
    lines = [*TRIES, AccessRecord("id-0", 0.5, "client-ab12-cd34", "outbound")]
    good = check.received(lines, {"web-v1": 6, "client": 0})
    assert good.passed and (good.n, good.alpha) == (2, 0)
    bad = check.received(lines, {"web-v1": 8, "client": 0})
    assert bad.state is check.FAILED
    assert bad.lines[0] == "Received for 2 requests: 6 × web-v1 and 0 × client; expected: 8 × web-v1 and 0 × client."
    assert bad.lines[1:] == ("✗ web-v1: 6 received, 8 expected", "✓ client: 0 received, 0 expected")
