"""Any text is a target, or is refused as none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from labsupport.errors import UsageError
from labsupport.urls import parse_url


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_any_text_is_a_target_or_a_usage_error(text):
    for prefix in ("", "gateway:", "nodeport:", "http://", "https://", "tcp://", "tls://", "tcp://gateway:"):
        try:
            target = parse_url(prefix + text)
        except UsageError:
            continue
        assert target.path.startswith("/") == (target.scheme in ("http", "https")) and "\n" not in target.path
