"""istiod's verdicts: what kubectl's strict decoding, the CRD schema and the admission webhook say to an object."""

from __future__ import annotations

from labsupport.model.validation.verdict import Verdict, is_istio, is_judged, judge, validate

__all__ = ["Verdict", "is_istio", "is_judged", "judge", "validate"]
