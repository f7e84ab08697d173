"""What each command does: it calls one verb and prints what that returns.

Whatever imports Keras is imported inside the functions: `--help` shall not
wait for a backend.
"""

import os
import warnings
import zipfile
from importlib import import_module

from tensornet_keras import validation, writing

_DEMOS = ("tensornet_keras.experiments.demo", "experiments.demo")
_PIPE_WIDTH = 140  # columns for tables where no terminal says how many


class UsageError(ValueError):
    """A command line that makes no sense."""


def inspect(arguments):
    """Runs `tensornet inspect`."""
    _check_report_place(arguments.json, "--json", arguments)
    model = _loaded(arguments.model, compile=False)
    from tensornet_keras.profiling import profile

    result = profile(
        model, arguments.batch_size, sample=_sample(model, arguments.sample)
    )
    paths, remark = _convertible(model)
    if arguments.json is not None:
        data = {**result.to_dict(), "convertible": paths}
        writing.json_file(arguments.json, data)
    _print(result.table())
    _print(f"can be converted: {', '.join(paths) or 'no layer'}{remark}")


def convert(arguments):
    """Runs `tensornet convert`."""
    _check_model_place(arguments)
    format = _format_of(arguments)
    model = _loaded(arguments.model)
    from tensornet_keras.conversion import convert

    small, report = convert(
        model,
        format,
        filters=arguments.filters,
        error=arguments.error,
        ratio=arguments.ratio,
        flops=arguments.flops,
        calibration_data=_sample(model, arguments.calibration, "--calibration"),
        min_compression=arguments.min_compression,
    )
    _write_model(small, report, arguments)


def _format_of(arguments):
    """The format that the command line names, by rank, rate or neither."""
    from tensornet_keras import formats
    from tensornet_keras.formats.spectrum_preserving import METHODS

    if arguments.rate is not None:
        known, how = sorted(METHODS), {"rate": arguments.rate}
    else:
        # The others cannot be written with a rank alone.
        unwritten = {formats.EinsumNetwork.name, formats.PaperMethod.name}
        known = sorted(set(formats.CATALOG) - unwritten)
        how = {"rank": arguments.rank}
        if arguments.format == "auto" and arguments.rank is None:
            return arguments.format
    if arguments.format not in known:
        target = "--rate" if "rate" in how else "--rank or a target"
        raise UsageError(
            f"--format must with {target} be one of {', '.join(known)}. "
            f"Received: {arguments.format!r}."
        )
    return formats.get(arguments.format, **how)


def freeze(arguments):
    """Runs `tensornet freeze`."""
    _check_model_place(arguments)
    model = _loaded(arguments.model)
    from tensornet_keras.deployment import freeze

    frozen, report = freeze(
        model,
        arguments.batch_size,
        arguments.objective,
        max_memory=arguments.max_memory,
        measure=not arguments.no_measure,
        return_report=True,
    )
    _write_model(frozen, report, arguments)


def export(arguments):
    """Runs `tensornet export`."""
    validation.writable_file(arguments.path)
    model = _loaded(arguments.model, compile=False)
    from tensornet_keras.deployment import export

    with _spinning(f"Exporting to {arguments.format}"):
        report = export(
            model,
            arguments.path,
            arguments.format,
            tolerance=arguments.tolerance,
            sample=_sample(model, arguments.sample),
        )
    _print(str(report))


def demo(arguments):
    """Runs `tensornet demo`."""
    for name in _DEMOS:
        try:
            demo = import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(
                f"{error.name}."
            ):
                raise
        else:
            return demo.main(arguments.rest)
    raise ImportError(
        "The demo comes with the experiments. Received: no module "
        f"{' or '.join(_DEMOS)}. Run it where the package is installed, or "
        "in a checkout as python -m tensornet_keras demo."
    )


def _check_place(path, name, overwrite):
    """Says at once that a file could not be written in the end."""
    if os.path.isfile(path) and not overwrite:
        raise ValueError(
            f"{name} must not exist yet. Received: {path!r}. "
            "Choose another path, or pass --overwrite."
        )
    validation.writable_file(path, name, overwrite)


def _check_model_place(arguments):
    """Says at once that a model and its report could not be written."""
    if not arguments.out.endswith(".keras"):
        raise UsageError(
            f"out must end in .keras. Received: {arguments.out!r}."
        )
    _check_place(arguments.out, "out", arguments.overwrite)
    _check_report_place(arguments.report, "--report", arguments)


def _write_model(model, report, arguments):
    """Writes a model and, if asked for, its report, and prints the report."""
    with writing.draft(arguments.out) as beside:
        model.save(beside)
        if arguments.report is not None:
            writing.json_file(arguments.report, report.to_dict())
    _print(report.table())
    size = os.path.getsize(arguments.out)
    _print(f"{arguments.out}: {size:,} bytes")


def _check_report_place(path, name, arguments):
    if path is None:
        return
    _check_place(path, name, arguments.overwrite)
    for other in ("model", "out"):
        taken = getattr(arguments, other, None)
        if taken and os.path.realpath(path) == os.path.realpath(taken):
            raise ValueError(
                f"{name} must be a file of its own. Received: {path!r}, "
                f"which is {other} as well. Choose another path."
            )


def _convertible(model):
    """Paths of the layers that have a twin, and why there is none at all."""
    from tensornet_keras import surgery
    from tensornet_keras.conversion import rules, selection

    try:
        surgery.check_model(model)
    except ValueError as error:
        return [], f" ({error})"
    paths = [
        selection.path_of(layer)
        for layer in surgery.leaf_layers(model)
        if rules.obstacle(layer) is None
    ]
    return paths, ""


def _loaded(path, compile=True):
    """A model from a file, under a spinner: the backend is loaded too."""
    if not os.path.isfile(path):
        raise ValueError(
            "The model must be a .keras file. "
            f"Received: model={path!r}, where there is none. "
            "Pass a path that model.save wrote."
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "The model must be a .keras file. "
            f"Received: model={path!r}, which is of another kind. "
            "Pass a path that model.save wrote."
        )
    with _spinning(f"Loading {path}"), warnings.catch_warnings():
        # A model that was compiled but never trained has no state to load.
        warnings.filterwarnings("ignore", "Skipping variable loading")
        import keras

        return keras.models.load_model(path, compile=compile)


def _sample(model, path, option="--sample"):
    """What a file of arrays holds, in the structure that the model takes."""
    if path is None:
        return None
    import numpy as np

    from tensornet_keras.model_inputs import input_specs

    if not os.path.isfile(path):
        raise ValueError(
            f"{option} must be a file. Received: {path!r}, where there is "
            "none. Pass a path that numpy.save or numpy.savez wrote."
        )
    loaded = np.load(path)
    if isinstance(loaded, np.ndarray):
        return loaded
    arrays = {name: loaded[name] for name in loaded.files}
    takes_names = isinstance(input_specs(model, arrays), dict)
    return arrays if takes_names else list(arrays.values())


def _spinning(text):
    from rich.console import Console

    return Console(stderr=True).status(text)


def _print(what):
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    if isinstance(what, str):
        console.print(what, soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(what)
