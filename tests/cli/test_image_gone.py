"""An image that somebody deletes while a run is interrupted."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.apply_qc import Params
from omero_hcs.tasks.driver import run_task


@pytest.fixture
def in_memory(plate):
    """The plate of six fields, in memory."""
    with closing(open_store(plate)) as disk:
        layout = disk.plate("p")
        pixels = {
            site.image.id: disk.read(site.image, channels=[0, 1])[None, :, None]
            for site in layout.sites()
        }
    return MemoryStore.create("a plate that loses an image", layout, pixels)


def delete_first_image(store):
    first, *others = store._memory.layout.wells
    store._memory.layout = replace(store._memory.layout, wells=(replace(first, fields=()), *others))


def test_the_run_is_finished_without_notes_or_pictures_of_it(in_memory, model, tmp_path):
    settings = Settings(state_dir=tmp_path / "state", models_dir=tmp_path)
    params = Params(model=str(model), key_values="all", tag_images=True)

    def stop(stage, *_):
        if stage == "drawing the report":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_task("apply_qc", in_memory.spec.uri, params, settings=settings, progress=stop)
    gone = next(iter(in_memory._memory.layout.sites())).image.id
    delete_first_image(in_memory)
    outcome = run_task("apply_qc", in_memory.spec.uri, params, settings=settings)
    assert (outcome.how, outcome.status) == ("resumed", "done")
    kept = in_memory.results[outcome.run_id, None]
    noted = {item.object_id for item in kept.key_values if item.object_kind == "image"}
    assert len(noted) == 5
    assert gone not in noted
    assert gone in kept.tables["fields"]["image"].tolist()


def test_a_field_that_was_not_judged_yet_fails_alone_and_says_why(in_memory, model, tmp_path):
    settings = Settings(state_dir=tmp_path / "state", models_dir=tmp_path)
    params = Params(model=str(model), rois=0)

    def stop(stage, *_):
        if stage == "judging fields":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_task("apply_qc", in_memory.spec.uri, params, settings=settings, progress=stop)
    delete_first_image(in_memory)
    outcome = run_task("apply_qc", in_memory.spec.uri, params, settings=settings)
    assert (outcome.status, outcome.summary["fields failed"]) == ("partial", 1)
    ((_, reason),) = outcome.failed
    assert "is no longer there: it was deleted or moved" in reason
