"""Make the pictures of the README anew: python docs/pictures.py (a minute, on the embedded engine)."""

from __future__ import annotations

from pathlib import Path

from labsupport import Lab, release, watch
from labsupport.display.pictures.graph_picture import graph_figure
from labsupport.display.pictures.journey_picture import journey_figure
from labsupport.display.pictures.release_picture import release_figure

HERE = Path(__file__).parent
LESSON = "02-canary-by-weight"
STEPS = (
    f"{LESSON}/virtual-service-reviews-0-0-100.yaml",
    f"{LESSON}/virtual-service-reviews-100-0-0.yaml",
    f"{LESSON}/exercises/02.3/solution.yaml",
)
REQUESTS_PER_STEP = 310
SEED = 1


def traffic() -> None:
    """Change the weights of ``reviews`` under traffic, and keep the picture of it, and one request's journey."""
    with Lab(engine="embedded") as lab:
        lab.apply("apps/bookinfo", f"{LESSON}/bookinfo", STEPS[0])
        with lab.traffic("gateway:/productpage", rate=34) as live:
            live.collect(REQUESTS_PER_STEP)
            for step in STEPS[1:]:
                lab.apply(step)
                live.collect(REQUESTS_PER_STEP)
            watch(live, service="reviews").snapshot().save(HERE / "traffic.svg")
        journey_figure(lab.journey(lab.send("gateway:/productpage"))).save(HERE / "journey.svg")


def incident() -> None:
    """Break something, as in lesson 20, and keep the map of what pages meet."""
    with Lab(engine="embedded") as lab:
        lab.incident(seed=SEED)
        pages = lab.graph(lab.send("gateway:/productpage", count=60))
        graph_figure(pages.now(), what=pages.what).save(HERE / "incident.svg")


def rollback() -> None:
    """Release a version that fails in 3 of 100, as in lesson 19, and keep what the analysis did."""
    with Lab(engine="embedded") as lab:
        lab.apply("apps/client", "19-progressive-delivery/web", "19-progressive-delivery/canary-web.yaml")
        with lab.traffic("http://web:8080/", source="client", rate=40):
            lab.apply("19-progressive-delivery/deployment-web-failing.yaml")
            release_figure(release(lab, "web")).save(HERE / "rollback.svg")


if __name__ == "__main__":
    for record in (traffic, incident, rollback):
        record()
