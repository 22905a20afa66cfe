"""Changes of objects: the same way as those of a notebook, through the supervisor's one judge."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from labsupport.controlplane.desired import Key, key_of
from labsupport.engine.embedded.api.answers import Refused, already_exists, conflict, not_found, status
from labsupport.engine.embedded.api.defaults import completed, without_defaults
from labsupport.engine.embedded.api.judging import forbidden, invalid, judged
from labsupport.engine.embedded.api.kinds import ApiKind
from labsupport.engine.embedded.api.managers import Change, applied, updated, without
from labsupport.engine.embedded.api.mesh import Mesh, stamp
from labsupport.engine.embedded.api.patches import APPLY, apply_patch
from labsupport.engine.embedded.api.tables import at
from labsupport.engine.embedded.api.versions import Versions
from labsupport.engine.embedded.api.view import written_content
from labsupport.engine.embedded.pods.identity import uid
from labsupport.errors import ConfigRejectedError, EngineError, LabError, ManifestError, WaitTimeoutError
from labsupport.model import Resource
from labsupport.model.kinds.index import placed
from labsupport.records import Json, JsonObject

__all__ = ["Asked", "Writer"]

T = TypeVar("T")


@dataclass
class Asked:
    """How a change is asked for.

    Args:
        namespace: where; empty for what lives in none.
        verb: the word for it in pictures of traffic.
        manager: the client's name for itself.
        force: whether an apply takes fields from other managers.
        dry_run: judge it only.
        patched: whether it comes as a patch.
        validation: what to do about unknown fields.
        warnings: what the client is to be warned of; it is added to.
    """

    namespace: str
    verb: str = "apply"
    manager: str = ""
    force: bool = False
    dry_run: bool = False
    patched: bool = False
    validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)


def _change(entry: ApiKind, asked: Asked) -> Change:
    return Change(asked.manager or "unknown", entry.api_version(), entry.built_in)


class Writer:
    """Changes a lab.

    Args:
        mesh: the lab.
        versions: what is in it.
    """

    def __init__(self, mesh: Mesh, versions: Versions) -> None:
        self._mesh = mesh
        self._versions = versions

    async def create(
        self, entry: ApiKind, body: JsonObject, asked: Asked, managed: list[JsonObject] | None = None
    ) -> JsonObject:
        """Create an object; ``managed`` tells who sets its fields, if that is more than who creates it.

        Raises:
            Refused: it is there already, its namespace is not, or it is wrong.
        """
        metadata = body.get("metadata")
        metadata = dict(metadata) if isinstance(metadata, dict) else {}
        if metadata.get("generateName") and not metadata.get("name"):
            metadata["name"] = f"{metadata['generateName']}{secrets.token_hex(3)[:5]}"
        body = {**body, "metadata": metadata}
        self._same_place(entry, body, asked)
        contents = await self._versions.look()
        if entry.namespaced and ("Namespace", "", asked.namespace) not in contents:
            raise Refused(404, f'namespaces "{asked.namespace}" not found')
        name = str(metadata.get("name") or "")
        if (entry.kind, asked.namespace, name) in contents:
            raise already_exists(entry, name)
        return await self._put(entry, body, asked, None, managed)

    async def replace(self, entry: ApiKind, name: str, body: JsonObject, asked: Asked) -> JsonObject:
        """Put another object in the place of one.

        Raises:
            Refused: there is none, it has changed since it was read, or the new one is wrong.
        """
        shown = await self._versions.one(entry, asked.namespace, name)
        self._same_place(entry, body, asked)
        self._unchanged(entry, name, body, shown)
        return await self._put(entry, self._written(entry, body, shown), asked, shown)

    async def patch(self, entry: ApiKind, name: str, form: str, patch: Json, asked: Asked) -> JsonObject:
        """Change some fields of an object; server-side apply creates it if it is not there.

        Raises:
            Refused: there is none, the patch does not fit, or what comes of it is wrong.
        """
        if form == APPLY:
            return await self._apply(entry, name, patch, asked)
        shown = await self._versions.one(entry, asked.namespace, name)
        changed = apply_patch(form, shown, patch, built_in=entry.built_in)
        changed["apiVersion"] = shown["apiVersion"]
        self._unchanged(entry, name, changed, shown)
        if changed.get("metadata", {}).get("name") != name:
            raise Refused(422, f'metadata.name: Invalid value: the name of {entry.qualified} "{name}" does not change')
        given = changed["metadata"].get("managedFields")
        managed = given if given != shown["metadata"].get("managedFields") else None
        return await self._put(entry, self._written(entry, changed, shown), asked, shown, managed)

    async def _apply(self, entry: ApiKind, name: str, wanted: Json, asked: Asked) -> JsonObject:
        """Server-side apply: what is wanted, without what the same manager wanted before and does no longer."""
        if not isinstance(wanted, dict):
            raise Refused(400, "error decoding patch: it is no mapping")
        self._same_place(entry, wanted, asked)
        shown = (await self._versions.look()).get((entry.kind, asked.namespace, name))
        managed, gone = applied(_change(entry, asked), wanted, shown, force=asked.force)
        if shown is None:
            return await self.create(entry, wanted, asked, managed)
        changed = without(apply_patch(APPLY, shown, wanted, built_in=entry.built_in), gone)
        changed["apiVersion"] = shown["apiVersion"]
        return await self._put(entry, self._written(entry, changed, shown), asked, shown, managed)

    async def delete(self, entry: ApiKind, names: Sequence[str], asked: Asked) -> JsonObject:
        """Delete objects; with a Namespace all that is in it.

        Raises:
            Refused: one of them is not there, or belongs to every mesh.
        """
        contents = await self._versions.look()
        keys = [(entry.kind, asked.namespace, name) for name in names]
        for key in keys:
            if key not in contents:
                raise not_found(entry, key[2])
        objects = self._mesh.control.objects
        refs = [
            resource.ref
            for resource in objects
            if key_of(resource) in keys or (entry.kind == "Namespace" and resource.namespace in names)
        ]
        if not asked.dry_run and refs:
            await self._done(entry, names[0], self._mesh.delete(refs, asked.verb))
            await self._versions.look()
        elif not refs and names:
            raise Refused(403, f'{entry.qualified} "{names[0]}" is forbidden: it belongs to every mesh')
        name = names[0] if len(names) == 1 else ""
        return status(entry, name, contents[keys[0]]["metadata"]["uid"] if keys else "")

    async def _put(
        self,
        entry: ApiKind,
        body: JsonObject,
        asked: Asked,
        shown: JsonObject | None,
        managed: list[JsonObject] | None = None,
    ) -> JsonObject:
        if managed is None:
            managed = updated(_change(entry, asked), shown, body)
        if entry.kind == "Deployment" and shown is not None:
            _keep_selector(entry, shown, body)
        resource = judged(
            entry,
            body,
            namespace=asked.namespace,
            validation=asked.validation,
            patched=asked.patched,
            warnings=asked.warnings,
            managed=managed,
        )
        resource = placed(resource, asked.namespace) if entry.namespaced else resource
        key = key_of(resource)
        if asked.dry_run:
            await self._done(entry, resource.name, self._mesh.check([resource]))
            return self._as_if(entry, resource, shown)
        result = await self._done(entry, resource.name, self._mesh.apply([resource], asked.verb))
        asked.warnings += result.notes
        return await self._after(entry, key)

    async def _after(self, entry: ApiKind, key: Key) -> JsonObject:
        content = (await self._versions.look()).get(key)
        if content is None:
            raise conflict(entry, key[2], "the object was deleted meanwhile")
        return content

    async def _done(self, entry: ApiKind, name: str, change: Awaitable[T]) -> T:
        try:
            return await change
        except ManifestError as error:
            raise forbidden(entry, name, error.problems) from error
        except ConfigRejectedError as error:
            raise Refused(422, f'{entry.manifest_kind} "{name}" is invalid: {error}') from error
        except WaitTimeoutError as error:
            raise Refused(504, str(error), reason="Timeout") from error
        except EngineError as error:
            raise Refused(500, str(error)) from error
        except LabError as error:
            raise Refused(403, f'{entry.qualified} "{name}" is forbidden: {error}') from error

    def _same_place(self, entry: ApiKind, body: JsonObject, asked: Asked) -> None:
        metadata = body.get("metadata")
        written = metadata.get("namespace") if isinstance(metadata, dict) else None
        if entry.namespaced and written and written != asked.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise Refused(400, message)

    def _unchanged(self, entry: ApiKind, name: str, body: JsonObject, shown: JsonObject) -> None:
        metadata = body.get("metadata")
        known = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if known and known != shown["metadata"]["resourceVersion"]:
            raise conflict(entry, name)

    def _written(self, entry: ApiKind, changed: JsonObject, shown: JsonObject) -> JsonObject:
        """A changed object without what the client has only read."""
        # What a Secret was written with in the clear is read in base64, and so it stays.
        if entry.kind == "Secret":
            return changed
        key = (entry.kind, shown["metadata"].get("namespace", ""), shown["metadata"]["name"])
        present = next((resource for resource in self._mesh.control.objects if key_of(resource) == key), None)
        written = written_content(present) if present is not None else {}
        made: JsonObject = without_defaults(changed, shown, written)
        return {**made, "apiVersion": changed["apiVersion"], "kind": entry.manifest_kind}

    def _as_if(self, entry: ApiKind, resource: Resource, shown: JsonObject | None) -> JsonObject:
        """An object as it would be shown."""
        content = completed(written_content(resource))
        if shown is None:
            now = time.time()
            metadata = {"uid": uid(*key_of(resource), now), "creationTimestamp": stamp(now), **content["metadata"]}
            return {**content, "metadata": {"generation": 1, **metadata} if entry.counted else metadata}
        kept = {key: shown[key] for key in ("status",) if key in shown}
        metadata = {**shown["metadata"], **content["metadata"]}
        if entry.counted:
            metadata["generation"] = shown["metadata"]["generation"] + (content.get("spec") != shown.get("spec"))
        for name in ("labels", "annotations"):
            if name not in content["metadata"]:
                metadata.pop(name, None)
        if isinstance(shown.get("spec"), dict) and resource.kind == "Service":
            given = {key: shown["spec"][key] for key in ("clusterIP", "clusterIPs") if key in shown["spec"]}
            content = {**content, "spec": {**given, **content["spec"]}}
        return {**content, "metadata": metadata, **kept}


def _keep_selector(entry: ApiKind, shown: JsonObject, body: JsonObject) -> None:
    """Refuse another selector, and say at once if the pods' labels do not match it either."""
    spec = body.get("spec")
    wanted = spec.get("selector") if isinstance(spec, dict) else None
    if not isinstance(wanted, dict) or wanted.get("matchLabels") == shown["spec"]["selector"].get("matchLabels"):
        return
    labels = at(body, "spec.template.metadata.labels") or {}
    wrong = [("spec.selector", wanted, "field is immutable")]
    if not (wanted.get("matchLabels") or {}).items() <= labels.items():
        wrong.insert(0, ("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    causes = [
        {
            "reason": "FieldValueInvalid",
            "message": f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {why}",
            "field": path,
        }
        for path, value, why in wrong
    ]
    raise invalid(entry, shown["metadata"]["name"], causes)
