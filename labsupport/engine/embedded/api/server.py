"""Answers requests to the API: reads from what is there, writes through the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from labsupport.controlplane.desired import Key
from labsupport.engine.embedded.api import discovery, openapi, podreads
from labsupport.engine.embedded.api.access import Access
from labsupport.engine.embedded.api.answers import Refused, not_found, unsupported
from labsupport.engine.embedded.api.elsewhere import NOT_HERE, not_here
from labsupport.engine.embedded.api.mesh import Mesh
from labsupport.engine.embedded.api.patches import MERGE
from labsupport.engine.embedded.api.requests import Target, body, hung_up, mapping, shape, target, verb
from labsupport.engine.embedded.api.scale import scale_of, scaled
from labsupport.engine.embedded.api.selectors import field_selector, label_selector
from labsupport.engine.embedded.api.tables import partial, table
from labsupport.engine.embedded.api.versions import LOOK_S, Versions
from labsupport.engine.embedded.api.view import View
from labsupport.engine.embedded.api.writing import Asked, Writer
from labsupport.records import Json, JsonObject

__all__ = ["Server"]

# What the API server takes, too.
_MOST_BYTES = 3 << 20
_LONGEST_WATCH_S = 3600.0
_BOOKMARK = "k8s.io/initial-events-end"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The API of one lab.

    Args:
        mesh: the lab.
        access: who may use it.
    """

    def __init__(self, mesh: Mesh, access: Access) -> None:
        self._mesh = mesh
        self._access = access
        self._versions = Versions(View(mesh))
        self._writer = Writer(mesh, self._versions)
        self._usage = podreads.Usage(mesh)

    def application(self) -> web.Application:
        """What answers."""
        application = web.Application(middlewares=[self._guarded], client_max_size=_MOST_BYTES)
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not self._access.admits(request.headers.get("Authorization", "")):
                raise Refused(401, "Unauthorized")
            return await handler(request)
        except Refused as refused:
            return _json(refused.answer, code=refused.code)
        except web.HTTPException as error:
            return _json(Refused(error.status, error.reason).answer, code=error.status)
        except RecursionError:
            return _json(Refused(400, "the body of the request is nested too deep").answer, code=400)
        except (OSError, asyncio.CancelledError):
            raise
        except Exception as error:
            # Told in the lab's log; the client gets what it can show.
            traceback.print_exc()
            return _json(Refused(500, f"Internal error occurred: {error!r}").answer, code=500)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        described = self._described(path, request.headers.get("Accept", ""))
        if described is not None:
            return described
        if path.startswith("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"):
            # Whoever has the token may do whatever the mesh can.
            about = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
            return _json({**about, "spec": {}, "status": {"allowed": True}}, code=201)
        if request.method == "GET" and path in NOT_HERE:
            return await self._not_here(path, request)
        asked = target(path)
        if asked.subresource == "log":
            return await podreads.log(self._mesh, await self._one(asked), request)
        if asked.subresource == "proxy" and request.method == "GET":
            return await podreads.admin_page(
                self._mesh, asked.namespace, asked.name, asked.within, request.query_string
            )
        if asked.subresource in ("exec", "portforward"):
            raise podreads.no_stream(asked.name, asked.subresource)
        if asked.entry.kind == "PodMetrics":
            return _json(await self._metrics(asked, request.query))
        if request.method == "GET":
            return await self._read(asked, request)
        return await self._write(asked, request)

    def _described(self, path: str, accept: str) -> web.Response | None:
        parts = path.strip("/").split("/")
        if path == "/version":
            return _json(discovery.version())
        if path in ("/api", "/apis"):
            for form in ("v2", "v2beta1"):
                if f"v={form};as=APIGroupDiscoveryList" in accept:
                    kind = discovery.AGGREGATED.format(version=form)
                    return _json(discovery.aggregated(core=path == "/api", form=form), content_type=kind)
            return _json(discovery.root() if path == "/api" else discovery.groups())
        if path == "/openapi/v2":
            # Asked for only where v3 knows no such kind, and so v2, whose empty document has no bytes in protobuf.
            return web.Response(content_type="application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
        if path == "/openapi/v3":
            return _json(openapi.index())
        known = discovery.known_versions()
        if path.startswith("/openapi/v3/"):
            place = tuple(parts[2:])
            if place in known:
                return _json(openapi.document(*known[place]))
            raise Refused(404, "the server could not find the requested resource")
        if tuple(parts) in known:
            return _json(discovery.resources(*known[tuple(parts)]))
        if len(parts) == 2 and parts[0] == "apis" and any(group == parts[1] for group, _ in known.values()):
            return _json(discovery.group(parts[1]))
        return None

    # --- reading ------------------------------------------------------------------------------------------------

    async def _one(self, asked: Target) -> JsonObject:
        return _as_version(await self._versions.one(asked.entry, asked.namespace, asked.name), asked)

    async def _read(self, asked: Target, request: web.Request) -> web.StreamResponse:
        wish = shape(request.headers.get("Accept", ""))
        if asked.name:
            content = await self._one(asked)
            if asked.subresource == "scale":
                return _json(scale_of(content))
            if wish == "Table":
                version = content["metadata"]["resourceVersion"]
                return _json(self._table(asked, [content], version, request.query))
            return _json(partial(content) if wish == "PartialObjectMetadata" else content)
        if request.query.get("watch") in ("true", "1"):
            return await self._watch(asked, request, wish)
        contents = await self._versions.look()
        wanted = self._wanted(asked, request.query)
        chosen = [_as_version(contents[key], asked) for key in sorted(contents) if wanted(key, contents[key])]
        version = str(self._versions.version)
        if wish == "Table":
            return _json(self._table(asked, chosen, version, request.query))
        kind = f"{asked.entry.manifest_kind}List"
        if wish == "PartialObjectMetadata":
            chosen = [partial(content) for content in chosen]
            kind = "PartialObjectMetadataList"
        api_version = "meta.k8s.io/v1" if wish else asked.entry.api_version(asked.version)
        return _json(
            {
                "kind": kind,
                "apiVersion": api_version,
                "metadata": {"resourceVersion": version},
                "items": chosen,
            }
        )

    def _wanted(self, asked: Target, query: Mapping[str, str]) -> Callable[[Key, JsonObject], bool]:
        labels = label_selector(query.get("labelSelector", ""))
        fields = field_selector(query.get("fieldSelector", ""))

        def wanted(key: Key, content: JsonObject) -> bool:
            here = not asked.namespace or key[1] == asked.namespace
            return key[0] == asked.entry.kind and here and labels(content) and fields(content)

        return wanted

    async def _not_here(self, path: str, request: web.Request) -> web.StreamResponse:
        """A list that does not change, or a watch that has nothing to tell."""
        if request.query.get("watch") not in ("true", "1"):
            return _json(not_here(path))
        if request.query.get("sendInitialEvents") == "true":
            raise Refused(422, "sendInitialEvents: Forbidden: list, and watch from there")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_watch_s(request.query)):
                while not hung_up(request):
                    await asyncio.sleep(LOOK_S)
        return response

    def _table(
        self, asked: Target, contents: list[JsonObject], version: str, query: Mapping[str, str], *, header: bool = True
    ) -> JsonObject:
        include = query.get("includeObject", "Metadata")
        return table(asked.entry.kind, contents, version=version, include=include, header=header)

    async def _watch(self, asked: Target, request: web.Request, wish: str) -> web.StreamResponse:
        query = request.query
        wanted = self._wanted(asked, query)
        contents = await self._versions.look()
        since = query.get("resourceVersion") or ""
        initial = query.get("sendInitialEvents") == "true" or since in ("", "0")
        if since and not since.isdigit():
            raise Refused(400, f'invalid resourceVersion: "{since}"')
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        first = True

        async def send(kind: str, content: JsonObject) -> None:
            nonlocal first
            shown = _as_version(content, asked)
            if wish == "Table":
                version = content["metadata"]["resourceVersion"]
                shown = self._table(asked, [shown], version, query, header=first)
            elif wish:
                shown = partial(shown)
            first = False
            await response.write(json.dumps({"type": kind, "object": shown}).encode() + b"\n")

        start = self._versions.version if initial else int(since)
        # An object that leaves what is selected is gone for this watcher, one that enters it is new.
        there = {key for key, content in contents.items() if wanted(key, content)}
        if initial:
            for key in sorted(there):
                await send("ADDED", contents[key])
            if query.get("sendInitialEvents") == "true":
                about = {"resourceVersion": str(start), "annotations": {_BOOKMARK: "true"}}
                bookmark = {"kind": asked.entry.manifest_kind, "apiVersion": asked.entry.api_version(asked.version)}
                event = {"type": "BOOKMARK", "object": {**bookmark, "metadata": about}}
                await response.write(json.dumps(event).encode() + b"\n")
        try:
            async with asyncio.timeout(_watch_s(query)):
                async for change in self._versions.watch(start, lambda key: key[0] == asked.entry.kind):
                    if change is None:
                        # Nothing is written where nothing changes, so nothing else would tell that nobody listens.
                        if hung_up(request):
                            break
                        continue
                    chosen = wanted(change.key, change.content) and change.kind != "DELETED"
                    was = change.key in there
                    if chosen:
                        there.add(change.key)
                        await send("MODIFIED" if was and change.kind != "ADDED" else "ADDED", change.content)
                    elif was or (change.kind == "DELETED" and wanted(change.key, change.content)):
                        there.discard(change.key)
                        await send("DELETED", change.content)
        except Refused as refused:
            await response.write(json.dumps({"type": "ERROR", "object": refused.answer}).encode() + b"\n")
        except (TimeoutError, ConnectionError):
            pass
        return response

    async def _metrics(self, asked: Target, query: Mapping[str, str]) -> JsonObject:
        wanted = label_selector(query.get("labelSelector", ""))
        measured = [entry for entry in self._usage.measured(asked.namespace) if wanted(entry)]
        if asked.name:
            for entry in measured:
                if entry["metadata"]["name"] == asked.name:
                    return entry
            raise not_found(asked.entry, asked.name)
        return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": measured}

    # --- writing ------------------------------------------------------------------------------------------------

    async def _write(self, asked: Target, request: web.Request) -> web.StreamResponse:
        query, method = request.query, request.method
        content = body(request.content_type, await request.read())
        options = content if method == "DELETE" and isinstance(content, dict) else {}
        how = Asked(
            asked.namespace,
            verb=verb(method, query),
            manager=query.get("fieldManager") or request.headers.get("User-Agent", "").partition("/")[0],
            force=query.get("force") == "true",
            dry_run=bool(query.get("dryRun") or options.get("dryRun")),
            patched=method == "PATCH",
            validation=query.get("fieldValidation") or "Warn",
        )
        self._allow(asked, method)
        try:
            return await self._written(asked, request, content, how)
        except Refused as refused:
            return _json(refused.answer, code=refused.code, warnings=how.warnings)

    async def _written(self, asked: Target, request: web.Request, content: Json, how: Asked) -> web.Response:
        entry, query, method = asked.entry, request.query, request.method
        code = 200
        if method == "POST":
            code, made = 201, await self._writer.create(entry, mapping(content), how)
        elif method == "DELETE":
            names = [asked.name] if asked.name else await self._names(asked, query)
            made = await self._writer.delete(entry, names, how)
        elif asked.subresource == "scale":
            before = scale_of(await self._one(asked))
            count = scaled(before, content, request.content_type)
            how.verb = "kubectl scale"
            made = scale_of(await self._writer.patch(entry, asked.name, MERGE, {"spec": {"replicas": count}}, how))
        elif method == "PUT":
            made = await self._writer.replace(entry, asked.name, mapping(content), how)
        else:
            made = await self._writer.patch(entry, asked.name, request.content_type, content, how)
        made = _as_version(made, asked) if made.get("kind") == entry.manifest_kind else made
        if shape(request.headers.get("Accept", "")) == "Table" and made.get("kind") == entry.manifest_kind:
            made = self._table(asked, [made], made["metadata"].get("resourceVersion", ""), query)
        return _json(made, code=code, warnings=how.warnings)

    def _allow(self, asked: Target, method: str) -> None:
        verbs = asked.entry.verbs
        if asked.subresource:
            verbs = next(verbs for sub, _, verbs in asked.entry.subresources if sub == asked.subresource)
        needed = {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, "delete")
        if method == "DELETE" and not asked.name:
            needed = "deletecollection"
        fits = bool(asked.name) == (method != "POST") or needed == "deletecollection"
        if needed not in verbs or not fits:
            if asked.entry.kind == "Pod":
                raise Refused(405, "the embedded mesh makes and ends pods as their Deployments want; change those")
            raise unsupported(method)

    async def _names(self, asked: Target, query: Mapping[str, str]) -> list[str]:
        wanted = self._wanted(asked, query)
        return [key[2] for key, content in (await self._versions.look()).items() if wanted(key, content)]


def _watch_s(query: Mapping[str, str]) -> float:
    """For how long a watch lasts, in seconds."""
    text = query.get("timeoutSeconds", "")
    return min((float(text) if text.isdigit() else 0.0) or _LONGEST_WATCH_S, _LONGEST_WATCH_S)


def _as_version(content: JsonObject, asked: Target) -> JsonObject:
    """An object in the version that was asked for; the versions of a kind differ in nothing else."""
    return {**content, "apiVersion": asked.entry.api_version(asked.version)}


def _json(
    content: JsonObject, *, code: int = 200, content_type: str = "application/json", warnings: list[str] | None = None
) -> web.Response:
    response = web.Response(status=code, body=json.dumps(content).encode())
    response.headers["Content-Type"] = content_type
    for text in dict.fromkeys(warnings or ()):
        plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.add("Warning", f'299 - "{plain}"')
    return response
