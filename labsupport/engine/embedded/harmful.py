"""What istiod passes on, but an Envoy does not survive, no pod can be made of, or takes more than this machine has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from labsupport.engine.additions import PROXY_CONFIG_ANNOTATION, proxy_config, workers
from labsupport.model.kinds.loadbalancer import ConsistentHashLB

__all__ = ["LARGEST_RING", "Refusal", "of_annotations", "of_hash"]

Refusal = tuple[str, str, str]
"""Field path, reason and remedy."""

# Eight times as large a ring takes 50 MB of each Envoy and a second of each change; the largest takes 400 MB.
LARGEST_RING = 131_072
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def of_hash(settings: ConsistentHashLB, path: str) -> Iterator[Refusal]:
    """Refuse what a ``consistentHash`` asks for.

    Args:
        settings: of a traffic policy.
        path: its field path.
    """
    if settings.maglev is not None and settings.maglev.table_size == 1:
        reason = "1 is no prime number, and Envoy ends when it makes a table of this size, on a cluster too"
        yield f"{path}.maglev.tableSize", reason, "Use a prime number below 5,000,011, such as 65537."
    rings = {"minimumRingSize": settings.minimum_ring_size}
    if settings.ring_hash is not None:
        rings["ringHash.minimumRingSize"] = settings.ring_hash.minimum_ring_size
    for field, size in rings.items():
        if (size or 0) > LARGEST_RING:
            reason = f"the embedded mesh makes rings of {LARGEST_RING:,} hashes at most, as each Envoy holds its own"
            yield f"{path}.{field}", reason, "Use 1024, which is the default, or a little more."
    cookie = settings.http_cookie
    if cookie is not None:
        texts = {"name": cookie.name, "path": cookie.path}
        for index, attribute in enumerate(cookie.attributes):
            texts |= {f"attributes[{index}].name": attribute.name, f"attributes[{index}].value": attribute.value}
        for field, text in texts.items():
            if _CONTROL.search(text):
                reason = f"{text[:80]!r} has control characters, and Envoy writes them into a header, on a cluster too"
                yield f"{path}.httpCookie.{field}", reason, "Use letters, digits and hyphens."


def of_annotations(annotations: Mapping[str, str]) -> Iterator[Refusal]:
    """Refuse a configuration of a proxy that Istio's injection cannot read, so that a cluster would make no pod.

    Args:
        annotations: of a pod's template.
    """
    path, refused = f"spec.template.metadata.annotations.{PROXY_CONFIG_ANNOTATION}", "so Istio would inject no sidecar"
    config = proxy_config(annotations)
    if config is None:
        yield path, f"it is no YAML mapping that can be read, {refused}", 'Write fields, such as "concurrency: 2".'
        return
    written = config["concurrency"]
    if written is not None and workers(config) is None:
        reason = f"concurrency is a whole number from 0, not {json.dumps(written)[:40]}, {refused}"
        yield path, reason, "Correct it, or leave it out."
