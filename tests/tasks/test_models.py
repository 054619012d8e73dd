from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from omero_hcs.errors import ModelNotFoundError, ParamsError
from omero_hcs.model import ModelRef
from omero_hcs.stores.base import KeptModel
from omero_hcs.tasks.models import find_model, load, model_names, model_path


@pytest.fixture
def kept(settings):
    """A file where the model "u2os" is kept."""
    settings.models_dir.mkdir()
    path = model_path("u2os", settings)
    path.write_bytes(b"weights")
    return path


def test_a_model_is_found_by_its_name_and_by_its_file(kept, settings):
    expected = ModelRef(name="u2os", path=str(kept), sha256=hashlib.sha256(b"weights").hexdigest())
    assert find_model("u2os", settings) == find_model(str(kept), settings) == expected


def test_another_content_is_another_model(kept, settings):
    before = find_model("u2os", settings)
    kept.write_bytes(b"other weights")
    assert find_model("u2os", settings).sha256 != before.sha256


@pytest.mark.parametrize("wanted", ["hela", "/no/such/file.safetensors", "../u2os", "a/b", ""])
def test_an_unknown_one_is_refused_with_those_that_are_there(kept, settings, wanted):
    with pytest.raises(ModelNotFoundError, match=r"Models there: u2os\. Train one with"):
        find_model(wanted, settings)


def test_without_any_model_it_says_so(settings):
    assert model_names(settings) == []
    with pytest.raises(ModelNotFoundError, match="none yet"):
        find_model("u2os", settings)


def test_they_are_listed_by_name_without_other_files(kept, settings):
    model_path("hela 2.1", settings).write_bytes(b"")
    (settings.models_dir / "notes.txt").write_text("")
    assert model_names(settings) == ["hela 2.1", "u2os"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 81, "a\n", "-o"])
def test_a_name_that_is_no_file_name_is_refused(settings, name):
    with pytest.raises(ParamsError, match="no model name"):
        model_path(name, settings)


def test_a_model_that_changed_since_the_run_began_is_refused(kept, settings):
    began_with = find_model("u2os", settings)
    kept.write_bytes(b"other weights")
    with pytest.raises(ModelNotFoundError, match=r"u2os .* not the file that the run began with"):
        load(began_with)
    kept.unlink()
    with pytest.raises(ModelNotFoundError, match="not the file"):
        load(began_with)


def test_a_run_without_a_model_is_told_so():
    with pytest.raises(ModelNotFoundError, match="--model"):
        load(None)


class Home:
    """A store of which only the models matter."""

    def models(self):
        return ()

    def fetch_model(self, model_id):
        return KeptModel(model_id, "hela", "ada", "2026-01-01T00:00:00Z", 7, "{}"), b"weights"

    def keep_model(self, target, name, content, *, card):
        raise NotImplementedError


def test_one_of_a_server_is_fetched_where_workers_find_it(settings):
    found = find_model("omero:57", settings, Home())
    assert (found.name, found.sha256) == ("hela", hashlib.sha256(b"weights").hexdigest())
    assert Path(found.path).read_bytes() == b"weights"
    assert find_model("omero:57", settings, Home()) == found


def test_one_of_a_server_is_refused_where_there_is_no_server(settings, memory):
    for store in (None, memory().store):
        with pytest.raises(ModelNotFoundError, match=r"models fetch omero://HOST 57"):
            find_model("omero:57", settings, store)
