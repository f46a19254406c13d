"""`python -m imgsynth`."""

from __future__ import annotations

import sys

from imgsynth.cli import main

if __name__ == "__main__":
    sys.exit(main())
