"""Envoy itself: its program, its configuration over ADS, its admin interface."""
