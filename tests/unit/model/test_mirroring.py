"""Rules that copy requests are known by what they say."""

from __future__ import annotations

import pytest

from labsupport.model.analysis.mirroring import mirroring
from labsupport.model.reading.documents import read
from labsupport.model.reading.parse import parse


@pytest.mark.parametrize(
    ("rule", "copying"),
    [
        ("route: [{destination: {host: web}}]\n    mirror: {host: web}", True),
        ("route: [{destination: {host: web}}]\n    mirrors: [{destination: {host: web}}]", True),
        ("route: [{destination: {host: web}}]", False),
    ],
)
def test_rules_that_copy_are_known(rule: str, copying: bool) -> None:
    text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\nspec:\n  hosts: [web]\n"
    assert mirroring(parse(read(f"{text}  http:\n  - {rule}\n"))) is copying
