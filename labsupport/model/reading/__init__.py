"""From YAML to objects, with file and line for every message."""
