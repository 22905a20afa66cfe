"""LDS: what a proxy listens for, as filter chains that lead to route tables and clusters."""
