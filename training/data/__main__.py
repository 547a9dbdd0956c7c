"""``python -m training.data``: the same as ``python -m training.data.pack``."""

from training.data.pack import main

raise SystemExit(main())
