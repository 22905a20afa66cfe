"""Indexes over the desired state: hosts, services, and the rules about them."""
