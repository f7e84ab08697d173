"""A result as one JSON file: what ran, on what, and what came out."""

import json
import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import keras

import tensornet_keras as tk
from tensornet_keras import backend

PACKAGES = (
    "numpy",
    "scipy",
    "tensorflow",
    "jax",
    "torch",
    "t3f",
    "tensorly",
    "tensorly-torch",
    "tednet",
    "tensornetwork",
    "tensorkrowch",
    "ai-edge-litert",
    "onnxruntime",
)


RESULTS = Path(__file__).parent / "results"
# Settings of libraries that start threads begin so.
THREAD_SETTINGS = ("OMP_", "KMP_", "MKL_", "OPENBLAS_", "TF_NUM_")


def folder(output=None, smoke=False):
    """Where a result goes.

    Args:
        output: The folder a user named, or None.
        smoke: Whether it is a smoke run's, which goes to the temporary
            folder, so that it never passes for a real one.

    Returns:
        A folder, which need not be there yet; in a checkout real results
        go beside the code, elsewhere to `results` in the current folder.
    """
    if output is not None:
        return Path(output)
    if smoke:
        return Path(tempfile.gettempdir()) / "tensornet-smoke"
    return RESULTS if RESULTS.is_dir() else Path.cwd() / "results"


def provenance():
    """What a number depends on besides its config and its seeds.

    Returns:
        A dict of plain data: `commit` (None outside a git checkout; "+" at
        its end means that files differed from it), `versions`, `backend`,
        `device`, `threads` and `date`.
    """
    return {
        "commit": _commit(),
        "versions": {
            "python": platform.python_version(),
            "tensornet_keras": tk.__version__,
            "keras": keras.__version__,
            **_versions(),
        },
        "backend": keras.backend.backend(),
        "device": _device(),
        "threads": _threads(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save(result, path):
    """Writes a result so that a reader sees the old file or the new one.

    Args:
        result: A dict of plain data.
        path: The file; folders on the way to it are made.

    Returns:
        The path written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, allow_nan=False, default=_plain)
    handle, draft = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".part"
    )
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        # mkstemp's files are for their owner alone; results are for everyone.
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path


def load(path):
    """Reads a result that `save` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _plain(value):
    """NumPy's numbers and arrays, and paths, as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(
        "A result must be made of plain data. "
        f"Received: value={value!r} of type {type(value).__name__}. "
        "Convert it to numbers, strings, lists and dicts."
    )


def _versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit():
    """The checkout's commit; None where these files are not tracked by git."""
    here = Path(__file__).parent
    name = Path(__file__).name
    if not _git(here, "ls-files", name):
        return None
    commit = _git(here, "rev-parse", "HEAD")
    changed = _git(here.parent, "status", "--porcelain", "-uno")
    return commit and commit + ("+" if changed else "")


def _git(folder, *arguments):
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _threads():
    """The cores at hand, and what the environment says of threads."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    told = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(THREAD_SETTINGS)
    }
    return {"cores": cores, **told}


def _device():
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    # Where a new tensor is put; `keras.distribution` knows no PyTorch.
    device = str(keras.ops.zeros(()).device).rsplit("device:", 1)[-1]
    accelerator = backend.accelerator()
    if accelerator:
        device = f"{device} {accelerator}"
    return f"{device}; {processor}; {os.cpu_count()} cores"
