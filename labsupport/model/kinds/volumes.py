"""Volumes of pods: where their files come from, and where containers see them."""

from __future__ import annotations

from pydantic import Field

from labsupport.model.kinds.kube import KubeSchema, ObjectFieldSelector
from labsupport.model.schema.types import Int32, Loose

__all__ = [
    "FILES_OF_OBJECTS",
    "ConfigMapVolumeSource",
    "DownwardAPIVolumeFile",
    "DownwardAPIVolumeSource",
    "KeyToPath",
    "ProjectedVolumeSource",
    "SecretProjection",
    "SecretVolumeSource",
    "Volume",
    "VolumeMount",
    "VolumeProjection",
]

FILES_OF_OBJECTS = ("configMap", "secret", "downwardAPI", "projected", "emptyDir")
"""Kinds of volumes that need nothing but the objects of the mesh."""


class KeyToPath(KubeSchema):
    """A key of a ConfigMap or Secret, and the file in which it is found."""

    key: str = ""
    path: str = ""
    mode: Int32 | None = None


class ConfigMapVolumeSource(KubeSchema):
    """Files from a ConfigMap: one for each key, or for each item."""

    name: str = ""
    items: list[KeyToPath] = Field(default_factory=list)
    default_mode: Int32 | None = None
    optional: bool = False


class SecretVolumeSource(KubeSchema):
    """Files from a Secret: one for each key, or for each item."""

    secret_name: str = ""
    items: list[KeyToPath] = Field(default_factory=list)
    default_mode: Int32 | None = None
    optional: bool = False


class SecretProjection(KubeSchema):
    """Files from a Secret, as a part of a projected volume."""

    name: str = ""
    items: list[KeyToPath] = Field(default_factory=list)
    optional: bool = False


class DownwardAPIVolumeFile(KubeSchema):
    """A file with a field of the pod."""

    path: str = ""
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: Loose = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(KubeSchema):
    """Files with fields of the pod."""

    items: list[DownwardAPIVolumeFile] = Field(default_factory=list)
    default_mode: Int32 | None = None


class VolumeProjection(KubeSchema):
    """A part of a projected volume."""

    config_map: ConfigMapVolumeSource | None = None
    secret: SecretProjection | None = None
    downward_api: DownwardAPIVolumeSource | None = Field(default=None, alias="downwardAPI")
    service_account_token: Loose = None
    cluster_trust_bundle: Loose = None
    pod_certificate: Loose = None


class ProjectedVolumeSource(KubeSchema):
    """Files from several sources in one folder."""

    sources: list[VolumeProjection] = Field(default_factory=list)
    default_mode: Int32 | None = None


class Volume(KubeSchema):
    """A folder that containers of a pod can mount."""

    name: str
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = Field(default=None, alias="downwardAPI")
    projected: ProjectedVolumeSource | None = None
    empty_dir: Loose = None
    aws_elastic_block_store: Loose = None
    azure_disk: Loose = None
    azure_file: Loose = None
    cephfs: Loose = None
    cinder: Loose = None
    csi: Loose = None
    ephemeral: Loose = None
    fc: Loose = None
    flex_volume: Loose = None
    flocker: Loose = None
    gce_persistent_disk: Loose = None
    git_repo: Loose = None
    glusterfs: Loose = None
    host_path: Loose = None
    image: Loose = None
    iscsi: Loose = None
    nfs: Loose = None
    persistent_volume_claim: Loose = None
    photon_persistent_disk: Loose = None
    portworx_volume: Loose = None
    quobyte: Loose = None
    rbd: Loose = None
    scale_io: Loose = Field(default=None, alias="scaleIO")
    storageos: Loose = None
    vsphere_volume: Loose = None

    @property
    def sources(self) -> list[str]:
        """YAML names of the sources that are given; Kubernetes takes a volume without any for an ``emptyDir``."""
        return [name for name in self.model_dump(by_alias=True, exclude_none=True) if name != "name"]


class VolumeMount(KubeSchema):
    """Where a container sees a volume, or one file or folder of it."""

    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: Loose = None
    read_only: Loose = None
    recursive_read_only: Loose = None
    mount_propagation: Loose = None
