"""What the kinds are written with: types, checks of form, messages."""
