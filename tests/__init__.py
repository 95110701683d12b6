"""Tests and instruments; the line below lets them import the scripts and their library."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "generator"))
