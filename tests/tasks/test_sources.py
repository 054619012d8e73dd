"""Several sources named together."""

from __future__ import annotations

from omero_hcs.tasks.sources import joined


def test_one_source_is_itself(tmp_path, monkeypatch):
    (tmp_path / "plate.zarr").mkdir()
    monkeypatch.chdir(tmp_path)
    assert joined(["plate.zarr"]) == str(tmp_path / "plate.zarr")
    assert joined(["omero://lab/plate/51"]) == "omero://lab/plate/51"


def test_several_are_named_by_what_they_are_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "plate.zarr").mkdir()
    monkeypatch.chdir(tmp_path)
    uri = joined(["plate.zarr", "omero://lab/plate/51"])
    assert uri == f'several:["{tmp_path}/plate.zarr", "omero://lab/plate/51"]'
