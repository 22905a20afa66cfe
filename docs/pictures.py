"""Make the picture of the README anew: python docs/pictures.py (half a minute, on the embedded engine)."""

from __future__ import annotations

from pathlib import Path

from labsupport import Lab, watch

LESSON = "02-canary-by-weight"
STEPS = (
    f"{LESSON}/virtual-service-reviews-0-0-100.yaml",
    f"{LESSON}/virtual-service-reviews-100-0-0.yaml",
    f"{LESSON}/exercises/02.3/solution.yaml",
)
REQUESTS_PER_STEP = 310


def main() -> None:
    """Change the weights of ``reviews`` under traffic, and keep the picture of it."""
    with Lab(engine="embedded") as lab:
        lab.apply("apps/bookinfo", f"{LESSON}/bookinfo", STEPS[0])
        with lab.traffic("gateway:/productpage", rate=34) as live:
            live.collect(REQUESTS_PER_STEP)
            for step in STEPS[1:]:
                lab.apply(step)
                live.collect(REQUESTS_PER_STEP)
            watch(live, service="reviews").snapshot().save(Path(__file__).parent / "traffic.svg")


if __name__ == "__main__":
    main()
