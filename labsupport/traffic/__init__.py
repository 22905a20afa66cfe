"""Requests: sent, recorded, counted."""
