"""Pod templates: what is inside a Deployment and a Pod.

Fields that the course does not use are declared as ``Loose``, so that a misspelt one is still found.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.kube import KubeSchema, ObjectFieldSelector
from labsupport.model.kinds.volumes import Volume, VolumeMount
from labsupport.model.schema.base import Metadata
from labsupport.model.schema.types import Int32, Loose

__all__ = [
    "CANONICAL_NAME",
    "CANONICAL_REVISION",
    "ConfigMapEnvSource",
    "ConfigMapKeySelector",
    "Container",
    "ContainerPort",
    "EnvFromSource",
    "EnvVar",
    "EnvVarSource",
    "PodSpec",
    "PodTemplateSpec",
    "SecretEnvSource",
    "SecretKeySelector",
]

CANONICAL_NAME = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
"""Labels of a pod by which Istio names its canonical service; the first that there is counts."""
CANONICAL_REVISION = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
"""The same for the revision of its canonical service."""


class ConfigMapKeySelector(KubeSchema):
    """A key of a ConfigMap."""

    name: str = ""
    key: str
    optional: bool = False


class SecretKeySelector(KubeSchema):
    """A key of a Secret."""

    name: str = ""
    key: str
    optional: bool = False


class EnvVarSource(KubeSchema):
    """Where the value of a variable comes from."""

    ONE_OF: ClassVar = (("configMapKeyRef", "fieldRef", "secretKeyRef", "resourceFieldRef", "fileKeyRef"),)

    config_map_key_ref: ConfigMapKeySelector | None = None
    field_ref: ObjectFieldSelector | None = None
    secret_key_ref: SecretKeySelector | None = None
    resource_field_ref: Loose = None
    file_key_ref: Loose = None


class EnvVar(KubeSchema):
    """An environment variable of a container."""

    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class ConfigMapEnvSource(KubeSchema):
    """All keys of a ConfigMap."""

    name: str = ""
    optional: bool = False


class SecretEnvSource(KubeSchema):
    """All keys of a Secret."""

    name: str = ""
    optional: bool = False


class EnvFromSource(KubeSchema):
    """Variables taken from all keys of a ConfigMap or Secret."""

    prefix: str = ""
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


class ContainerPort(KubeSchema):
    """A port that the container says it listens on."""

    name: str = ""
    container_port: Int32
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    host_port: Loose = None
    host_ip: Loose = Field(default=None, alias="hostIP")


class Container(KubeSchema):
    """One container of a pod."""

    name: str
    image: str = ""
    command: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)
    env: list[EnvVar] = Field(default_factory=list)
    env_from: list[EnvFromSource] = Field(default_factory=list)
    ports: list[ContainerPort] = Field(default_factory=list)
    volume_mounts: list[VolumeMount] = Field(default_factory=list)
    image_pull_policy: Loose = None
    lifecycle: Loose = None
    liveness_probe: Loose = None
    readiness_probe: Loose = None
    resize_policy: Loose = None
    resources: Loose = None
    restart_policy: Loose = None
    restart_policy_rules: Loose = None
    security_context: Loose = None
    startup_probe: Loose = None
    stdin: Loose = None
    stdin_once: Loose = None
    termination_message_path: Loose = None
    termination_message_policy: Loose = None
    tty: Loose = None
    volume_devices: Loose = None
    working_dir: Loose = None


class PodSpec(KubeSchema):
    """``spec`` of a pod."""

    containers: list[Container] = Field(min_length=1)
    init_containers: list[Container] = Field(default_factory=list)
    volumes: list[Volume] = Field(default_factory=list)
    service_account_name: str = ""
    service_account: str = ""
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: Loose = None
    affinity: Loose = None
    automount_service_account_token: Loose = None
    dns_config: Loose = None
    dns_policy: Loose = None
    enable_service_links: Loose = None
    ephemeral_containers: Loose = None
    host_aliases: Loose = None
    host_ipc: Loose = Field(default=None, alias="hostIPC")
    host_network: Loose = None
    host_pid: Loose = Field(default=None, alias="hostPID")
    host_users: Loose = None
    hostname: Loose = None
    hostname_override: Loose = None
    image_pull_secrets: Loose = None
    node_name: Loose = None
    node_selector: Loose = None
    os: Loose = None
    overhead: Loose = None
    preemption_policy: Loose = None
    priority: Loose = None
    priority_class_name: Loose = None
    readiness_gates: Loose = None
    resource_claims: Loose = None
    resources: Loose = None
    restart_policy: Loose = None
    runtime_class_name: Loose = None
    scheduler_name: Loose = None
    scheduling_gates: Loose = None
    security_context: Loose = None
    set_hostname_as_fqdn: Loose = Field(default=None, alias="setHostnameAsFQDN")
    share_process_namespace: Loose = None
    subdomain: Loose = None
    tolerations: Loose = None
    topology_spread_constraints: Loose = None


class PodTemplateSpec(KubeSchema):
    """``template`` of a workload: labels, annotations and the pod's spec."""

    metadata: Metadata = Field(default_factory=Metadata)
    spec: PodSpec
