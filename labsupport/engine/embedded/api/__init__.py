"""The front of the embedded mesh that speaks the API of Kubernetes, so that kubectl and other clients work on it."""
