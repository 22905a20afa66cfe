"""The embedded mesh: real Envoys and local programs on this machine."""
