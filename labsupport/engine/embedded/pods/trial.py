"""Whether a learner's program can be loaded, tried before anything is changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

from labsupport.engine.embedded.pods.workplace import Workplace
from labsupport.engine.embedded.processes import rundir
from labsupport.engine.embedded.processes.spawner_client import last_words
from labsupport.engine.podtemplate import own_containers
from labsupport.errors import Problem
from labsupport.model import Deployment, Resource
from labsupport.model.kinds.pods import Container

__all__ = ["Trials"]

_LONGEST_S = 20.0
_LONGEST_WORDS = 2000
_Fingerprint = tuple[tuple[str, int, int], ...]


class Trials:
    """Loads the learner's programs once, and again when their files have changed.

    Args:
        place: where their pods would run.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._passed: dict[tuple[Path, tuple[tuple[str, str], ...]], _Fingerprint] = {}

    async def problems(self, objects: Iterable[Resource], *, timeout_s: float) -> list[Problem]:
        """What keeps the learner's programs among some objects from being loaded.

        Args:
            objects: may be of any kind; known to be correct otherwise.
            timeout_s: how long a program may take; 20 s at most.
        """
        problems: list[Problem] = []
        for resource in objects:
            if not isinstance(resource, Deployment):
                continue
            for index, container in own_containers(resource.spec.template.spec):
                name = self._place.programs.name(container.image)
                if not self._place.programs.is_learners(name):
                    continue
                failure = await self._failure(self._place.programs.path(name), container, min(timeout_s, _LONGEST_S))
                if failure:
                    path, origin = f"spec.template.spec.containers[{index}].image", resource.origin
                    problems.append(
                        Problem(
                            f"the program of image {container.image!r} cannot be loaded: {failure}",
                            origin.file,
                            origin.document,
                            origin.line_of(path),
                            f"{resource.kind}/{resource.name}",
                            path,
                            "Correct the program, then apply this again.",
                        )
                    )
        return problems

    async def _failure(self, program: Path, container: Container, timeout_s: float) -> str:
        # A variable that comes from a ConfigMap is there, with whatever value.
        env = {variable.name: variable.value or "" for variable in container.env}
        key, fingerprint = (program, tuple(sorted(env.items()))), _fingerprint(program.parent)
        if self._passed.get(key) == fingerprint:
            return ""
        log = self._place.folder / "trial.log"
        with rundir.explained(self._place.folder):
            log.write_bytes(b"")
        process = await self._place.spawner.start_app(program, env=env, port=0, log=log, grace_s=0.0)
        try:
            status = await asyncio.wait_for(asyncio.shield(process.ended), timeout_s)
        except TimeoutError:
            return f"{program}: it was not loaded within {timeout_s:g} s"
        finally:
            await process.stop()
        if status:
            return last_words(log, limit=_LONGEST_WORDS) or f"{program}: its process ended with status {status}"
        self._passed[key] = fingerprint
        return ""


def _fingerprint(folder: Path) -> _Fingerprint:
    files = []
    for file in sorted(folder.rglob("*.py")):
        with contextlib.suppress(OSError):
            files.append((str(file), file.stat().st_mtime_ns, file.stat().st_size))
    return tuple(files)
