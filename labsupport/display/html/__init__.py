"""Records as HTML, where no picture is needed."""
