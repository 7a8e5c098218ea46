"""``python -m robustlvq``."""

from __future__ import annotations

from robustlvq.cli.app import main

if __name__ == "__main__":
    main()
