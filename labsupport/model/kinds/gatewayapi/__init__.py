"""The kinds of the Kubernetes Gateway API (1.6, experimental channel), which istiod reads beside its own."""
