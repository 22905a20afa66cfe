"""From objects back to YAML, for people."""
