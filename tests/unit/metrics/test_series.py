"""Series of a ring of scrapes: what is kept, and what is read of it."""

from __future__ import annotations

from labsupport.metrics.series import NAME, Labels, Store, braced, labels_of

A, B = labels_of({NAME: "a"}), labels_of({NAME: "b", "code": "200"})


def _read(store: Store, labels: Labels, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
    series = next(known for known in store if known.labels == labels)
    return list(zip(*store.within(series, after_ms, until_ms), strict=True))


def test_a_range_has_its_end_and_not_its_begin() -> None:
    store = Store()
    for second in range(5):
        store.scrape(1000 * second, {A: second})

    assert _read(store, A, 1000, 3000) == [(2000, 2.0), (3000, 3.0)]
    assert _read(store, A, 4000, 9000) == []


def test_a_series_begins_when_it_is_first_seen_and_keeps_its_value() -> None:
    store = Store()
    store.scrape(1000, {A: 1})
    store.scrape(2000, {A: 2, B: 7})
    store.scrape(3000, {A: 3})

    assert _read(store, B, 0, 9000) == [(2000, 7.0), (3000, 7.0)]


def test_the_oldest_scrapes_are_forgotten_and_times_stay_with_their_values() -> None:
    store = Store(keep=3)
    for second in range(20):
        store.scrape(1000 * second, {A: second} | ({B: 100 + second} if second >= 5 else {}))
        assert len(store.times_ms) <= 6

    kept = list(store.times_ms)
    assert len(kept) >= 3 and kept[-1] == 19_000
    assert _read(store, A, 0, 99_000) == [(time_ms, time_ms / 1000) for time_ms in kept]
    assert _read(store, B, 0, 99_000) == [(time_ms, 100 + time_ms / 1000) for time_ms in kept]


def test_labels_are_written_as_prometheus_does() -> None:
    assert braced(B) == 'b{code="200"}'
    assert braced(A) == "a"
    assert braced(()) == "{}"
    assert braced(labels_of({"path": 'a"b\\c\n', "empty": ""})) == r'{path="a\"b\\c\n"}'
