"""Shim over `pyproject.toml`: adds only the list of packages.

A checkout keeps `experiments/` beside the package; an installation carries it
inside, as `tensornet_keras.experiments`, so that `tensornet demo` runs there.
"""

from setuptools import find_packages, setup

package = find_packages(include=["tensornet_keras", "tensornet_keras.*"])
experiments = find_packages(include=["experiments", "experiments.*"])

setup(
    packages=[*package, *(f"tensornet_keras.{name}" for name in experiments)],
    package_dir={"tensornet_keras.experiments": "experiments"},
)
