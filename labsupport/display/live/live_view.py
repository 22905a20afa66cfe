"""What all live pictures share: a widget whose own thread sends what changed, a few times a second at most."""

from __future__ import annotations

import queue
import threading
import time
import uuid
import weakref
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import anywidget
import traitlets

from labsupport import cell, words
from labsupport.cell import CellRun
from labsupport.display.drawing.theme import STATIC, style
from labsupport.display.live.scripts import script
from labsupport.display.live.still import gone, publish, still, view_only
from labsupport.errors import TrafficError

__all__ = ["LiveView", "Shown"]

# Four messages a second leave room for a fifth: that of a slider that is being dragged.
_INTERVAL_S = 0.25
_IDLE_S = 0.5
# A picture that no browser has asked for (nbval, nbclient) is sent less often after this long.
_PATIENCE_S = 30.0
_UNSEEN_INTERVAL_S = 1.0
# A screen reader is told the numbers this often; more would talk over everything else.
_SUMMARY_S = 10.0
# The static form beside a picture that moves is made anew this often.
_STILL_S = 15.0


_shown: weakref.WeakSet[LiveView] = weakref.WeakSet()


class Shown(Protocol):
    """Something static that a notebook can show."""

    def _repr_mimebundle_(self) -> dict[str, str]:
        """Its forms by MIME type."""
        ...


class LiveView(anywidget.AnyWidget):
    """A picture made of named SVG fragments, of which only those that changed are sent.

    The history is kept in the kernel: a picture that is shown again, or in a second place, shows all of it. The thread
    never prints, and an error in it is raised by the next call.

    Args:
        size: what the browser must know before the first message: sizes in pixels, labels.
        interval_s: seconds between two messages.
    """

    _esm = script()
    _css = style() + (STATIC / "live.css").read_text(encoding="utf-8")
    picture = traitlets.Dict().tag(sync=True)
    size = traitlets.Dict().tag(sync=True)

    def __init__(self, size: Mapping[str, Any], *, interval_s: float = _INTERVAL_S) -> None:
        self._interval_s = max(_INTERVAL_S, interval_s)
        self._draw = threading.RLock()
        self._seq = 0
        self._sent: dict[str, str] = {}
        self._told: dict[str, Any] = {}
        self._shift = 0.0
        self._summary = ("", 0.0)
        self._shown_s = self._asked_s = self._sent_s = self._still_s = 0.0
        self._publishing = threading.Lock()
        self._failure: Exception | None = None
        self._commands: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        # Where it is shown: display id, and the run of the cell that showed it.
        self._places: dict[str, CellRun] = {}
        super().__init__(size=dict(size))
        self.on_msg(self._receive)

    # --- for the pictures -----------------------------------------------------------------------------------------

    @abstractmethod
    def _message(self, *, full: bool) -> dict[str, Any]:
        """What is to be sent: made with ``_compose``."""

    @abstractmethod
    def snapshot(self) -> Shown:
        """A static picture that stays in an exported notebook."""

    @abstractmethod
    def _is_busy(self) -> bool:
        """Whether the picture changes by itself now."""

    def _command(self, command: Mapping[str, Any]) -> None:
        """Do what a person asked for in the browser; on the picture's own thread."""

    def _flush(self) -> None:
        """Called when all commands that were waiting have been handed to ``_command``."""

    def _compose(
        self,
        parts: Mapping[str, str],
        state: dict[str, Any],
        said: str,
        *,
        full: bool,
        first: int = 0,
        shift: float = 0.0,
    ) -> dict[str, Any]:
        """A message with what is new.

        Args:
            parts: fragments that may have changed, by name.
            state: what the controls show.
            said: the picture in words.
            full: send everything.
            first: bins below this number are forgotten.
            shift: how far the bins are moved, in pixels.

        Returns:
            The message.
        """
        new_state = {key: value for key, value in state.items() if full or self._told.get(key) != value}
        new_parts = {name: text for name, text in parts.items() if full or self._sent.get(name) != text}
        self._sent = {
            name: text
            for name, text in {**self._sent, **parts}.items()
            if not name[1:].isdecimal() or int(name[1:]) >= first
        }
        moved = state.get("state") != self._told.get("state")
        self._told = state
        message: dict[str, Any] = {
            "parts": new_parts,
            "state": new_state,
            "first": first,
            "shift": round(shift, 2),
            "seq": self._seq,
            "full": full,
        }
        if full or moved or time.monotonic() - self._summary[1] > _SUMMARY_S:
            if full or said != self._summary[0]:
                message["summary"] = said
            self._summary = (said, time.monotonic())
        return message

    # --- what a person asks for ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop drawing and remove the picture from the page."""
        # A picture that could not be made is closed all the same, by the garbage collector.
        if hasattr(self, "_ended"):
            self._ended.set()
            self._wake.set()
        super().close()

    def freeze(self) -> None:
        """Put the picture as it is now, as a static figure, wherever it was shown, and end.

        What is saved then needs neither this kernel nor a widget manager to be seen.
        """
        if self._ended.is_set():
            return
        figure = self.snapshot() if self._places else None
        self.close()
        if figure is not None:
            bundle = figure._repr_mimebundle_()
            # Another thread may be about to publish a static form; it must not be the last word.
            with self._publishing:
                for place in self._places:
                    publish(bundle, {}, place, update=True)
                    publish(gone(), {}, _beside(place), update=True)

    def _ipython_display_(self) -> None:
        # Shown with an id of its own, so that ``freeze`` finds the place again.
        shown = self._repr_mimebundle_()
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        place, now = f"workshop-{uuid.uuid4().hex}", cell.here()
        self._places[place] = now
        publish(view_only(data) or {"text/plain": repr(self)}, metadata, place)
        publish(self._still(), {}, _beside(place))
        _shown.add(self)
        for view in list(_shown):
            view._left_by(now)

    def _still(self) -> dict[str, str]:
        self._still_s = time.monotonic()
        bundle = self.snapshot()._repr_mimebundle_()
        return still(bundle.get("text/html", ""))

    def _wants_still(self, *, sent: bool, busy: bool) -> bool:
        """Whether the static forms are worth making anew, after a look at what is new."""
        aged = time.monotonic() - self._still_s > _STILL_S
        return sent and bool(self._places) and (aged or not busy)

    def _keep(self) -> None:
        """Make the static forms anew: what a notebook shows that is saved now and opened without this kernel."""
        form = self._still()
        with self._publishing:
            if not self._ended.is_set():
                for place in list(self._places):
                    publish(form, {}, _beside(place), update=True)

    def _left_by(self, now: CellRun) -> None:
        """Forget the places that a cell has cleared by running again; without any left, end."""
        left = {place: shown for place, shown in self._places.items() if not now.reruns(shown)}
        if left != self._places:
            self._places = left
            if not left:
                self.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        self._raise_stored()
        with self._draw:
            self._shown_s = time.monotonic()
            # Set before the view exists, because messages to a model that is still being made are lost.
            self.picture = self._message(full=True)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live picture", daemon=True)
                self._thread.start()
        return super()._repr_mimebundle_(**kwargs)

    def _raise_stored(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            self._thread = None
            raise TrafficError(f"{words.sentence(f'The live picture stopped: {failure}')} Show it again.") from failure

    # --- messages -----------------------------------------------------------------------------------------------

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # May run on any thread, in the middle of a cell: it only leaves a note for our own thread.
        if isinstance(content, Mapping):
            self._commands.put(content)
            self._wake.set()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                sent, busy = self._step()
                if self._wants_still(sent=sent, busy=busy):
                    self._keep()
                unseen = self._asked_s == 0.0 and time.monotonic() - self._shown_s > _PATIENCE_S
                wait = max(_UNSEEN_INTERVAL_S, self._interval_s) if unseen else self._interval_s
                self._wake.wait(wait if busy else max(wait, _IDLE_S))
                self._wake.clear()
                self._ended.wait(self._sent_s + _INTERVAL_S - time.monotonic())
        # Whatever ends this thread must reach the learner, who sees no thread.
        except Exception as error:
            self._failure = error

    def _step(self) -> tuple[bool, bool]:
        """Send what is new; returns whether there was anything, and whether the picture changes by itself."""
        full = self._obey()
        with self._draw:
            if self._ended.is_set():
                return False, False
            message = self._message(full=full)
            news = message["parts"] or message["state"] or "summary" in message or message["shift"] != self._shift
            if full or news:
                self._seq += 1
                self._shift = message["shift"]
                self._sent_s = time.monotonic()
                self.send({**message, "seq": self._seq, "kind": "picture"})
            return bool(news), self._is_busy()

    def _obey(self) -> bool:
        """Do what was clicked; returns whether a view wants everything."""
        full = False
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                break
            if command.get("do") == "hello":
                self._asked_s = time.monotonic()
                full = True
            else:
                self._command(command)
        self._flush()
        return full


def _beside(place: str) -> str:
    """Display id of the static form beside a picture."""
    return f"{place}-still"
