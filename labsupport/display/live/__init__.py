"""Pictures that go on while traffic runs, as widgets."""
