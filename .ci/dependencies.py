"""Prints the package's dependencies, one a line, without those named."""

import argparse
import re
import tomllib
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--without", nargs="*", default=[])
without = set(parser.parse_args().without)

project = Path(__file__).parents[1].joinpath("pyproject.toml").read_text()
for requirement in tomllib.loads(project)["project"]["dependencies"]:
    if re.match(r"[\w-]+", requirement).group() not in without:
        print(requirement)
