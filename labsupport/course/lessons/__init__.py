"""One module for each lesson: how its exercises are judged."""
