"""The package's modules and what they make public, for the tests here."""

import importlib
import inspect
import pkgutil

import experiments
import tensornet_keras

PACKAGES = (tensornet_keras, experiments)


def modules():
    """Every module of the package and of the experiments."""
    names = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages(
            package.__path__, f"{package.__name__}."
        )
        if not module.name.endswith("__main__")
    ]
    return [importlib.import_module(name) for name in names]


def public_objects():
    """`(name, object)` of every public function, class and method."""
    found = {}
    for module in modules():
        for name, value in _defined(vars(module), module.__name__):
            found[f"{module.__name__}.{name}"] = value
            if inspect.isclass(value):
                for method, function in _defined(vars(value), module.__name__):
                    found[f"{module.__name__}.{name}.{method}"] = function
    return sorted(found.items())


def _defined(namespace, module_name):
    for name, value in namespace.items():
        value = inspect.unwrap(getattr(value, "__func__", value))
        if (
            not name.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__ == module_name
        ):
            yield name, value
