"""What istiod makes of Gateways of the Gateway API: waited for until it takes requests, and until it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from labsupport import words
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.objects.rollout import Rollout
from labsupport.engine.gatewayservices import MANAGED, MANAGER, run_by_istio
from labsupport.errors import WaitTimeoutError
from labsupport.model import Resource
from labsupport.model.gatewayapi.listeners import made_name
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME, KubernetesGateway

__all__ = ["Doors", "made_services"]

_POLL_S = 0.1
# How long istiod may take to write the status of a route that is in force already: it has a queue of its own.
_STATUS_S = 5.0


def made_services(api: Api) -> dict[str, str]:
    """The Services that istiod made for Gateways, by name, with the Gateway of each.

    Args:
        api: the cluster.
    """
    labelled = {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in api.items("Service")}
    return {name: labels.get(GATEWAY_NAME, "") for name, labels in labelled.items() if labels.get(MANAGED) == MANAGER}


class Doors:
    """Watches what istiod makes of the Gateways of one namespace.

    Args:
        api: the cluster.
        rollout: watches Deployments.
    """

    def __init__(self, api: Api, rollout: Rollout) -> None:
        self._api = api
        self._rollout = rollout

    def opened(self, new: Iterable[Resource], objects: Sequence[Resource], deadline: float) -> list[str]:
        """Wait until Gateways that were applied are programmed.

        Args:
            new: what was applied.
            objects: all objects of the lab.
            deadline: until when to wait, as of ``time.monotonic()``.

        Returns:
            notes: why one of them takes no requests, or has no address yet.

        Raises:
            WaitTimeoutError: one is not programmed in time; says what istiod has written last.
        """
        return [note for gateway in run_by_istio(new, objects) for note in self._opened(gateway, deadline)]

    def _opened(self, gateway: KubernetesGateway, deadline: float) -> list[str]:
        label, name = f"{gateway.called}/{gateway.name}", made_name(gateway)

        def refused() -> Mapping[str, Any] | None:
            accepted = _condition(self._read(gateway), "Accepted")
            hopeless = accepted.get("status") == "False" and accepted.get("reason") != "ListenersNotValid"
            return accepted if hopeless else None

        def told() -> str:
            seen = _condition(self._read(gateway), "Programmed", current=False)
            said = _said(seen) if seen else "istiod has not said anything about it"
            return f"{label} is not programmed within the time: {said}"

        _until(lambda: refused() or self._there("Deployment", name), deadline, told)
        if (why := refused()) is not None:
            return [f"{label}: {_said(why)}; nobody listens"]
        self._rollout.wait([name], timeout_s=max(1.0, deadline - time.monotonic()))

        def settled() -> bool:
            seen = _condition(self._read(gateway), "Programmed")
            return seen.get("status") == "True" or _lacks_address_only(seen)

        _until(settled, deadline, told)
        seen = _condition(self._read(gateway), "Programmed")
        return [f"{label}: {_said(seen)}; the lab sends to it all the same"] if _lacks_address_only(seen) else []

    def closed(self, gone: Iterable[Resource], objects: Sequence[Resource], deadline: float) -> None:
        """Wait until what was made for Gateways that were deleted is gone as well.

        Args:
            gone: what was deleted.
            objects: all objects of the lab before.
            deadline: until when to wait, as of ``time.monotonic()``.

        Raises:
            WaitTimeoutError: not in time.
        """
        gateways = run_by_istio(gone, objects)
        if not gateways:
            return
        names = {item.name for item in gateways}

        def left() -> list[str]:
            return [name for name, gateway in made_services(self._api).items() if gateway in names]

        _until(lambda: not left(), deadline, lambda: f"not gone in time: {', '.join(left())}")
        self._rollout.wait_ended([made_name(item) for item in gateways], timeout_s=deadline - time.monotonic())

    def statuses_written(self, routes: Mapping[tuple[str, str], int], deadline: float) -> None:
        """Wait until istiod has written the status of routes, a bounded time: they are in force already.

        Args:
            routes: kind and name of each, with how many parents it says something about.
            deadline: until when to wait, as of ``time.monotonic()``.
        """
        until = min(deadline, time.monotonic() + _STATUS_S)
        for (kind, name), parents in routes.items():
            while not self._written(kind, name, parents) and time.monotonic() < until:
                time.sleep(_POLL_S)

    def _written(self, kind: str, name: str, parents: int) -> bool:
        live = self._api.connection.get(self._api.path_of(kind, name))
        generation = live["metadata"].get("generation", 0)
        listed = (live.get("status") or {}).get("parents") or ()
        current = [
            parent
            for parent in listed
            if all(item.get("observedGeneration") == generation for item in parent.get("conditions") or ())
        ]
        return len(current) >= parents

    def _read(self, gateway: KubernetesGateway) -> dict[str, Any]:
        live: dict[str, Any] = self._api.connection.get(self._api.path_of(gateway.called, gateway.name))
        return live

    def _there(self, kind: str, name: str) -> bool:
        try:
            self._api.connection.get(self._api.path_of(kind, name))
        except ApiError as error:
            if not error.missing:
                raise
            return False
        return True


def _until(done: Callable[[], object], deadline: float, told: Callable[[], str]) -> None:
    while not done():
        if time.monotonic() > deadline:
            raise WaitTimeoutError(words.sentence(told()))
        time.sleep(_POLL_S)


def _condition(live: Mapping[str, Any], kind: str, *, current: bool = True) -> Mapping[str, Any]:
    """A condition of a Gateway, if it is about the Gateway as it is now; empty without one."""
    generation = live["metadata"].get("generation", 0)
    for condition in (live.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind and (not current or condition.get("observedGeneration") == generation):
            found: Mapping[str, Any] = condition
            return found
    return {}


def _said(condition: Mapping[str, Any]) -> str:
    reason, message = condition.get("reason", ""), str(condition.get("message", "")).rstrip(".")
    return f"{condition['type']} is {condition['status']} ({reason}), {message}"


def _lacks_address_only(programmed: Mapping[str, Any]) -> bool:
    """Whether all that a Gateway waits for is its load balancer, which many clusters do not have."""
    if programmed.get("reason") != "AddressNotAssigned":
        return False
    reasons = str(programmed.get("message", "")).rpartition(": ")[2].split("; ")
    return all(reason.startswith("address pending") for reason in reasons)
