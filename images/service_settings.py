"""What the environment of a pod says: each value is read and judged once, at the start, by its name."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LONGEST_S", "Settings"]

LONGEST_S = 300.0


class Settings:
    """Reads variables; a value that makes no sense is an error that names its variable.

    Args:
        env: the pod's environment. ``TIME_SCALE`` divides every time that is read here.

    Raises:
        ValueError: ``TIME_SCALE`` is no number, or lies outside 0.01 to 1000.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.time_scale = self.number("TIME_SCALE", default=1.0, low=0.01, high=1000.0)

    def text(self, key: str, default: str = "") -> str:
        """A text; an empty one counts as not set."""
        return self.env.get(key, "").strip() or default

    def number(self, key: str, *, default: float, low: float, high: float) -> float:
        """A number.

        Raises:
            ValueError: it is none, or lies outside ``low`` to ``high``.
        """
        text = self.text(key, str(default))
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{key} must be a number, not {text!r}") from None
        if not low <= value <= high:
            raise ValueError(f"{key} must lie between {low:g} and {high:g}, not {text}")
        return value

    def whole(self, key: str, *, default: int, low: int, high: int) -> int:
        """A whole number.

        Raises:
            ValueError: it is none, or lies outside ``low`` to ``high``.
        """
        value = self.number(key, default=default, low=low, high=high)
        if value != int(value):
            raise ValueError(f"{key} must be a whole number, not {self.text(key)}")
        return int(value)

    def seconds(self, key: str, *, default: float = 0.0, low: float = 0.0, high: float = LONGEST_S) -> float:
        """A time in seconds, divided by ``TIME_SCALE``; the limits are those of the value as it is written.

        Raises:
            ValueError: it is no number, or lies outside ``low`` to ``high``.
        """
        return self.number(key, default=default, low=low, high=high) / self.time_scale

    def flag(self, key: str) -> bool:
        """A switch: off unless it is ``true``, ``yes``, ``on`` or ``1``.

        Raises:
            ValueError: it is something else than a switch.
        """
        text = self.text(key).lower()
        if text in ("true", "yes", "on", "1"):
            return True
        if text in ("", "false", "no", "off", "0"):
            return False
        raise ValueError(f"{key} must be true or false, not {self.env[key]!r}")

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        """One of some words; the first is the default.

        Raises:
            ValueError: it is another one.
        """
        word = self.text(key, options[0])
        if word not in options:
            raise ValueError(f"{key} must be one of {', '.join(options)}, not {word!r}")
        return word
