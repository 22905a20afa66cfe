"""Hands-on Istio traffic management: the library behind the workshop's notebooks."""
