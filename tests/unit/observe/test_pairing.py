"""Which lines belong together, against requests whose truth is known."""

from __future__ import annotations

import pytest
from journey_simulation import PODS, Simulation

from labsupport.observe.spans import Call, Served, pair
from labsupport.records import AccessRecord, Pod

KNOWN = {pod.name: pod for pod in PODS}


def paired(simulation: Simulation) -> tuple[dict[int, int], dict[int, int], set[int], int]:
    """What was paired, in the form of the simulation's truth, and how many calls were said to be unsure."""
    lines = simulation.written()
    served_by, made_for, copies, unsure = {}, {}, set(), 0

    def walk(call: Call | Served) -> None:
        nonlocal unsure
        if isinstance(call, Served):
            for inner in call.calls:
                made_for[int(inner.record.request_id)] = int(call.record.request_id)
                walk(inner)
            return
        unsure += call.unsure
        for served in (*call.tries, *call.copies):
            served_by[int(served.record.request_id)] = int(call.record.request_id)
            walk(served)
        copies.update(int(served.record.request_id) for served in call.copies)

    roots = pair(lines[::-1], KNOWN)
    for root in roots:
        walk(root)
    return served_by, made_for, copies, unsure


SEEDS = range(80)


@pytest.mark.parametrize("seed", SEEDS)
def test_who_served_a_call_is_found_where_paths_differ(seed: int):
    truth = Simulation(seed, equal=False)
    served_by, made_for, copies, unsure = paired(truth)
    assert (served_by, copies) == (truth.served_by, truth.copies)
    assert made_for == truth.made_for or unsure


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_equal_calls_are_found_or_said_to_be_unsure(seed: int, counted: bool):
    truth = Simulation(seed, equal=True, counted=counted)
    served_by, made_for, copies, unsure = paired(truth)
    assert (served_by, copies, made_for) == (truth.served_by, truth.copies, truth.made_for) or unsure


@pytest.mark.parametrize("counted", [False, True])
def test_doubt_is_seldom_and_most_doubtful_calls_are_right(counted: bool):
    right = doubts = lines = 0
    for seed in SEEDS:
        truth = Simulation(seed, equal=True, counted=counted)
        served_by, made_for, _, unsure = paired(truth)
        right += sum(truth.served_by[place] == partner for place, partner in served_by.items())
        right += sum(truth.made_for[place] == partner for place, partner in made_for.items())
        lines += len(truth.served_by) + len(truth.made_for)
        doubts += unsure
    assert right > 0.98 * lines
    assert doubts < 0.25 * lines


def test_clocks_of_two_nodes_that_differ_do_little_harm():
    right = lines = 0
    for seed in SEEDS:
        # Each node has one pod of every Deployment. A pod that only failed tries reached tells little of its clock.
        truth = Simulation(seed, equal=False, skews={pod.name: 0.02 for pod in PODS[::2]})
        served_by, _, copies, _ = paired(truth)
        right += sum(truth.served_by[place] == partner for place, partner in served_by.items()) - len(
            copies ^ truth.copies
        )
        lines += len(truth.served_by)
    assert right > 0.95 * lines


def line(pod: str, at: float, long: float, *, path: str = "/x", **more: object) -> AccessRecord:
    direction = "outbound" if "cluster" in more else "inbound"
    return AccessRecord("id", 100.0 + at, pod, direction, "GET", "x", path, **{"status": 200, **more}, duration_s=long)


RATINGS = "outbound|80||ratings.default.svc.cluster.local"


def test_a_call_to_a_pod_without_proxy_leads_on_to_what_that_pod_called():
    bare = Pod("page-bare", "default", "page", {"app": "page"}, injected=False)
    outer = line("gateway-1", 0.0, 0.1, cluster="outbound|80||page.default.svc.cluster.local", upstream_pod="page-bare")
    inner = line("ratings-v1-1", 0.02, 0.05, path="/other")
    (root,) = pair([outer, inner], {**KNOWN, bare.name: bare})
    assert isinstance(root, Call)
    assert [call.record for call in root.calls] == [inner]


def test_a_service_that_calls_itself_is_no_maker_of_its_own_call():
    call = line("ratings-v1-1", 0.0, 0.1, cluster=RATINGS, upstream_pod="ratings-v1-1")
    served = line("ratings-v1-1", 0.001, 0.09)
    (root,) = pair([call, served], KNOWN)
    assert isinstance(root, Call)
    assert [attempt.record for attempt in root.tries] == [served]


def test_who_is_asked_and_asks_another_service_for_the_same_path_is_no_copy():
    asked = line("page-v1-1", 0.0, 0.1)
    call = line("page-v1-1", 0.001, 0.09, cluster=RATINGS, upstream_pod="ratings-v1-1")
    served = line("ratings-v1-1", 0.002, 0.08)
    (root,) = pair([asked, call, served], KNOWN)
    assert isinstance(root, Served)
    (made,) = root.calls
    assert (made.record, made.copies) == (call, [])


def test_what_a_pod_was_asked_before_it_called_is_not_behind_its_call():
    bare = Pod("details-v1-1", "default", "details-v1", injected=False)
    asked = line("page-v1-1", 0.0, 0.1)
    call = line("page-v1-1", 0.001, 0.01, path="/details", cluster="outbound|80||details.x", upstream_pod=bare.name)
    (root,) = pair([asked, call], {**KNOWN, bare.name: bare})
    assert isinstance(root, Served)
    assert [made.record for made in root.calls] == [call]


def test_a_call_that_no_pod_got_takes_no_line_of_another_one():
    refused = line("page-v1-1", 0.0, 0.05, status=503, flags="UF,URX", cluster=RATINGS, upstream_pod="ratings-v1-1")
    served = line("ratings-v1-1", 0.06, 0.01)
    second = line("page-v1-1", 0.055, 0.02, cluster=RATINGS, upstream_pod="ratings-v1-1")
    first, two = pair([refused, served, second], KNOWN)
    assert isinstance(first, Call) and isinstance(two, Call)
    assert (len(first.tries), len(two.tries)) == (0, 1)


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_try_at_another_version_of_a_subset_that_has_both_is_no_copy(attempt: int):
    both = "outbound|80|both|reviews.default.svc.cluster.local"
    call = line("page-v1-1", 0.0, 0.1, cluster=both, upstream_pod="reviews-v2-1")
    failed = line("reviews-v1-1", 0.001, 0.01, status=503)
    answered = line("reviews-v2-1", 0.04, 0.05, attempt=attempt)
    labels = {("reviews.default.svc.cluster.local", "both"): {"app": "reviews"}}
    (root,) = pair([call, failed, answered], KNOWN, labels)
    assert isinstance(root, Call)
    assert ([attempt.record for attempt in root.tries], root.copies) == ([failed, answered], [])


def test_marks_that_were_guessed_wrongly_are_not_believed():
    call = line("page-v1-1", 0.0, 0.1, cluster=RATINGS, upstream_pod="ratings-v1-1")
    served = line("ratings-v1-1", 0.001, 0.09, mirrored=True)
    (root,) = pair([call, served], KNOWN)
    assert isinstance(root, Call)
    assert (len(root.tries), root.copies) == (1, [])
