"""What each command does: it calls one verb and prints what that returns.

Whatever imports Keras is imported inside the functions: `--help` shall not
wait for a backend.
"""

import os
from importlib import import_module

from tensornet_keras import validation, writing
from tensornet_keras.cli.inputs import examples, loaded, sample, spinning

_DEMOS = ("tensornet_keras.experiments.demo", "experiments.demo")
_PIPE_WIDTH = 140  # columns for tables where no terminal says how many


class UsageError(ValueError):
    """A command line that makes no sense."""


def inspect(arguments):
    """Runs `tensornet inspect`."""
    _check_report_place(arguments.json, "--json", arguments)
    model = loaded(arguments.model, compile=False)
    from tensornet_keras.profiling import profile

    result = profile(
        model, arguments.batch_size, sample=sample(model, arguments.sample)
    )
    paths, remark = _convertible(model)
    if arguments.json is not None:
        data = {**result.to_dict(), "convertible": paths}
        writing.json_file(arguments.json, data)
    _print(result.table())
    _print(f"can be converted: {', '.join(paths) or 'no layer'}{remark}")


def convert(arguments):
    """Runs `tensornet convert`."""
    _check_model_place(arguments, has_page=True)
    format = _format_of(arguments)
    model = loaded(arguments.model)
    from tensornet_keras.conversion import convert

    small, report = convert(
        model,
        format,
        filters=arguments.filters,
        error=arguments.error,
        ratio=arguments.ratio,
        flops=arguments.flops,
        latency=arguments.latency,
        calibration_data=sample(model, arguments.calibration, "--calibration"),
        min_compression=arguments.min_compression,
        rank_multiple=arguments.rank_multiple,
        sample=sample(model, arguments.sample),
    )
    _write_model(small, report, arguments, {"original": model})


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


def bench(arguments):
    """Runs `tensornet bench`."""
    _check_report_place(arguments.json, "--json", arguments)
    models = {path: loaded(path, compile=False) for path in arguments.models}
    from tensornet_keras.profiling import compare

    first = next(iter(models.values()))
    with spinning("Timing by turns"):
        found = compare(
            models,
            arguments.batch_size,
            sample=sample(first, arguments.sample),
        )
    if arguments.json is not None:
        writing.json_file(arguments.json, found.to_dict())
    _print(found.table())


def finetune(arguments):
    """Runs `tensornet finetune`."""
    _check_model_place(arguments)
    if not (arguments.epochs or arguments.block_epochs):
        raise UsageError("--epochs or --block-epochs must be at least 1.")
    model = loaded(arguments.model)
    teacher = None
    if arguments.teacher is not None:
        teacher = loaded(arguments.teacher, compile=False)
    data = _training_data(model, arguments.data)
    from tensornet_keras.finetuning import finetune

    tuned, report = finetune(
        model,
        data,
        teacher=teacher,
        phases=_phases(arguments),
        batch_size=arguments.batch_size,
        checkpoint=arguments.checkpoint,
        log_dir=arguments.log_dir,
        return_report=True,
    )
    _write_model(tuned, report, arguments)


def _phases(arguments):
    """The phases that the command line names."""
    import keras

    from tensornet_keras.finetuning import Blockwise, EndToEnd

    optimizer = keras.optimizers.get(arguments.optimizer)
    if arguments.learning_rate is not None:
        optimizer.learning_rate = arguments.learning_rate
    phases = []
    if arguments.block_epochs:
        phases.append(Blockwise(arguments.block_epochs, optimizer))
    if arguments.epochs:
        phases.append(EndToEnd(arguments.epochs, optimizer, arguments.loss))
    return phases


def _training_data(model, path):
    """The arrays of a file: inputs, or with labels a pair."""
    x, y = examples(model, path, "--data")
    return x if y is None else (x, y)


def freeze(arguments):
    """Runs `tensornet freeze`."""
    _check_model_place(arguments)
    model = loaded(arguments.model)
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
    model = loaded(arguments.model, compile=False)
    from tensornet_keras.deployment import export

    with spinning(f"Exporting to {arguments.format}"):
        report = export(
            model,
            arguments.path,
            arguments.format,
            tolerance=arguments.tolerance,
            sample=sample(model, arguments.sample),
            quantize=arguments.quantize,
            calibration_data=sample(
                model, arguments.calibration, "--calibration"
            ),
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


def _check_model_place(arguments, has_page=False):
    """Says at once that a model and its report could not be written."""
    page = arguments.report is not None and arguments.report.endswith(".html")
    if page and not has_page:
        raise UsageError(
            "--report must not end in .html here. "
            f"Received: {arguments.report!r}. Name a .json file."
        )
    if not arguments.out.endswith(".keras"):
        raise UsageError(
            f"out must end in .keras. Received: {arguments.out!r}."
        )
    _check_place(arguments.out, "out", arguments.overwrite)
    _check_report_place(arguments.report, "--report", arguments)


def _write_model(model, report, arguments, others=None):
    """Writes a model and, if asked for, its report, and prints the report.

    A page shows the model beside the others.
    """
    with writing.draft(arguments.out) as beside:
        model.save(beside)
    # The model is there even if the report fails.
    if arguments.report is not None:
        models = {**(others or {}), "converted": model}
        _write_report(report, arguments.report, models)
    _print(report.table())
    size = os.path.getsize(arguments.out)
    _print(f"{arguments.out}: {size:,} bytes")


def _write_report(report, path, models):
    """Writes a report, as a page if the file's name ends so."""
    if not path.endswith(".html"):
        writing.json_file(path, report.to_dict())
    else:
        report.to_html(path, models=_timed(models))


def _timed(models):
    """Models to time, none where their inputs cannot be drawn."""
    from tensornet_keras import model_inputs

    try:
        specs = model_inputs.input_specs(next(iter(models.values())))
        model_inputs.random_inputs(specs, 1)
    except ValueError:
        return None
    return models


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


def _print(what):
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    if isinstance(what, str):
        console.print(what, soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(what)
