"""What the command line may say."""

import argparse

from tensornet_keras import __version__, validation
from tensornet_keras.cli import commands

EXPORT_FORMATS = ("litert", "onnx", "tf_saved_model")
OBJECTIVES = ("latency", "size", "memory")

_EXAMPLES = {
    "batch_size": "32",
    "block-epochs": "1",
    "epochs": "2",
    "error": "0.05",
    "flops": "0.3",
    "latency": "0.5",
    "max_memory": "1000000",
    "min_compression": "2",
    "rank_multiple": "8",
    "rank": "8, or one per bond as 4,8,4, or a share as 0.1",
    "ratio": "0.3",
}


def parser():
    """The parser; each command leaves its function in `run`."""
    parser = argparse.ArgumentParser(
        prog="tensornet",
        description="Makes trained Keras models smaller with tensor networks.",
    )
    parser.add_argument(
        "--version", action="version", version=f"tensornet {__version__}"
    )
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="show where an error came from",
    )
    verbs = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    _add_inspect(verbs)
    _add_convert(verbs)
    _add_finetune(verbs)
    _add_freeze(verbs)
    _add_export(verbs)
    _add_bench(verbs)
    demo = verbs.add_parser(
        "demo",
        add_help=False,
        help="train, convert, tune and export LeNet-5 on MNIST",
    )
    demo.set_defaults(run=commands.demo)
    return parser


def _add_inspect(verbs):
    inspect = _command(
        verbs, "inspect", "what every layer costs, and which can convert"
    )
    _add_batch_size(inspect)
    inspect.add_argument("--json", metavar="FILE", help="also write as JSON")
    _add_overwrite(inspect)
    _add_sample(inspect)
    inspect.set_defaults(run=commands.inspect)


def _add_convert(verbs):
    convert = _command(
        verbs, "convert", "replace layers by tensor-network ones"
    )
    convert.add_argument("out", help="the .keras file to write")
    convert.add_argument(
        "--format",
        default="auto",
        help="format of the weights, such as tt (default: auto, which goes "
        "with --error or a budget)",
    )
    _add_targets(convert)
    convert.add_argument(
        "--calibration",
        metavar="FILE",
        help="examples to fit the outputs of layers to, with a batch axis: "
        ".npy, or .npz for several inputs",
    )
    convert.add_argument(
        "--filters",
        nargs="+",
        metavar="REGEX",
        help="convert only layers whose path one of these finds",
    )
    convert.add_argument(
        "--rank-multiple",
        type=_checked(int, validation.positive_integer, "rank_multiple"),
        default=1,
        metavar="N",
        help="make ranks multiples of N (default: 1)",
    )
    convert.add_argument(
        "--min-compression",
        type=_checked(float, validation.non_negative, "min_compression"),
        default=1.0,
        metavar="X",
        help="leave a layer dense that would shrink less than X times "
        "(default: 1.0)",
    )
    convert.add_argument(
        "--report",
        metavar="FILE",
        help="write a report: a page if it ends in .html, else JSON",
    )
    _add_sample(convert)
    _add_overwrite(convert)
    convert.set_defaults(run=commands.convert)


def _add_targets(convert):
    """What a conversion is to reach: one of these."""
    target = convert.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--rank",
        type=_checked(_rank, validation.rank, "rank"),
        metavar="R",
        help="8, or one per bond as 4,8,4, or with a point the share of the "
        "dense parameters to spend, as 0.1, or vbmf",
    )
    target.add_argument(
        "--rate",
        type=_checked(float, validation.rank, "rate"),
        metavar="R",
        help="share of the parameters for a method of Su et al. 2018, with "
        "--format svd, cp, tk, tt, rcp, rtk or rtt",
    )
    target.add_argument(
        "--error",
        type=_checked(float, validation.relative_error, "error"),
        metavar="E",
        help="relative error that no replaced kernel may exceed, as 0.05; "
        "with --calibration, that no layer may add to its outputs",
    )
    for name, what in (
        ("ratio", "share of all kernels' numbers to keep, as 0.3"),
        ("flops", "share of their multiply-adds to keep, as 0.3"),
        ("latency", "share of the model's time to keep, frozen, as 0.5"),
    ):
        target.add_argument(
            f"--{name}",
            type=_checked(float, validation.share_of_all, name),
            metavar="R",
            help=what,
        )


def _add_finetune(verbs):
    finetune = _command(
        verbs, "finetune", "train further, with labels or the original model"
    )
    finetune.add_argument("out", help="the .keras file to write")
    finetune.add_argument(
        "--data",
        required=True,
        metavar="FILE",
        help="training examples with a batch axis: .npy, or .npz with the "
        "inputs and, for labels, y",
    )
    finetune.add_argument(
        "--teacher",
        metavar="FILE",
        help="a .keras file: the model whose outputs are to be reached",
    )
    _add_training(finetune)
    finetune.add_argument(
        "--checkpoint",
        metavar="FOLDER",
        help="save after every epoch, and go on from there after a kill",
    )
    finetune.add_argument(
        "--log-dir", metavar="FOLDER", help="write logs for TensorBoard"
    )
    finetune.add_argument("--report", metavar="FILE", help="write JSON report")
    _add_overwrite(finetune)
    finetune.set_defaults(run=commands.finetune)


def _add_training(finetune):
    """How it is trained, and for how long."""
    finetune.add_argument(
        "--loss",
        help="loss of the labels, by Keras' name; by default that which the "
        "model was compiled with",
    )
    finetune.add_argument(
        "--optimizer", default="adam", help="by Keras' name (default: adam)"
    )
    finetune.add_argument(
        "--learning-rate",
        type=float,
        metavar="R",
        help="of the optimizer (default: its own)",
    )
    for name, what, default in (
        ("epochs", "passes over the data for the whole model", 1),
        ("block-epochs", "passes for each block before that", 0),
    ):
        finetune.add_argument(
            f"--{name}",
            type=_checked(int, validation.non_negative_integer, name),
            default=default,
            metavar="N",
            help=f"{what} (default: {default})",
        )
    _add_batch_size(finetune, "examples in a batch", 32)


def _add_bench(verbs):
    summary = "size and latency of several models, timed by turns"
    bench = verbs.add_parser("bench", help=summary, description=summary)
    bench.add_argument("models", nargs="+", help=".keras files")
    _add_batch_size(bench)
    bench.add_argument("--json", metavar="FILE", help="also write as JSON")
    _add_overwrite(bench)
    _add_sample(bench)
    bench.set_defaults(run=commands.bench)


def _add_batch_size(
    command, what="examples in the forward pass that is timed", default=1
):
    command.add_argument(
        "--batch-size",
        type=_checked(int, validation.positive_integer, "batch_size"),
        default=default,
        metavar="N",
        help=f"{what} (default: {default or 'all from 1 to 1024'})",
    )


def _add_freeze(verbs):
    freeze = _command(
        verbs, "freeze", "merge cores for inference, or make layers dense"
    )
    freeze.add_argument("out", help="the .keras file to write")
    _add_batch_size(freeze, "batch size to be fast at", None)
    freeze.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default="latency",
        help="what is to be least (default: latency)",
    )
    freeze.add_argument(
        "--max-memory",
        type=_checked(int, validation.positive_integer, "max_memory"),
        metavar="BYTES",
        help="most bytes that a layer may hold beyond its input and output",
    )
    freeze.add_argument(
        "--no-measure",
        action="store_true",
        help="trust the predicted times, and time nothing here",
    )
    freeze.add_argument("--report", metavar="FILE", help="write JSON report")
    _add_overwrite(freeze)
    freeze.set_defaults(run=commands.freeze)


def _add_export(verbs):
    export = _command(
        verbs, "export", "write for another runtime, and prove it agrees"
    )
    export.add_argument("path", help="file or folder to write")
    export.add_argument("--format", required=True, choices=EXPORT_FORMATS)
    export.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="largest relative difference allowed (default: 1e-4; more where "
        "weights are quantized)",
    )
    export.add_argument(
        "--quantize",
        choices=("dynamic_range", "float16", "int8"),
        help="store a LiteRT file's weights in fewer bits",
    )
    export.add_argument(
        "--calibration",
        metavar="FILE",
        help="examples for --quantize int8, as numpy.save writes them",
    )
    _add_sample(export)
    export.set_defaults(run=commands.export)


def _command(verbs, name, summary):
    command = verbs.add_parser(name, help=summary, description=summary)
    command.add_argument("model", help="a .keras file")
    return command


def _add_overwrite(command):
    command.add_argument(
        "--overwrite", action="store_true", help="replace files that are there"
    )


def _add_sample(command):
    command.add_argument(
        "--sample",
        metavar="FILE",
        help="inputs to run on, with a batch axis: .npy, or .npz for several",
    )


def _checked(parse, check, name):
    """An argparse type that says what is wrong in the words of `check`."""

    def read(text):
        try:
            value = parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(
                f"This is no {name}. Received: {text!r}. "
                f"Pass for example {_EXAMPLES[name]}."
            ) from error
        try:
            return check(value, name)
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _rank(text):
    if text == "vbmf":
        return text
    if "," in text:
        return tuple(int(entry) for entry in text.split(","))
    return int(text) if text.lstrip("+-").isdigit() else float(text)
