"""``workshop wait`` and ``workshop dump``: beside kubectl, what asks the proxies of the lab that is open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click

from labsupport import words
from labsupport.errors import NotFoundError, StorageError, UsageError
from labsupport.records import JsonObject, Ref

__all__ = ["dump", "wait"]

_CONFIG, _CLUSTERS = ".json", ".clusters.json"
# What istioctl asks for itself, of a pod of a cluster.
_PAGES = {_CONFIG: "config_dump?include_eds", _CLUSTERS: "clusters?format=json"}


class _Outside(Protocol):
    """A lab, from outside of the process that has opened it."""

    def pods(self) -> list[JsonObject]: ...
    def admin(self, pod: JsonObject, path: str) -> str: ...
    def wait(self, rule: Ref, *, timeout_s: float) -> str: ...


def _engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which lab is meant."""
    for option in (
        click.option("--context", help="Context of the kubeconfig.  [default: WORKSHOP_CONTEXT, else the current one]"),
        click.option("--namespace", "-n", help="On a cluster.  [default: WORKSHOP_NAMESPACE, else workshop-<user>]"),
        click.option(
            "--engine", type=click.Choice(["embedded", "cluster"]), help="[default: WORKSHOP_ENGINE, else embedded]"
        ),
    ):
        command = option(command)
    return command


@contextmanager
def _opened(engine: str | None, namespace: str | None, context: str | None) -> Iterator[_Outside]:
    if (engine or os.environ.get("WORKSHOP_ENGINE")) == "cluster":
        from labsupport.engine.cluster.outside import OpenNamespace

        place = OpenNamespace(namespace=namespace, context=context)
        try:
            yield place
        finally:
            place.close()
        return
    if namespace or context:
        raise UsageError("--namespace and --context belong to --engine cluster")
    from labsupport.engine.embedded.outside import OpenMesh

    yield OpenMesh()


@click.command()
@click.argument("rule")
@click.option(
    "--timeout", "timeout_s", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds to wait."
)
@_engine
def wait(rule: str, timeout_s: int, engine: str | None, namespace: str | None, context: str | None) -> None:
    """Wait until RULE, such as vs/web, is in force in every proxy concerned.

    For a Deployment there is kubectl rollout status.
    """
    from labsupport.lab.refs import as_ref
    from labsupport.model import RULES

    ref = as_ref(rule)
    if ref.kind not in RULES:
        raise UsageError(f"{ref} is no rule ({words.join(RULES, 'or')}). For a Deployment: kubectl rollout status")
    with _opened(engine, namespace, context) as place:
        click.echo(f"{ref} is in force: {place.wait(ref, timeout_s=timeout_s)}")


@click.command()
@click.argument("pod", required=False)
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dump"),
    show_default=True,
    help="Folder to write to.",
)
@_engine
def dump(pod: str | None, output: Path, engine: str | None, namespace: str | None, context: str | None) -> None:
    """Write what the Envoy of POD holds, in the form that istioctl proxy-config reads; without POD, of every pod.

    POD is the name of a pod or of its Deployment.
    """
    from labsupport.engine.additions import PROXY

    with _opened(engine, namespace, context) as place:
        chosen = [entry for entry in place.pods() if PROXY in _containers(entry) and pod in (None, *_names(entry))]
        if not chosen:
            raise NotFoundError(
                f"there is no pod {pod} with a proxy: kubectl get pods -A" if pod else "no pod has a proxy"
            )
        for entry in chosen:
            for ending, page in _PAGES.items():
                path = output / f"{entry['metadata']['name']}{ending}"
                _write(path, place.admin(entry, page))
                click.echo(str(path))
    dumped = output / f"{chosen[0]['metadata']['name']}"
    click.echo(f"Read them, for instance: istioctl proxy-config routes -f {dumped}{_CONFIG}", err=True)
    click.echo(f"                         istioctl proxy-config endpoints -f {dumped}{_CLUSTERS}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}). Name another folder with --output."
        ) from error


def _containers(pod: JsonObject) -> list[str]:
    return [entry["name"] for entry in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])]


def _names(pod: JsonObject) -> tuple[str, ...]:
    """Of a pod and of its Deployment, whose pods are called after it: ``<deployment>-<template>-<pod>``."""
    name = str(pod["metadata"]["name"])
    owned = bool(pod["metadata"].get("ownerReferences"))
    return (name, name.rsplit("-", 2)[0]) if owned else (name,)
