"""Pictures as SVG, from records alone."""
