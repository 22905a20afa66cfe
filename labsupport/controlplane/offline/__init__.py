"""What a control plane would do with manifests alone: no mesh runs (``workshop translate``)."""
