"""The three processes of a mesh and what joins them."""
