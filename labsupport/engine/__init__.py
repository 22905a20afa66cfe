"""The two meshes that the course runs on, behind one protocol."""
