"""Users at home in their pods: in pictures of observations, and of traffic."""

import re
from dataclasses import replace

import pytest
from display_samples import T0, Page, parsed, response, texts

from labsupport.display import compare, show
from labsupport.display.pictures.users_part import Users, users_part
from labsupport.records import Hop
from labsupport.traffic.homes import Homes, homes_of
from labsupport.traffic.observations import Observations
from labsupport.traffic.recording import Mark


def visit(user, pod, at=0.0):
    return replace(response(at, path=(Hop("web", "v1", f"web-v1-5c-{pod}"),)), user=f"user-{user}")


def at_home(*pods):
    return Observations(visit(user, pod) for user, pod in enumerate(pods))


def looks(body):
    """Look to number of marks, those of the legend included."""
    found = [re.search("ws-c([a-z0-9]+)", node.get("class") or "") for node in parsed(body).iter()]
    keys = [match[1] for match in found if match]
    return {key: keys.count(key) for key in keys}


def test_each_user_is_a_mark_on_both_sides_in_the_look_of_what_became_of_it():
    figure = compare(at_home(*"aabbcc"), at_home(*"abbbab"), by="pod")
    said = texts(figure.body)
    assert "web-v1 … c" in said and "nobody" in said
    assert "one pod: 3" in said and "moved, though the pod is there: 1" in said
    assert "had to move: the pod is gone: 2" in said
    assert "Of 6 users: one pod: 3; had to move" in figure.summary
    assert "users by pod" in Page(figure._repr_html_()).text
    part = users_part(
        Homes({"1": ("a",), "2": ("a",)}, {"1": ("a",), "2": ("b",)}), wide=600.0, labels=("before", "after")
    )
    assert looks(part.body) == {"n": 3, "3": 3}


def test_observations_without_users_or_by_version_have_no_such_part():
    users, none = at_home(*"aab"), Observations([response(0.1)])
    assert "users by pod" not in texts(compare(users, users).body)
    assert "users by pod" not in texts(show(none, by="pod").body)
    assert "users by pod" in texts(show(users, by="pod").body)


def test_many_users_share_a_mark():
    homes = homes_of((str(user), "a" if user % 2 else "b") for user in range(2000))
    part = users_part(Homes({}, homes), wide=600.0, labels=("", ""))
    assert looks(part.body)["n"] == 2 * 200 + 1
    assert "one mark = 5 users" in texts(part.body)


def test_traffic_tells_who_wanders_and_who_has_settled_since_the_last_change():
    users = Users()
    users.add(visit(user % 3, "ab"[user % 2], user / 10) for user in range(12))
    assert users.part((), wide=610.0).told == "Of 3 users: meets several pods: 3"
    mark = Mark("apply DestinationRule/web", T0 + 2.0, in_force_s=0.5)
    # What is sent while a change comes into force belongs to neither side.
    users.add([visit(0, "a", 1.7), visit(0, "b", 2.1), visit(1, "b", 2.2), visit(0, "b", 2.3)])
    part = users.part((mark,), wide=610.0)
    assert part.told == "Of 2 users: one pod: 2; met several pods before: 2"
    # Two that met several are plus signs on the left, one more is in the legend; on the right they have a home.
    assert looks(part.body) == {"6": 3, "n": 3}
    assert "before apply DestinationRule/web" in texts(part.body)
    later = Mark("scale", T0 + 3.0)
    users.add([visit(0, "c", 3.1), visit(1, "b", 3.2)])
    assert users.part((mark, later), wide=610.0).told == "Of 2 users: one pod: 1; moved, though the pod is there: 1"


@pytest.mark.parametrize("span_s", [30.0, 5.0])
def test_users_that_have_not_come_for_long_are_forgotten(span_s):
    users = Users(span_s=span_s)
    users.add([visit(0, "a", 0.0), visit(1, "a", 10.0)])
    assert users.part((), wide=610.0).told.startswith("Of 2" if span_s > 10 else "Of 1")


def test_an_error_is_no_visit():
    users = Users()
    users.add([replace(response(0.1, "", status=503), user="user-0")])
    assert users.part((), wide=610.0) is None
