"""Pods as local processes, and when they are ready."""
