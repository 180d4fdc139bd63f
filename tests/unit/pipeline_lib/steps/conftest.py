"""What several test files of this folder use."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
