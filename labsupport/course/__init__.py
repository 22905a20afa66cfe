"""The course: its lessons, exercises and a learner's progress."""
