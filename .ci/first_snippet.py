"""Prints the first Python block of a Markdown page."""

import re
import sys
from pathlib import Path

page = Path(sys.argv[1]).read_text("utf-8")
block = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
if block is None:
    sys.exit(f"A ```python block is needed. Received: {sys.argv[1]}.")
print(block[1])
