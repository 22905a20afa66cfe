"""Kinds of extensions.istio.io: programs inside proxies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.otheristio import OtherIstio, PolicyTargetReference, TargetReferences, matching
from labsupport.model.kinds.selector import WorkloadSelector
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import CLEARABLE, Int32, Rule, at_most_one

__all__ = [
    "EnvVarOfVm",
    "LuaConfig",
    "MatchedPort",
    "TrafficExtension",
    "TrafficExtensionSpec",
    "TrafficSelector",
    "VmConfig",
    "WasmConfig",
    "WasmPlugin",
    "WasmPluginSpec",
    "is_module_url",
]

_SCHEMES = ("", "file", "http", "https", "oci")


_ABSOLUTE = re.compile(r"([a-zA-Z][-a-zA-Z0-9+.]*):(.+)", re.DOTALL)
_AUTHORITY = re.compile(r"//(?:[^/?#@]*@)?([^/?#]*)(.*)", re.DOTALL)
_HOST = re.compile("[A-Za-z0-9._~!$&'()*+,;=\\-<>\"\x80-\U0010ffff]*(?::[0-9]*)?|\\[[0-9a-fA-F:.]+\\](?::[0-9]*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_CONTROL = re.compile("[\x00-\x20\x7f]")


def _scheme_of(text: str) -> str | None:
    """Tell the scheme of a URL or absolute path, None if it is neither (``url.ParseRequestURI`` of Go)."""
    if text.startswith("/"):
        return None if _BAD_ESCAPE.search(text) else ""
    absolute = _ABSOLUTE.fullmatch(text)
    if absolute is None or _CONTROL.search(text):
        return None
    authority = _AUTHORITY.fullmatch(absolute[2])
    if authority is None:  # scheme:something
        return absolute[1].lower()
    if _HOST.fullmatch(authority[1]) is None or _BAD_ESCAPE.search(authority[2]):
        return None
    return absolute[1].lower()


def is_module_url(value: str) -> bool:
    """Tell whether text says where a WebAssembly module is: a URL, or an image without scheme."""
    for text in (value, f"http://{value}"):
        scheme = _scheme_of(text)
        if scheme is not None:
            return scheme in _SCHEMES
    return False


ModuleURL = Annotated[
    str, Field(min_length=1), Rule(is_module_url, "must be a URL with scheme http, https, oci or file, or an image")
]
Sha256 = Annotated[str, matching(r"([a-f0-9]{64})?", "must be 64 hexadecimal digits in lower case")]
FailStrategy = Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]
PullPolicy = Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"]
PluginType = Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"]


def _unique(name: str) -> Rule:
    def holds(value: list[Mapping[str, Any]]) -> bool:
        return len({entry[name] for entry in value}) == len(value)

    return Rule(holds, f"two entries have the same {name}")


class EnvVarOfVm(Schema):
    """An environment variable of a module."""

    RULES: ClassVar = (
        Rule(lambda value: value.get("valueFrom") != "HOST" or "value" not in value, "valueFrom HOST takes no value"),
    )

    name: Annotated[str, Field(min_length=1, max_length=256)]
    value: Annotated[str, Field(max_length=2048)] = ""
    value_from: Literal["INLINE", "HOST"] = "INLINE"


class VmConfig(Schema):
    """The virtual machine of a module."""

    env: Annotated[list[EnvVarOfVm], Field(max_length=256), _unique("name")] = Field(default_factory=list)


class MatchedPort(Schema):
    """A port that a filter applies to."""

    number: Annotated[int, Field(ge=1, le=65535)]


class TrafficSelector(Schema):
    """The traffic that a filter applies to."""

    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] = "UNDEFINED"
    ports: Annotated[list[MatchedPort], _unique("number")] = Field(default_factory=list)


class WasmConfig(Schema):
    """A WebAssembly module."""

    url: ModuleURL
    sha256: Sha256 = ""
    image_pull_policy: PullPolicy = "UNSPECIFIED_POLICY"
    image_pull_secret: Annotated[str, Field(min_length=1, max_length=253)] = ""
    verification_key: str = ""
    plugin_config: dict[str, Any] | None = None
    plugin_name: Annotated[str, Field(min_length=1, max_length=256)] = ""
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    vm_config: VmConfig | None = None
    type: PluginType = "UNSPECIFIED_PLUGIN_TYPE"


class LuaConfig(Schema):
    """A Lua program."""

    inline_code: Annotated[str, Field(min_length=1, max_length=65536)]


class WasmPluginSpec(WasmConfig):
    """``spec`` of a WasmPlugin."""

    RULES: ClassVar = (
        Rule(
            at_most_one("selector", "targetRef", "targetRefs"),
            "only one of selector, targetRef and targetRefs may be given",
        ),
    )

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: TargetReferences = Field(default_factory=list)
    phase: Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED_PHASE"
    priority: Annotated[Int32 | None, CLEARABLE] = None
    match: list[TrafficSelector] = Field(default_factory=list)


class WasmPlugin(OtherIstio):
    """Extensions of proxies in WebAssembly."""

    KIND = "WasmPlugin"
    GROUP = "extensions.istio.io"
    VERSIONS = ("v1alpha1",)
    PURPOSE = "extends proxies by WebAssembly"

    spec: WasmPluginSpec


class TrafficExtensionSpec(Schema):
    """``spec`` of a TrafficExtension."""

    ONE_OF: ClassVar = (("wasm", "lua"),)
    RULES: ClassVar = (
        Rule(at_most_one("selector", "targetRefs"), "only one of selector and targetRefs may be given"),
        Rule(lambda value: "wasm" in value or "lua" in value, "wasm or lua must be given"),
    )

    selector: WorkloadSelector | None = None
    target_refs: TargetReferences = Field(default_factory=list)
    phase: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"
    priority: Annotated[Int32 | None, CLEARABLE] = None
    match: list[TrafficSelector] = Field(default_factory=list)
    wasm: WasmConfig | None = None
    lua: LuaConfig | None = None


class TrafficExtension(OtherIstio):
    """Extensions of proxies in WebAssembly or Lua."""

    KIND = "TrafficExtension"
    GROUP = "extensions.istio.io"
    VERSIONS = ("v1alpha1",)
    PURPOSE = "extends proxies by WebAssembly or Lua"

    spec: TrafficExtensionSpec
