"""Says which Python is needed where this one is not it."""

import re
import sys
from pathlib import Path

project = Path(__file__).parents[1].joinpath("pyproject.toml").read_text()
asked = re.search(r'requires-python = "(>=3\.(\d+),<3\.(\d+))"', project)
lowest, beyond = int(asked[2]), int(asked[3])

if not (3, lowest) <= sys.version_info[:2] < (3, beyond):
    sys.exit(
        f"Python must be {asked[1]}. "
        f"Received: {sys.executable}, version {sys.version.split()[0]}. "
        f"Name another, for example: make PYTHON=python3.{lowest}"
    )
