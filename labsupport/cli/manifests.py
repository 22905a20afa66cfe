"""``workshop translate``, ``validate`` and ``convert``: what manifests become, without a mesh."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from labsupport.words import visible

if TYPE_CHECKING:
    from labsupport.errors import Problem
    from labsupport.model.analysis import Note
    from labsupport.model.reading.documents import Document

__all__ = ["convert", "translate", "validate"]

REJECTED = 3
"""Exit status of ``validate`` when a cluster would refuse one of the objects."""


def _echo(text: str, *, err: bool = False) -> None:
    click.echo(visible(text), err=err)


def _source(name: str) -> Path | str:
    return sys.stdin.read() if name == "-" else Path(name)


@click.command()
@click.option("-f", "files", multiple=True, required=True, metavar="FILE", help="File or folder; - is standard input.")
@click.option("--proxy", required=True, help="sidecar:<pod or Deployment>.<namespace> or gateway:<...>.<namespace>")
@click.option("--labels", metavar="K=V,...", default="", help="Labels of the proxy's pod, if no file has that pod.")
@click.option(
    "--inject",
    type=click.Choice(["all", "auto", "none"]),
    default="all",
    show_default=True,
    help="Pods with a sidecar; auto: those that labels ask for.",
)
@click.option("--mesh-config", type=click.Path(path_type=Path), help="YAML file with fields of MeshConfig to change.")
def translate(
    files: tuple[str, ...], proxy: str, labels: str, inject: Literal["all", "auto", "none"], mesh_config: Path | None
) -> None:
    """Print the Envoy configuration that manifests become for one proxy, as JSON with proto field names.

    Nothing is started. Pods and addresses are made up from the Deployments and Services in the files. Objects that a
    cluster would refuse are left out; the standard error output says which.
    """
    from labsupport.controlplane.offline.translate_files import run
    from labsupport.errors import ManifestError, NotFoundError

    pairs = dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
    if mesh_config is not None and not mesh_config.is_file():
        raise NotFoundError(f"there is no file {mesh_config}")
    mesh = mesh_config.read_text(encoding="utf-8") if mesh_config is not None else ""
    try:
        result = run([_source(name) for name in files], proxy, labels=pairs, inject=inject, mesh_config=mesh)
    except ManifestError as error:
        raise ManifestError(error.problems, outcome="nothing was translated") from None
    for item in result["info"]["rejected"]:
        _echo(f"left out, as a cluster refuses it: {item['kind']}/{item['name']} ({item['namespace']})", err=True)
        for text in item["errors"]:
            _echo(f"  {text}", err=True)
    for line in result["info"]["ignored"]:
        _echo(f"passed over: {line}", err=True)
    if result["info"]["proxy"]["made_up"]:
        _echo(f"no file has the pod of {proxy}, so it is one without Services", err=True)
    _echo(json.dumps(result, indent=2, ensure_ascii=False))


@click.command()
@click.option("-f", "files", multiple=True, required=True, metavar="FILE", help="File or folder; - is standard input.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where to send to, if neither rule nor Service says it.")
def convert(files: tuple[str, ...], port: int | None) -> None:
    """Print the HTTPRoutes of the Gateway API that say the same as VirtualServices, as YAML.

    A Service is made for each subset that rules send to, if the files have its Service and its DestinationRule. The
    standard error output says what has no counterpart, and what is not the same.
    """
    import yaml

    from labsupport.errors import ManifestError, Problem
    from labsupport.model import VirtualService, parse
    from labsupport.model.converting import as_httproutes
    from labsupport.model.reading.documents import read

    documents = [document for name in files for document in read(_source(name))]
    objects = parse(documents)
    if not any(isinstance(resource, VirtualService) for resource in objects):
        raise ManifestError([Problem("there is no VirtualService in it, and nothing else is converted")])
    converted = as_httproutes(objects, port=port)
    for loss in converted.losses:
        _echo(str(loss), err=True)
    _echo(yaml.safe_dump_all(converted.manifests, sort_keys=False).rstrip())


@click.command()
@click.option("-f", "files", multiple=True, required=True, metavar="FILE", help="File or folder; - is standard input.")
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: by lines."
)
@click.option("--analyze", is_flag=True, help="Add notes on what does not fit together, as istioctl analyze does.")
def validate(files: tuple[str, ...], output: str, analyze: bool) -> None:
    """Check manifests as istiod and the API server would; exit status 3 if they would refuse an object.

    JSON has istiod's verdicts on the objects of Istio, as its own tools give them.

    Notes of --analyze come after the verdicts and do not change the exit status.
    """
    from labsupport.controlplane.offline.admission import files_of
    from labsupport.errors import ManifestError
    from labsupport.model.analysis.spellings import OLD
    from labsupport.model.reading.documents import read

    documents: list[Document] = []
    problems: list[Problem] = []
    empty: list[str] = []
    for name in files:
        source = _source(name)
        for part in files_of(source) if isinstance(source, Path) else (source,):
            # Programs read what this prints as JSON, so there it is what programs make of the files. People are told
            # more: of a key that is given twice, for instance.
            file = "" if isinstance(part, Path) else "standard input"
            try:
                from_file = read(part, file=file, empty=True, loose=output == "json")
            except ManifestError as error:
                problems += error.problems
                continue
            documents += from_file
            if not from_file:
                empty.append(str(part) if isinstance(part, Path) else file)
    if problems:
        raise ManifestError(problems, outcome="so no object was judged")
    if output == "text":
        _tell_empty(empty, nothing_in=files if not documents else ())
    refused = _print_verdicts(documents) if output == "json" else _tell_verdicts(documents)
    if analyze:
        for note in _notes([document for document in documents if document not in refused]):
            if output == "json":
                _print_line(asdict(note))
            elif note.code != OLD:
                _echo(f"{note.level}: {note}")
    if refused:
        sys.exit(REJECTED)


def _tell_empty(files: list[str], *, nothing_in: tuple[str, ...]) -> None:
    """Name the files without an object; there has to be one somewhere, or somebody has named the wrong file."""
    from labsupport.errors import ManifestError, Problem

    message = "there is no object in it: it is empty or has only comments"
    if nothing_in:
        raise ManifestError(
            [Problem(message, file) for file in files]
            or [Problem("there is no manifest in this folder", folder) for folder in nothing_in]
        )
    for file in files:
        _echo(f"{file}: {message}")


def _print_verdicts(documents: list[Document]) -> list[Document]:
    """Print what istiod says to the objects of Istio, as its own tools do; return the refused ones."""
    from labsupport.model import validation

    # One at a time, as a verdict does not say which document it is about.
    judged = [(document, verdict) for document in documents for verdict in validation.validate([document])]
    for _, verdict in judged:
        _print_line(verdict.as_record())
    return [document for document, verdict in judged if verdict.errors]


def _tell_verdicts(documents: list[Document]) -> list[Document]:
    """Tell what a cluster says to each object, with the line and what to do; return the refused ones."""
    from labsupport.model.reading.judging import judged

    verdicts = [judged(document) for document in documents]
    for document, verdict in zip(documents, verdicts, strict=True):
        place = f"{document.origin.file or 'input'}:{document.origin.line}"
        _echo(f"{place}: {verdict.name}: {verdict.state}")
        for label, problems in (("error", verdict.errors), ("warning", verdict.warnings), ("note", verdict.notes)):
            for problem in problems:
                text = str(replace(problem, file="", line=0, document=0, object=""))
                _echo(f"  {label}{f', line {problem.line}' if problem.line else ''}: {text}")
    refused = sum(bool(verdict.errors) for verdict in verdicts)
    unjudged = sum(not verdict.errors and bool(verdict.note) for verdict in verdicts)
    _echo(
        f"{len(verdicts) - refused - unjudged} accepted, {refused} rejected"
        + (f"; {unjudged} not judged" if unjudged else "")
    )
    return [document for document, verdict in zip(documents, verdicts, strict=True) if verdict.errors]


def _print_line(record: object) -> None:
    _echo(json.dumps(record, ensure_ascii=False, separators=(",", ":")))


def _notes(documents: list[Document]) -> list[Note]:
    from labsupport.errors import ManifestError
    from labsupport.model import parse
    from labsupport.model.analysis import analyse

    objects = []
    for document in documents:
        # A kind that the workshop does not model can be somebody's all the same; it takes no part here.
        with contextlib.suppress(ManifestError):
            objects += parse([document])
    return analyse(objects)
