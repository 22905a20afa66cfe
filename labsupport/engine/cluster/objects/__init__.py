"""What is written to a cluster, and what is taken back."""
