from __future__ import annotations

import sys
from pathlib import Path

# The benchmarks are scripts that import each other from their own folder, as `run.py` lets them.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
