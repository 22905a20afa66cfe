"""``workshop explain-additions``."""

from __future__ import annotations

from click.testing import CliRunner

from labsupport.cli import workshop
from labsupport.engine.additions import PROXY_CONFIG, variables


def test_without_a_file_everything_that_is_added_is_named() -> None:
    done = CliRunner().invoke(workshop, ["explain-additions"])
    assert done.exit_code == 0
    for name in (*PROXY_CONFIG, *(entry["name"] for entry in variables({}, {}, "web"))):
        assert f"  {name}" in done.output


def test_with_files_deployments_are_printed_as_they_are_applied() -> None:
    done = CliRunner().invoke(workshop, ["explain-additions", "-f", "apps/web"])
    assert done.exit_code == 0
    assert done.output.count("kind: Deployment") == done.output.count("name: POD_NAME\n") == 2
    assert "kind: Service" not in done.output
