"""``python -m flows`` is ``overbank``."""

from flows.cli import main

main()
