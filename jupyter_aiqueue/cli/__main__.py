"""``python -m jupyter_aiqueue.cli``: where no script is installed."""

import sys

from .entry import main

sys.exit(main())
