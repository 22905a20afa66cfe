"""``ServiceEntry`` and ``WorkloadEntry`` of networking.istio.io: services and endpoints added to the registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.selector import WorkloadLabels
from labsupport.model.schema.base import IstioResource, Schema
from labsupport.model.schema.types import PortNumber, Rule, UInt32, at_most_one
from labsupport.records import Json

__all__ = ["ServiceEntry", "ServiceEntrySpec", "ServicePort", "WorkloadEntry", "WorkloadEntrySpec"]

_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")


def _unix(value: Mapping[str, Json]) -> bool:
    return str(value.get("address", "")).startswith("unix://")


class WorkloadEntrySpec(Schema):
    """One endpoint: ``endpoints[]`` of a ServiceEntry and ``spec`` of a WorkloadEntry."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(lambda value: "address" in value or "network" in value, "an address is required"),
        Rule(lambda value: not _unix(value) or "ports" not in value, "a unix:// address takes no ports", ".ports"),
    )

    address: Annotated[
        str,
        Field(max_length=256),
        Rule(
            lambda value: not value.startswith("unix://") or value[7:8] in ("/", "@"),
            "a unix:// address must be absolute (unix:///path) or abstract (unix://@name)",
        ),
        Rule(lambda value: not (value.startswith("unix://") and value.endswith("/")), "must not end with a slash"),
    ] = ""
    ports: Annotated[
        dict[str, PortNumber],
        Field(max_length=128),
        Rule(
            lambda value: all(len(name) < 63 and _PORT_NAME.fullmatch(name) for name in value),
            "port names are letters, digits and inner hyphens, shorter than 63 characters",
        ),
    ] = Field(default_factory=dict)
    labels: Annotated[dict[str, str], Field(max_length=256)] = Field(default_factory=dict)
    network: Annotated[str, Field(max_length=2048)] = ""
    locality: Annotated[str, Field(max_length=2048)] = ""
    weight: UInt32 = 0
    service_account: Annotated[str, Field(max_length=253)] = ""


class ServicePort(Schema):
    """A port of the added service."""

    number: PortNumber
    protocol: Annotated[str, Field(max_length=256)] = ""
    name: Annotated[str, Field(max_length=256)]
    target_port: PortNumber = 0


def _no_cidr_by_name(value: Mapping[str, Json]) -> bool:
    cidr = any("/" in address for address in value.get("addresses", ()))
    return not cidr or value.get("resolution", "NONE") in ("STATIC", "NONE")


class ServiceEntrySpec(Schema):
    """``spec`` of a ServiceEntry."""

    RULES: ClassVar = (
        Rule(at_most_one("workloadSelector", "endpoints"), "only one of workloadSelector and endpoints may be given"),
        Rule(_no_cidr_by_name, "CIDR addresses go only with resolution NONE or STATIC", ".addresses"),
        Rule(
            lambda value: value.get("resolution", "NONE") != "NONE" or "endpoints" not in value,
            "resolution NONE takes no endpoints; set resolution to STATIC or DNS",
            ".endpoints",
        ),
        Rule(
            lambda value: value.get("resolution") != "DNS_ROUND_ROBIN" or len(value.get("endpoints", ())) <= 1,
            "resolution DNS_ROUND_ROBIN takes at most one endpoint",
            ".endpoints",
        ),
    )

    hosts: Annotated[
        list[Annotated[str, Rule(lambda value: value != "*", "a ServiceEntry cannot be for every host (*)")]],
        Field(min_length=1, max_length=256),
    ]
    addresses: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=256)] = Field(
        default_factory=list
    )
    ports: Annotated[
        list[ServicePort],
        Field(max_length=256),
        Rule(
            lambda value: len({port["number"] for port in value}) == len(value),
            "two ports have the same number",
        ),
        Rule(lambda value: len({port["name"] for port in value}) == len(value), "two ports have the same name"),
    ] = Field(default_factory=list)
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: Annotated[list[WorkloadEntrySpec], Field(max_length=4096)] = Field(default_factory=list)
    workload_selector: WorkloadLabels | None = None
    export_to: list[str] = Field(default_factory=list)
    subject_alt_names: list[str] = Field(default_factory=list)


class ServiceEntry(IstioResource):
    """A service that is not in Kubernetes' registry."""

    KIND = "ServiceEntry"

    spec: ServiceEntrySpec


class WorkloadEntry(IstioResource):
    """An endpoint that is not a pod."""

    KIND = "WorkloadEntry"

    spec: WorkloadEntrySpec
