"""What this machine has, and how to get what it lacks."""
