"""The experiments, one short module each.

A config's docstring asks its question in one line and then has the fields
`Paper:`, `Run:`, `Time:` and `Got:`. The module defines

- `DATA`: the data set's name, `None` for none of pictures,
- `FILES`: what it reads of the data folder instead, if anything,
- `SEEDS`: the seeds of a full run,
- `SETTINGS`: every number of the recipe, written into the result,
- `SMOKE`: the settings that shrink it to seconds,
- `TARGETS`: the least mean over the seeds that a metric has to reach,
- `run(data, settings, seed)`: does it and returns a dict of metrics.
"""
