"""Fixtures that run the images' programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from image_app import App, StartApp, start, stop


@pytest.fixture(scope="module")
def start_app() -> Iterator[StartApp]:
    """Starts programs of images and waits until they are ready; they end with the module."""
    running: list[App] = []

    def start_ready(image: str, **env: str) -> App:
        app = start(image, **env)
        running.append(app)
        app.wait_for("/healthz", lambda reply: reply.status_code == 200)
        return app

    yield start_ready
    stop(running)
