"""The labelled cells that a cell is most like, and their pictures in the model file."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from omero_hcs.errors import DataError
from omero_hcs.learning.kept_examples import packed, read_examples
from omero_hcs.learning.nearest import Nearest


def features(count, seed=0, dim=40):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def test_the_nearest_are_those_of_the_smallest_angle_seen_from_their_mean():
    known, cells = features(30) + 5, features(200, seed=1) + 5
    rows, similarity = Nearest.of(known).find(cells)
    apart, others = known - known.mean(axis=0), cells - known.mean(axis=0)
    cosine = others @ apart.T
    cosine /= np.linalg.norm(others, axis=1)[:, None] * np.linalg.norm(apart, axis=1)
    wanted = np.argsort(-cosine, axis=1)[:, :3]
    assert (rows[:, 0] == wanted[:, 0]).mean() > 0.97
    np.testing.assert_allclose(similarity, cosine.max(axis=1), atol=5e-3)


def test_a_labelled_cell_is_its_own_nearest_also_after_saving():
    known = features(30)
    nearest = Nearest.from_tensors(Nearest.of(known).tensors())
    rows, similarity = nearest.find(known)
    np.testing.assert_array_equal(rows[:, 0], np.arange(30))
    assert similarity.min() > 0.999


def test_fewer_labels_than_are_named_leave_places_empty():
    rows, similarity = Nearest.of(features(2)).find(features(5, seed=1))
    assert (rows[:, 2] == -1).all()
    assert (rows[:, :2] >= 0).all()
    rows, similarity = Nearest.of(features(3)).find(features(0))
    assert rows.shape == (0, 3)
    assert similarity.shape == (0,)


@pytest.fixture
def model_file(tmp_path):
    """A file with three pictures, as a model file has them."""

    def make(card='{"examples": {"label": ["normal", "debris", "normal"]}}'):
        tensors = {f"examples/{name}": own for name, own in packed([b"one", b"", b"three"]).items()}
        save_file(tensors, tmp_path / "m", metadata={"card": card})
        return tmp_path / "m"

    return make


def test_pictures_come_out_as_they_went_in(model_file):
    kept = read_examples(model_file())
    assert [kept.picture(row) for row in range(len(kept))] == [b"one", b"", b"three"]
    assert kept.label(1) == "debris"


def test_a_model_without_examples_says_so_and_another_file_is_refused(model_file, tmp_path):
    assert read_examples(model_file(card='{"examples": null}')) is None
    (tmp_path / "text").write_text("no model")
    for name in ("text", "nothing"):
        with pytest.raises(DataError, match="no model"):
            read_examples(tmp_path / name)


def test_examples_are_read_without_torch(model_file):
    code = (
        "import sys; from omero_hcs.learning.kept_examples import read_examples;"
        f"print(len(read_examples({str(model_file())!r})));"
        "print(sorted({'torch', 'sklearn', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split("\n")[:2] == ["3", "[]"]
