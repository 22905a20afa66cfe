"""The incident game: a mesh with a fault that is drawn, promises that it breaks, and what can be learnt of it."""
