"""`python -m promptfront.search.cli` is the `optimize` command."""

from .main import main

raise SystemExit(main())
