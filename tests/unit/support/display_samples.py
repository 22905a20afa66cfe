"""Made-up responses for the tests of the pictures."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from labsupport.records import Hop, Response

T0 = 1_800_000_000.0


def response(at=0.0, version="v1", *, status=200, body="", duration_s=0.01, index=0, service="reviews", path=None):
    """One response, sent ``at`` seconds after T0; no version means that no application took part."""
    if path is None:
        path = (Hop(service, version, f"{service}-{version}-x"),) if version else ()
    outcome = "ok" if status < 400 else "http_error"
    return Response(index, T0 + at, duration_s, outcome, status, path=path, body=body)


def parsed(svg_body):
    """SVG markup as a tree; fails unless it is well-formed XML."""
    return ET.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{svg_body}</svg>')


def texts(svg_body):
    """All text of SVG markup."""
    return " ".join("".join(node.itertext()) for node in parsed(svg_body).iter() if node.tag.endswith("}text"))


class Page(HTMLParser):
    """Checks that elements of a page are nested as they should be, and collects what a test asks for."""

    VOID = frozenset({"br", "input", "col", "wbr"})

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]
