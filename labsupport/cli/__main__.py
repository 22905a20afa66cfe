"""``python -m labsupport.cli``, which the ``workshop`` script runs."""

from labsupport.cli import main

main()
