"""What was written beside what Envoy got."""
