"""The tests: laws over the catalogs, then a mirror of the package."""
