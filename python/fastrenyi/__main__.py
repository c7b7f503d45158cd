"""``python -m fastrenyi`` is ``fastrenyi``."""

import sys

from fastrenyi.cli import main

sys.exit(main())
