"""``workshop cluster up``: from nothing to a cluster that the course runs on, in steps that are not done twice."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.errors import EngineError, EngineLostError, LabError, NotFoundError, UsageError
from labsupport.setup.cluster import addons, cache, checks, containers, images, istio, remedies, tools
from labsupport.setup.cluster.kind import Kind, check_name, configuration, read_configuration
from labsupport.setup.cluster.options import Options, Reporter
from labsupport.setup.finding import Finding

if TYPE_CHECKING:
    from labsupport.engine.cluster.api.connect import Connection

__all__ = ["Up"]

_ANSWER_S = 90.0
_POLL_S = 1.0


@dataclass
class Up:
    """One run of ``workshop cluster up``.

    Args:
        options: what the user chose.
        report: who shows what happens.
    """

    options: Options
    report: Reporter
    _found: Kind | None = field(default=None, init=False)
    _connection: Connection | None = field(default=None, init=False)

    def run(self) -> Kind:
        """Do what is not done yet.

        Returns:
            The cluster.

        Raises:
            LabError: a step failed; says why and what to do. Another run goes on there.
        """
        check_name(self.options.name)
        # A mistake in a file's name shows at once, not after the cluster was made.
        over = read_configuration(self.options.kind_config) if self.options.kind_config else None
        archives = {file: images.archived_names(file) for file in _archive_files(self.options.archives)}
        for file in self.options.istio_config:
            if not file.is_file():
                raise NotFoundError(f"there is no file {file} (--istio-config).")
        steps: list[tuple[str, Callable[[], str]]] = [
            ("container engine", self._engine),
            ("cluster", lambda: self._cluster(over)),
            ("API server", self._answers),
            *([("image archives", lambda: self._archives(archives))] if archives else []),
            ("Istio", self._istio),
            ("images", lambda: self._images({name for names in archives.values() for name in names})),
            *([("add-ons", self._addons)] if self.options.addons else []),
        ]
        for title, step in steps:
            self.report.begin(title)
            self.report.end(step())
        return self._kind

    def check(self) -> bool:
        """Look at everything that a new cluster needs, and change nothing.

        Returns:
            Whether one can be made.
        """
        self.report.begin("container engine")
        engine = containers.find(self.options.provider)
        self.report.end(f"{engine.title} {engine.version}")
        findings = list(self._findings(engine))
        for finding in findings:
            self.report.finding(finding)
        return not any(finding.level == "error" for finding in findings)

    @property
    def _kind(self) -> Kind:
        assert self._found is not None, "the first step sets it"
        return self._found

    @property
    def _cluster_connection(self) -> Connection:
        assert self._connection is not None, "the third step sets it"
        return self._connection

    # --- the steps ---------------------------------------------------------------------------------------------

    def _engine(self) -> str:
        engine = containers.find(self.options.provider)
        tool = tools.kind(progress=self.report.progress, tell=self.report.tell)
        assert tool is not None
        self._found = Kind(tool, engine, self.options.name)
        return f"{engine.title} {engine.version}, {tool}"

    def _findings(self, engine: containers.Containers) -> list[Finding]:
        wanted = self.options.node_image
        listen = self.options.listen if self.options.ports else None
        if not self.options.node_image and self._found is not None and not self._found.tool.pinned:
            wanted = "the one of another kind's release"
        return list(checks.before_creation(engine, node_image=wanted, listen=listen, own_ports=checks.PORTS))

    def _cluster(self, over: dict[str, object] | None) -> str:
        kind, record = self._kind, cache.Record(self.options.name)
        if kind.exists() and record.read().get("making"):
            self.report.tell("an earlier run was ended while it made the cluster; making it anew")
            kind.delete(on_line=self.report.line)
        if kind.exists():
            kind.start()
            return f"{kind.name} is there"
        errors = []
        for finding in self._findings(kind.engine):
            if finding.level != "ok":
                self.report.finding(finding)
            if finding.level == "error":
                errors.append(f"{finding.title}: {finding.detail}. {finding.remedy}")
        if errors:
            raise EngineError("\n".join(errors))
        config = configuration(
            node_image=self.options.node_image or kind.default_image(),
            listen=self.options.listen,
            ports=tuple(checks.PORTS) if self.options.ports else (),
            over=over,
        )
        record.forget()
        record.update(making=True)
        kind.create(config, on_line=self.report.line)
        record.update(making=None)
        return f"{kind.name} was made"

    def _answers(self) -> str:
        from labsupport.engine.cluster.api.connect import Connection

        context = self._kind.context
        deadline = time.monotonic() + _ANSWER_S
        exported = False
        while True:
            try:
                if not exported and _default_context() != context:
                    raise UsageError(f"{context} is not the current context")
                connection = Connection(context, timeout_s=5)
                version = str(connection.get("/version")["gitVersion"])
                if _node_is_ready(connection):
                    break
                state = "the node is not ready"
            except EngineLostError as error:
                state = str(error)
                self.report.line("waiting for the API server")
            except (EngineError, UsageError) as error:
                state = str(error)
            if not exported:
                # The context is not in this kubeconfig, or is that of an earlier cluster of the same name.
                self._kind.export_kubeconfig()
                exported = True
                self.report.tell(f"{context} is the current context of your kubeconfig now")
                if _default_context() != context:
                    self.report.tell(f"but WORKSHOP_CONTEXT names another one: unset it, or set it to {context}")
            elif time.monotonic() > deadline:
                raise EngineError(
                    f"the cluster {self._kind.name} does not get ready: {state}.\n  {remedies.NOT_READY}\n"
                    "  To begin anew: ./workshop cluster down, then ./workshop cluster up"
                )
            else:
                time.sleep(_POLL_S)
        self._connection = connection
        return f"Kubernetes {version.removeprefix('v')}, context {context}"

    def _archives(self, archives: dict[Path, list[str]]) -> str:
        loaded = 0
        record, held = self._record(), self._kind.images()
        kept = record.read().get("archives", {})
        for file, names in archives.items():
            state = file.stat()
            mark = f"{state.st_size}:{state.st_mtime_ns}"
            if kept.get(str(file)) == mark and all(set(names) <= node for node in held.values()):
                continue
            self.report.line(f"loading {file.name}: {', '.join(names)}")
            self._kind.load(file, on_line=self.report.line)
            kept = {**kept, str(file): mark}
            record.update(archives=kept)
            loaded += 1
        return f"{len(archives)} ({loaded} loaded now)" if loaded else f"{len(archives)}, all loaded"

    def _istio(self) -> str:
        tag, tracing = self.options.istio_tag, "jaeger" in self.options.addons
        record = self._record()
        over = [f"{file}:{file.stat().st_mtime_ns}" for file in self.options.istio_config]
        there = istio.installed(self._cluster_connection, tag=tag, tracing=tracing)
        if there and (not over or record.read().get("istio_config") == over):
            return f"{there} is there"
        tool = tools.istioctl(progress=self.report.progress, tell=self.report.tell)
        assert tool is not None
        self.report.line(f"{tool}: install")
        istio.install(
            tool,
            self._kind.context,
            cluster=self.options.name,
            hub=self.options.istio_hub,
            over=self.options.istio_config,
            on_line=self.report.line,
            tag=tag,
            tracing=tracing,
        )
        record.update(istio_config=over or None)
        there = istio.installed(self._cluster_connection, tag=tag, tracing=tracing)
        if not there:
            raise EngineError(
                "istioctl ended well, but istiod is not ready or lacks the access log that the course reads. If "
                "--istio-config turns it off, leave accessLogFile in place; see './workshop cluster status'."
            )
        return f"{there} was installed"

    def _images(self, in_archives: set[str]) -> str:
        kind, record, held = self._kind, self._record(), self._kind.images()
        registry = images.registry()
        built: list[str] = []
        names = images.names()
        for name in names:
            target = images.reference(name)
            digest = images.source_digest(name)
            there = all(target in node for node in held.values())
            kept = record.read().get("images", {})
            if there and (target in in_archives or kept.get(target, digest) == digest):
                continue
            if images.is_remote(registry):
                continue  # pods pull them
            self.report.line(f"building {target}")
            images.build(kind.engine, name, target, log=kind.log, on_line=self.report.line)
            with tempfile.TemporaryDirectory(dir=cache.folder()) as folder:
                archive = Path(folder) / f"{name}.tar"
                images.save(kind.engine, [target], archive, log=kind.log)
                self.report.line(f"loading {target}")
                kind.load(archive, on_line=self.report.line)
            record.update(images={**kept, target: digest})
            built.append(name)
        if images.is_remote(registry):
            return f"pods pull them from {registry} (WORKSHOP_REGISTRY)"
        return f"{', '.join(names)}: " + (f"{', '.join(built)} built and loaded" if built else "all there")

    def _addons(self) -> str:
        connection, wanted = self._cluster_connection, self.options.addons
        running = addons.ready(connection)
        if missing := [name for name in wanted if name not in running]:
            addons.install(connection, missing, folder=self.options.addon_manifests, on_line=self.report.line)
        return f"{', '.join(wanted)} {'runs' if len(wanted) == 1 else 'run'}"

    def _record(self) -> cache.Record:
        """The record of this very cluster: what is known of one that was removed by hand is forgotten."""
        record, identity = cache.Record(self.options.name), self._kind.identity()
        if record.read().get("identity") != identity:
            record.forget()
            record.update(identity=identity)
        return record


def _default_context() -> str:
    """The context that the cluster engine takes when none is named; empty if it finds none."""
    from labsupport.engine.cluster.api.connect import Connection

    try:
        return Connection().context
    except LabError:
        return ""


def _node_is_ready(connection: Connection) -> bool:
    nodes = connection.get("/api/v1/nodes")["items"]
    conditions = [condition for node in nodes for condition in (node.get("status") or {}).get("conditions") or []]
    ready = [condition["status"] == "True" for condition in conditions if condition["type"] == "Ready"]
    return bool(ready) and len(ready) == len(nodes) and all(ready)


def _archive_files(places: tuple[Path, ...]) -> list[Path]:
    """The archives that an option names, those in a folder in order of their names."""
    files: list[Path] = []
    for place in places:
        inside = sorted(file for file in place.iterdir() if file.suffix == ".tar") if place.is_dir() else [place]
        if not inside:
            raise NotFoundError(f"there is no archive (*.tar) in {place} (--image-archives).")
        files += inside
    for file in files:
        with contextlib.suppress(OSError):
            if file.is_file():
                continue
        raise NotFoundError(f"there is no file {file} (--image-archives).")
    return files
