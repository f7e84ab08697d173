"""Runs a config over its seeds and writes one JSON: `--help` says how."""

import argparse
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import keras
from rich.console import Console
from rich.table import Table

from . import configs, record
from .datasets import load
from .datasets.sources import data_folder
from .parts import Parts

SMOKE_TRAIN = 128
SMOKE_TEST = 100


def names():
    """Every config's name, sorted."""
    return sorted(module.name for module in iter_modules(configs.__path__))


def config(name):
    """The config module of a name."""
    return import_module(f"{configs.__name__}.{name}")


def run(name, *, smoke=False, seeds=None, output=None):
    """Runs a config and writes its result.

    Args:
        name: One of `names()`.
        smoke: Whether to shrink it to seconds; such a result goes to the
            temporary folder, so that it never passes for a real one.
        seeds: Seeds to run; None takes the config's (the first in a smoke
            run).
        output: Folder for the result; None is `results`.

    Returns:
        `(result, path)`: the result as a dict, and the file it is in.
    """
    module = config(name)
    settings = module.SETTINGS | (module.SMOKE if smoke else {})
    seeds = list(seeds or (module.SEEDS[:1] if smoke else module.SEEDS))
    data = _data(module.DATA, smoke)
    place = record.folder(output, smoke)
    parts = Parts(name, settings, place) if hasattr(module, "PARTS") else None
    runs = []
    for seed in seeds:
        if parts is None:
            keras.utils.set_random_seed(seed)
            started = time.perf_counter()
            metrics = module.run(data, settings, seed)
            seconds = time.perf_counter() - started
        else:
            metrics, seconds = parts.run(module, data, seed)
        runs.append({"seed": seed, "seconds": seconds, "metrics": metrics})
    summary = _summary([run["metrics"] for run in runs])
    source = _source(data, getattr(module, "FILES", ()))
    result = {
        "experiment": name,
        "smoke": smoke,
        "settings": settings,
        "data": source,
        "seeds": seeds,
        "runs": runs,
        "summary": summary,
        "targets": judged(module.TARGETS, summary, source["complete"]),
        **record.provenance(),
    }
    path = record.save(result, place / f"{name}.json")
    if parts is not None:
        parts.forget()
    return result, path


def _data(name, smoke):
    """The data set of a name, a part of it in a smoke run; None of None."""
    if name is None:
        return None
    data = load(name, smoke=smoke)
    return data.head(SMOKE_TRAIN, SMOKE_TEST) if smoke else data


def _source(data, files):
    """Where the data came from; a config of shapes alone has none."""
    if data is not None:
        return {"source": data.source, "complete": data.complete}
    if not files:
        return {"source": "no data", "complete": True}
    complete = all((data_folder() / file).is_file() for file in files)
    where = "in the data folder" if complete else "made up"
    return {"source": f"{', '.join(files)} {where}", "complete": complete}


def judged(targets, summary, complete):
    """Holds a summary against a config's targets.

    Args:
        targets: From a metric to the least mean over the seeds.
        summary: From a metric to its `mean` and `std`.
        complete: Whether the data is the whole set, so that a verdict means
            anything.

    Returns:
        From a metric to `at_least` and `met`, the latter None without a
        verdict.
    """
    return {
        key: {
            "at_least": least,
            "met": summary[key]["mean"] >= least if complete else None,
        }
        for key, least in targets.items()
    }


def _summary(metrics):
    """Mean and standard deviation of every metric over the seeds."""
    summary = {}
    for key in metrics[0]:
        values = [one[key] for one in metrics]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        summary[key] = {"mean": statistics.fmean(values), "std": spread}
    return summary


def _table(result):
    table = Table(title=f"{result['experiment']}, seeds {result['seeds']}")
    table.add_column("metric")
    for heading in ("mean", "std", "target"):
        table.add_column(heading, justify="right")
    verdicts = {True: "met", False: "missed", None: "not judged"}
    for key, value in result["summary"].items():
        target = result["targets"].get(key)
        table.add_row(
            key,
            f"{value['mean']:,.4f}".rstrip("0").rstrip("."),
            f"{value['std']:.4f}",
            f"at least {target['at_least']}: {verdicts[target['met']]}"
            if target
            else "",
        )
    return table


def _list(console):
    for name in names():
        question = config(name).__doc__.splitlines()[0]
        console.print(f"[bold]{name}[/bold]  {question}")


def _arguments(argv):
    parser = argparse.ArgumentParser(
        prog="python -m experiments.run", description="Runs an experiment."
    )
    parser.add_argument("config", nargs="?", choices=names())
    parser.add_argument("--list", action="store_true", help="name them all")
    parser.add_argument("--smoke", action="store_true", help="in seconds")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED")
    parser.add_argument("--output", type=Path, help="folder of the result")
    arguments = parser.parse_args(argv)
    if arguments.config is None and not arguments.list:
        parser.error("name a config, or pass --list")
    return arguments


def main(argv=None):
    """Entry point: runs what the command line says.

    Args:
        argv: Arguments after the program's name; None takes the process'.

    Returns:
        The exit status: 0, or 1 where data is missing.
    """
    arguments = _arguments(argv)
    console = Console()
    if arguments.list:
        _list(console)
        return 0
    try:
        result, path = run(
            arguments.config,
            smoke=arguments.smoke,
            seeds=arguments.seeds,
            output=arguments.output,
        )
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"Data: {result['data']['source']}")
    console.print(_table(result))
    console.print(f"Result: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
