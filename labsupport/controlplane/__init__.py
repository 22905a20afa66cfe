"""The embedded mesh: manifests become the configuration of real Envoy proxies on this machine."""
