import inspect

import pytest

import tensornet_keras as tk

PACKAGES = (
    "conversion",
    "decomposition",
    "deployment",
    "finetuning",
    "formats",
    "interop",
    "layers",
)
VERBS = (
    "autotune",
    "calibrate",
    "compare",
    "convert",
    "convert_layer",
    "decompose",
    "densify",
    "export",
    "finetune",
    "freeze",
    "profile",
    "merge",
    "prune",
)


def test_the_face_has_its_packages_and_verbs_and_nothing_else():
    assert sorted(tk.__all__) == sorted(PACKAGES + VERBS)


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_are_modules_whose_public_names_exist(name):
    package = getattr(tk, name)
    assert inspect.ismodule(package)
    for public in package.__all__:
        assert hasattr(package, public), public


@pytest.mark.parametrize("name", VERBS)
def test_verbs_are_functions(name):
    assert inspect.isfunction(getattr(tk, name))


def test_dir_lists_what_can_be_asked_for():
    assert set(tk.__all__) <= set(dir(tk))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'comvert'"):
        tk.comvert  # noqa: B018


def test_importing_the_package_imports_no_keras(fresh_process):
    loaded = fresh_process(
        """
        import sys
        import tensornet_keras
        print({"keras", "numpy", "tensorflow"} & set(sys.modules))
        """
    )
    assert loaded == "set()"


def test_help_of_the_command_line_imports_no_keras(fresh_process):
    lines = fresh_process(
        """
        import sys
        from tensornet_keras import cli
        try:
            cli.main(["--help"])
        except SystemExit as stop:
            assert not stop.code
        print({"keras", "jax", "tensorflow", "torch"} & set(sys.modules))
        """
    )
    assert "convert" in lines
    assert lines.endswith("set()")
