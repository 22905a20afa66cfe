"""Kinds of Kubernetes' group apps: workloads."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from labsupport.model.kinds.kube import KubeSchema
from labsupport.model.kinds.pods import PodTemplateSpec
from labsupport.model.schema.base import Resource
from labsupport.model.schema.types import Int32, Loose

__all__ = [
    "DaemonSet",
    "DaemonSetSpec",
    "Deployment",
    "DeploymentSpec",
    "LabelSelector",
    "ReplicaSet",
    "ReplicaSetSpec",
    "StatefulSet",
    "StatefulSetSpec",
    "Workload",
]


class LabelSelector(KubeSchema):
    """Labels that pods of a workload carry."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: Loose = None


class DeploymentSpec(KubeSchema):
    """``spec`` of a Deployment."""

    replicas: Int32 | None = Field(default=None, ge=0)
    selector: LabelSelector
    template: PodTemplateSpec
    min_ready_seconds: Loose = None
    paused: Loose = None
    progress_deadline_seconds: Loose = None
    revision_history_limit: Loose = None
    strategy: Loose = None


class Workload(Resource):
    """What the kinds of the group apps have in common."""

    NULLS: ClassVar[bool] = True
    GROUP = "apps"
    VERSIONS: ClassVar[tuple[str, ...]] = ("v1",)


class Deployment(Workload):
    """A number of equal pods that can be rolled."""

    KIND = "Deployment"

    spec: DeploymentSpec
    status: Loose = None


class ReplicaSetSpec(KubeSchema):
    """``spec`` of a ReplicaSet."""

    replicas: Int32 | None = Field(default=None, ge=0)
    selector: LabelSelector
    template: PodTemplateSpec
    min_ready_seconds: Loose = None


class ReplicaSet(Workload):
    """A number of equal pods."""

    KIND = "ReplicaSet"

    spec: ReplicaSetSpec
    status: Loose = None


class StatefulSetSpec(KubeSchema):
    """``spec`` of a StatefulSet."""

    replicas: Int32 | None = Field(default=None, ge=0)
    selector: LabelSelector
    template: PodTemplateSpec
    service_name: str = ""
    min_ready_seconds: Loose = None
    ordinals: Loose = None
    persistent_volume_claim_retention_policy: Loose = None
    pod_management_policy: Loose = None
    revision_history_limit: Loose = None
    update_strategy: Loose = None
    volume_claim_templates: Loose = None


class StatefulSet(Workload):
    """Pods with names of their own."""

    KIND = "StatefulSet"

    spec: StatefulSetSpec
    status: Loose = None


class DaemonSetSpec(KubeSchema):
    """``spec`` of a DaemonSet."""

    selector: LabelSelector
    template: PodTemplateSpec
    min_ready_seconds: Loose = None
    revision_history_limit: Loose = None
    update_strategy: Loose = None


class DaemonSet(Workload):
    """One pod on each node."""

    KIND = "DaemonSet"

    spec: DaemonSetSpec
    status: Loose = None
