"""Expectations about observations; every function looks at responses and says what they show, none sends or draws.

``flags``, ``received`` and ``copied`` look at access logs instead.

Exact expectations (``exactly``, ``only``, ``none`` ...) hold or do not. Shares are random: ``share``, ``same_share``
and ``copied`` fail for a correct mesh with a probability of at most ``alpha``, which their outcome states. A sample
that fits but is too small to rule anything out gives TOO_LITTLE_DATA, and how many more requests it takes.

Whatever is expected, no responses at all is a failure: nothing was shown. ``None`` instead of observations means that
nothing was tried, and gives NOT_ATTEMPTED.

Observations of long traffic are a window: its last responses. The outcome says so, and errors before the window fail
it, unless errors of the same status in it were judged, or errors were left out by their outcome.
"""

from labsupport.check.copied import copied
from labsupport.check.ejections import ejections
from labsupport.check.exact import between, even, exactly, none, ok, only, status, sticky
from labsupport.check.expectations import RANDOM_CHECKS, same_share, share
from labsupport.check.flags import flags
from labsupport.check.moved import moved
from labsupport.check.received import received
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, TOO_LITTLE_DATA, CheckOutcome, CheckState, all_of
from labsupport.check.times import duration, slower

__all__ = [
    "FAILED",
    "NOT_ATTEMPTED",
    "PASSED",
    "RANDOM_CHECKS",
    "TOO_LITTLE_DATA",
    "CheckOutcome",
    "CheckState",
    "all_of",
    "between",
    "copied",
    "duration",
    "ejections",
    "even",
    "exactly",
    "flags",
    "moved",
    "none",
    "ok",
    "only",
    "received",
    "same_share",
    "share",
    "slower",
    "status",
    "sticky",
]
