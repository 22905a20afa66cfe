"""A learner's own copy of notebooks and manifests, which gets what is new in the course and loses no work."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.errors import NotFoundError, StorageError

__all__ = ["FOLDERS", "Refreshed", "WorkingCopy"]

FOLDERS = ("notebooks", "manifests")
"""What of the course a learner gets a copy of."""

_RECORD = ".course.json"
_KEPT = "kept"


@dataclass(slots=True)
class Refreshed:
    """What came of bringing a working copy up to date: names relative to it.

    Args:
        added: copied for the first time, or again because they were gone.
        updated: not changed by the learner, and now as in the course.
        removed: not changed by the learner, and no longer in the course.
        differing: changed by both; the learner's was left alone.
        kept: the folder of what was worth keeping of those replaced; None if nothing was.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    kept: Path | None = None


class WorkingCopy:
    """The copy of one learner.

    Each file is compared with the course as it was when the file was last copied: who has not changed it gets the
    course's newer one, who has keeps it. A file that is gone is copied again, as by nbgitpuller.

    Args:
        course: the repository.
        folder: where the copy is or will be.
    """

    def __init__(self, course: Path, folder: Path) -> None:
        self.course = course
        self.folder = folder

    def refresh(self) -> Refreshed:
        """Copy what is new in the course.

        Returns:
            What was done.

        Raises:
            StorageError: the copy cannot be written.
        """
        done = Refreshed()
        with _writing(self.folder):
            copied = self._record()
            offered = {name: _fingerprint(self.course / name) for name in self._names(self.course)}
            for name, new in offered.items():
                mine = self.folder / name
                present = _fingerprint(mine) if mine.exists() else ""
                if not present:
                    _copy(self.course / name, mine)
                    done.added.append(name)
                elif present != new and present == copied.get(name):
                    done.kept = self._give_up(name, done.kept)
                    _copy(self.course / name, mine)
                    done.updated.append(name)
                elif present != new and new != copied.get(name):
                    done.differing.append(name)
            for name in copied.keys() - offered.keys():
                mine = self.folder / name
                if mine.exists() and _fingerprint(mine) == copied[name]:
                    done.kept = self._give_up(name, done.kept)
                    done.removed.append(name)
            self._write_record(offered)
        return done

    def start_afresh(self, lesson: str = "") -> Refreshed:
        """Replace files by those of the course; what was changed in them is kept beside.

        Args:
            lesson: the number of one lesson such as ``02``; empty for all that the copy holds of the course.

        Returns:
            What was replaced, and where the former files are.

        Raises:
            NotFoundError: there is no such lesson.
            StorageError: the copy cannot be written.
        """
        names = [
            name for name in self._names(self.course) if not lesson or Path(name).parts[1].startswith(f"{lesson}-")
        ]
        if not names:
            raise NotFoundError(f"there is no lesson {lesson!r} in {self.course}. Give its number, such as 02.")
        done = Refreshed()
        with _writing(self.folder):
            copied = self._record()
            for name in names:
                mine = self.folder / name
                if not mine.exists():
                    done.added.append(name)
                elif mine.read_bytes() != (self.course / name).read_bytes():
                    done.kept = self._set_aside(name, done.kept)
                    done.updated.append(name)
                _copy(self.course / name, mine)
                copied[name] = _fingerprint(mine)
            self._write_record(copied)
        return done

    def _names(self, root: Path) -> Iterator[str]:
        for folder in FOLDERS:
            for path, folders, files in os.walk(root / folder):
                folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
                for file in sorted(name for name in files if not name.startswith(".")):
                    yield str(Path(path, file).relative_to(root))

    def _give_up(self, name: str, folder: Path | None) -> Path | None:
        """Remove what the learner has not changed; but the outputs of a notebook may be worth keeping."""
        if any(shown for _, _, shown in _cells(self.folder / name)):
            return self._set_aside(name, folder)
        (self.folder / name).unlink()
        return folder

    def _set_aside(self, name: str, folder: Path | None) -> Path:
        """Move a file to a folder of this moment; returns that folder."""
        if folder is None:
            folder = self.folder / _KEPT / time.strftime("%Y-%m-%d-%H%M%S")
            number = 1
            while folder.exists():
                number += 1
                folder = folder.with_name(f"{folder.name.partition('.')[0]}.{number}")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.folder / name, target)
        return folder

    def _record(self) -> dict[str, str]:
        """The course's files as they were copied last; empty where that is not known."""
        with suppress(FileNotFoundError, ValueError, AttributeError):
            record = json.loads((self.folder / _RECORD).read_text(encoding="utf-8"))
            return {str(name): str(fingerprint) for name, fingerprint in record.items()}
        return {}

    def _write_record(self, record: dict[str, str]) -> None:
        beside = self.folder / f"{_RECORD}.new"
        beside.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(beside, self.folder / _RECORD)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder, and an error of ours of what the system says while it is written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            f"your copy of the notebooks in {folder} cannot be written ({error.strerror}: {error.filename}). "
            "Make room or change its permissions, or name another folder: WORKSHOP_WORK=/path/to/folder"
        ) from error


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Without the mode: a clone may be read-only, its copy is for writing.
    beside = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, beside)
    os.replace(beside, target)


def _cells(file: Path) -> list[tuple[str, str, bool]]:
    """Kind and text of a notebook's cells, and whether there is an output; nothing of what is no notebook."""
    if file.suffix != ".ipynb":
        return []
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        cells = json.loads(file.read_bytes())["cells"]
        return [(cell["cell_type"], "".join(cell["source"]), bool(cell.get("outputs"))) for cell in cells]
    return []


def _fingerprint(file: Path) -> str:
    """What a person can have changed in a file: of a notebook its cells, but not their outputs."""
    cells = [(kind, text) for kind, text, _ in _cells(file)]
    data = json.dumps(cells).encode() if cells else file.read_bytes()
    return hashlib.sha256(data).hexdigest()
