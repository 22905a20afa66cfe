"""Objects of the mesh as ``lab.get`` returns them: readable as ``kubectl get`` is."""

from __future__ import annotations

from typing import Any

from labsupport.config_lines import block
from labsupport.model.base import Resource
from labsupport.redaction import Hidden, redacted

__all__ = ["Objects", "written"]

# What the API server adds to an object, and nobody writes.
_BOOKKEEPING = frozenset({"uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields"})


def written(resource: Resource) -> dict[str, Any]:
    """An object as it was written, without what an API server added, and of a Secret's values their size only."""
    raw: dict[str, Any] = dict(resource.raw) or resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raw = _shown(redacted(raw, kind=resource.kind))
    metadata = {key: value for key, value in (raw.get("metadata") or {}).items() if key not in _BOOKKEEPING}
    return {key: value for key, value in raw.items() if key != "status"} | {"metadata": metadata}


def _shown(value: Any) -> Any:
    """The same with a text in place of each hidden value, so that it can be YAML."""
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return repr(value) if isinstance(value, Hidden) else value


class Objects(tuple[Resource, ...]):
    """Objects, oldest first: one is shown as YAML, several as a list of names."""

    __slots__ = ()

    @property
    def yaml(self) -> str:
        """All objects as YAML documents."""
        return "\n---\n".join("\n".join(line.text for line in block(written(resource))) for resource in self)

    def __repr__(self) -> str:
        if len(self) == 1:
            return self.yaml
        return "\n".join(f"{resource.kind}/{resource.name}" for resource in self) or "no objects"

    def _repr_markdown_(self) -> str:
        return f"```yaml\n{self.yaml}\n```" if len(self) == 1 else f"```text\n{self!r}\n```"
