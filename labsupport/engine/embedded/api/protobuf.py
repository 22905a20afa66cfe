"""Objects in Kubernetes' protobuf form, which ``kubectl create`` sends: as far as the mesh takes such objects.

The numbers are those of ``generated.proto`` in ``k8s.io/api`` and ``k8s.io/apimachinery``. Kubernetes' own encoder
writes empty values, too, so an empty one stands for one that is left out, as it does in JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Final

from labsupport.engine.embedded.api.answers import Refused
from labsupport.records import Json, JsonObject

__all__ = ["decoded"]

_MAGIC = b"k8s\x00"
_MOST_LEVELS = 20
_Fields = Mapping[int, tuple[str, str]]
_TYPES: Final[Mapping[str, _Fields]] = {
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "raw"), 3: ("", "text"), 4: ("", "text")},
    "TypeMeta": {1: ("apiVersion", "text"), 2: ("kind", "text")},
    "Metadata": {
        1: ("name", "text"),
        2: ("generateName", "text"),
        3: ("namespace", "text"),
        4: ("", "text"),
        5: ("uid", "text"),
        6: ("resourceVersion", "text"),
        7: ("", "number"),
        8: ("", "raw"),
        11: ("labels", "texts by text"),
        12: ("annotations", "texts by text"),
        17: ("", "raw"),
    },
    "Namespace": {1: ("metadata", "Metadata"), 2: ("", "raw"), 3: ("", "raw")},
    "ConfigMap": {
        1: ("metadata", "Metadata"),
        2: ("data", "texts by text"),
        3: ("binaryData", "bytes by text"),
        4: ("immutable", "truth"),
    },
    "Secret": {
        1: ("metadata", "Metadata"),
        2: ("data", "bytes by text"),
        3: ("type", "text"),
        4: ("stringData", "texts by text"),
        5: ("immutable", "truth"),
    },
    "ServiceAccount": {1: ("metadata", "Metadata"), 4: ("automountServiceAccountToken", "truth")},
    "Service": {1: ("metadata", "Metadata"), 2: ("spec", "ServiceSpec"), 3: ("", "raw")},
    "ServiceSpec": {
        1: ("ports", "list of ServicePort"),
        2: ("selector", "texts by text"),
        3: ("clusterIP", "text"),
        4: ("type", "text"),
        5: ("externalIPs", "list of text"),
        7: ("sessionAffinity", "text"),
        8: ("loadBalancerIP", "text"),
        10: ("externalName", "text"),
        11: ("externalTrafficPolicy", "text"),
        12: ("healthCheckNodePort", "number"),
        13: ("publishNotReadyAddresses", "truth"),
        18: ("clusterIPs", "list of text"),
    },
    "ServicePort": {
        1: ("name", "text"),
        2: ("protocol", "text"),
        3: ("port", "number"),
        4: ("targetPort", "IntOrString"),
        5: ("nodePort", "number"),
        6: ("appProtocol", "text"),
    },
    "IntOrString": {1: ("type", "number"), 2: ("int", "number"), 3: ("text", "text")},
    "Deployment": {1: ("metadata", "Metadata"), 2: ("spec", "DeploymentSpec"), 3: ("", "raw")},
    "DeploymentSpec": {
        1: ("replicas", "number or 0"),
        2: ("selector", "LabelSelector"),
        3: ("template", "PodTemplateSpec"),
        4: ("strategy", "DeploymentStrategy"),
        5: ("minReadySeconds", "number"),
        6: ("revisionHistoryLimit", "number"),
        7: ("paused", "truth"),
        9: ("progressDeadlineSeconds", "number"),
    },
    "DeploymentStrategy": {1: ("type", "text"), 2: ("rollingUpdate", "RollingUpdate")},
    "RollingUpdate": {1: ("maxUnavailable", "IntOrString"), 2: ("maxSurge", "IntOrString")},
    "LabelSelector": {1: ("matchLabels", "texts by text")},
    "PodTemplateSpec": {1: ("metadata", "Metadata"), 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", "list of Container"),
        3: ("restartPolicy", "text"),
        4: ("terminationGracePeriodSeconds", "number"),
        6: ("dnsPolicy", "text"),
        8: ("serviceAccountName", "text"),
        9: ("serviceAccount", "text"),
        10: ("nodeName", "text"),
        11: ("hostNetwork", "truth"),
        12: ("hostPID", "truth"),
        13: ("hostIPC", "truth"),
        14: ("", "raw"),
        16: ("hostname", "text"),
        17: ("subdomain", "text"),
        19: ("schedulerName", "text"),
        24: ("priorityClassName", "text"),
    },
    "Container": {
        1: ("name", "text"),
        2: ("image", "text"),
        3: ("command", "list of text"),
        4: ("args", "list of text"),
        5: ("workingDir", "text"),
        6: ("ports", "list of ContainerPort"),
        7: ("env", "list of EnvVar"),
        8: ("resources", "Nothing"),
        13: ("terminationMessagePath", "text"),
        14: ("imagePullPolicy", "text"),
        16: ("stdin", "truth"),
        17: ("stdinOnce", "truth"),
        18: ("tty", "truth"),
        20: ("terminationMessagePolicy", "text"),
    },
    "Nothing": {},
    "ContainerPort": {
        1: ("name", "text"),
        2: ("hostPort", "number"),
        3: ("containerPort", "number"),
        4: ("protocol", "text"),
        5: ("hostIP", "text"),
    },
    "EnvVar": {1: ("name", "text"), 2: ("value", "text")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "number or 0"),
        2: ("", "raw"),
        3: ("", "truth"),
        4: ("propagationPolicy", "text"),
        5: ("dryRun", "list of text"),
    },
}


def decoded(data: bytes) -> JsonObject:
    """An object as JSON has it.

    Args:
        data: as it was sent.

    Raises:
        Refused: it is no such object, or has fields that are known in JSON and YAML only.
    """
    try:
        if not data.startswith(_MAGIC):
            raise ValueError("it does not begin as Kubernetes' protobuf does")
        around = _message("Unknown", data[len(_MAGIC) :], 0)
        about = around.get("typeMeta") or {}
        kind = str(about.get("kind", ""))
        if kind not in _TYPES:
            raise ValueError(f"the kind {kind!r} is taken as JSON or YAML only: kubectl create -f")
        return {**about, **_message(kind, around.get("raw", b""), 0)}
    except (ValueError, IndexError) as error:
        raise Refused(415, f"the body of the request cannot be read as protobuf: {error}") from None


def _message(kind: str, data: bytes, level: int) -> JsonObject:
    if level > _MOST_LEVELS:
        raise ValueError("too deep")
    fields = _TYPES[kind]
    made: JsonObject = {}
    for number, value in _parts(data):
        if number not in fields:
            if value:
                raise ValueError(f"field {number} of {kind} is taken as JSON or YAML only: kubectl create -f")
            continue
        name, form = fields[number]
        if not name:
            continue
        if form.startswith("list of "):
            made.setdefault(name, []).append(_value(form.removeprefix("list of "), value, level))
        elif form.endswith(" by text"):
            key, item = _pair(value)
            made.setdefault(name, {})[key] = (
                item.decode() if form.startswith("texts") else base64.b64encode(item).decode()
            )
        else:
            shown = _value(form, value, level)
            if shown not in ("", None, {}, b"") and (shown or form == "number or 0"):
                made[name] = shown
    return made


def _value(form: str, value: int | bytes, level: int) -> Json:
    if isinstance(value, int):
        if form == "truth":
            return bool(value)
        if form.startswith("number"):
            return value - (1 << 64) if value >= 1 << 63 else value
        raise ValueError("a number stands where none belongs")
    if form == "raw":
        return value
    if form == "text":
        return value.decode()
    if form not in _TYPES:
        raise ValueError(f"bytes stand where a {form} belongs")
    made = _message(form, value, level + 1)
    if form == "IntOrString":
        return made.get("text", "") if made.get("type") else made.get("int", 0)
    return made


def _pair(value: int | bytes) -> tuple[str, bytes]:
    if isinstance(value, int):
        raise ValueError("a number stands where an entry belongs")
    parts = dict(_parts(value))
    key, item = parts.get(1, b""), parts.get(2, b"")
    if isinstance(key, int) or isinstance(item, int):
        raise ValueError("a number stands where text belongs")
    return key.decode(), item


def _parts(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a message."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
        elif wire == 2:
            size, place = _varint(data, place)
            if size > len(data) - place:
                raise ValueError("it ends too early")
            yield number, data[place : place + size]
            place += size
        else:
            raise ValueError(f"wire type {wire} is not used")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("a number is too long")
