"""Every kind of networking.istio.io that the course uses, in one place."""

from __future__ import annotations

from labsupport.model.destinationrule import *  # noqa: F403
from labsupport.model.gateway import *  # noqa: F403
from labsupport.model.loadbalancer import *  # noqa: F403
from labsupport.model.selector import *  # noqa: F403
from labsupport.model.serviceentry import *  # noqa: F403
from labsupport.model.sidecar import *  # noqa: F403
from labsupport.model.trafficpolicy import *  # noqa: F403
from labsupport.model.virtualservice import *  # noqa: F403
