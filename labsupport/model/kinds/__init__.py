"""The kinds of objects, one module for an API or a large kind."""
