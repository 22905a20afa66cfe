"""A Kubernetes of one's own for the cluster engine: kind, Istio, the course's images and, if wanted, add-ons.

``workshop cluster`` is a thin layer over this package. Programs (Docker or Podman, kind, istioctl) do the work; what
has to be asked of the cluster itself goes through the connection of the cluster engine. kubectl is not needed.
"""
