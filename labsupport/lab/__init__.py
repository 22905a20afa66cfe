"""What a notebook holds while it works on a mesh."""
