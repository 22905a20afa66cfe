"""An open lab, reached from another process of the same user: a terminal's."""

from __future__ import annotations

import base64
import json
import math
import os
import ssl
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path
from typing import Final

from labsupport import words
from labsupport.engine.embedded.api.access import CONTEXT
from labsupport.engine.embedded.api.front import ask
from labsupport.engine.embedded.api.kinds import kind_of
from labsupport.engine.embedded.processes import rundir
from labsupport.errors import EngineError, NotFoundError, WaitTimeoutError
from labsupport.records import JsonObject, Ref

__all__ = ["OpenMesh", "open_kubeconfig"]

_ANSWER_S: Final = 30.0


def open_kubeconfig() -> Path:
    """The kubeconfig file of the lab that is open; of several, of the one opened last.

    Raises:
        NotFoundError: none is.
    """
    for folder in reversed(rundir.running()):
        try:
            return ask(folder)
        except OSError:
            # It is closing, or not open yet.
            continue
    raise NotFoundError("no lab is open on the embedded mesh. Open one in a notebook: lab = Lab()")


def _of_the_terminal() -> JsonObject | None:
    """The kubeconfig that kubectl takes here, if it is one of a lab."""
    for place in filter(None, os.environ.get("KUBECONFIG", "").split(os.pathsep)):
        try:
            config = json.loads(Path(place).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(config, dict) and config.get("current-context") == CONTEXT:
            return config
    return None


class OpenMesh:
    """The lab that is open on the embedded mesh: that of ``KUBECONFIG``, else the one opened last.

    Raises:
        NotFoundError: none is.
    """

    def __init__(self) -> None:
        config = _of_the_terminal() or json.loads(open_kubeconfig().read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self._server = str(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._trusted = ssl.create_default_context(cadata=authority)
        self._token = config["users"][0]["user"]["token"]
        self._namespace = config["contexts"][0]["context"]["namespace"]

    def _open(self, path: str, *, timeout_s: float = _ANSWER_S) -> HTTPResponse:
        request = urllib.request.Request(self._server + path, headers={"Authorization": f"Bearer {self._token}"})
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, context=self._trusted, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                message = json.loads(error.read())["message"]
            raise (NotFoundError if error.code == 404 else EngineError)(message) from None
        except OSError as error:
            raise EngineError(f"the embedded mesh does not answer: {words.reason(error)}") from error
        return answer

    def pods(self) -> list[JsonObject]:
        """All pods, as the API shows them."""
        with self._open("/api/v1/pods") as answer:
            return list(json.load(answer)["items"])

    def admin(self, pod: JsonObject, path: str) -> str:
        """A page of the admin interface of a pod's Envoy.

        Args:
            pod: as ``pods`` tells it.
            path: such as ``config_dump?include_eds``.

        Raises:
            EngineError: its Envoy does not answer.
        """
        metadata = pod["metadata"]
        place = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}:15000/proxy/{path}"
        with self._open(place) as answer:
            return answer.read().decode()

    def wait(self, rule: Ref, *, timeout_s: float) -> str:
        """Wait until a rule is in force.

        Args:
            rule: which.
            timeout_s: how long to wait.

        Returns:
            How many proxies have it.

        Raises:
            NotFoundError: there is no such rule.
            WaitTimeoutError: it is not in force in time.
        """
        kind = kind_of(rule.kind)
        place = f"/apis/{kind.api_version()}/namespaces/{rule.namespace or self._namespace}/{kind.plural}"
        with self._open(f"{place}/{rule.name}") as answer:
            told = _in_force(json.load(answer))
        if told:
            return told
        query = f"watch=true&fieldSelector=metadata.name={rule.name}&timeoutSeconds={math.ceil(timeout_s)}"
        with self._open(f"{place}?{query}", timeout_s=timeout_s + _ANSWER_S) as events:
            try:
                for line in events:
                    event = json.loads(line)
                    if event["type"] == "DELETED":
                        raise NotFoundError(f"{rule} was deleted")
                    if told := _in_force(event["object"]):
                        return told
            except OSError as error:
                raise EngineError(f"the embedded mesh does not answer any more: {words.reason(error)}") from error
        raise WaitTimeoutError(
            f"{rule} is not in force after {timeout_s:g} s; workshop dump tells what the proxies hold"
        )


def _in_force(rule: JsonObject) -> str:
    for condition in (rule.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Reconciled" and condition["status"] == "True":
            return str(condition["message"])
    return ""
