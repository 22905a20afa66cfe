"""Typed models of the manifests: schema, defaults and validation, one module per API group."""

from __future__ import annotations

from labsupport.model.apps import *  # noqa: F403
from labsupport.model.base import Metadata as Metadata
from labsupport.model.base import Origin as Origin
from labsupport.model.base import Resource as Resource
from labsupport.model.base import Schema as Schema
from labsupport.model.core import *  # noqa: F403
from labsupport.model.duration import *  # noqa: F403
from labsupport.model.extensions import *  # noqa: F403
from labsupport.model.kinds import *  # noqa: F403
from labsupport.model.networking import *  # noqa: F403
from labsupport.model.otheristio import *  # noqa: F403
from labsupport.model.parse import *  # noqa: F403
from labsupport.model.pods import *  # noqa: F403
from labsupport.model.proxies import *  # noqa: F403
from labsupport.model.security import *  # noqa: F403
from labsupport.model.telemetry import *  # noqa: F403
