"""What one plate taught, tested on others."""

import numpy as np
import pytest

from omero_hcs.errors import InputErrors
from omero_hcs.imaging.crop import CropScale
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.labelled_sources import together
from omero_hcs.tasks.qc_transfer import transfer
from tests.tasks.labelled_fixtures import make_labelled, make_learner


def plates(**options):
    return make_labelled("one"), make_labelled("two", **options)


def test_each_source_is_tested_on_itself_and_on_the_other():
    source, target = plates()
    found = transfer(source, [target], make_learner, both=True)
    ways = [(one.taught, one.tested, one.within) for one in found.crossings]
    assert ways == [
        ("one", "one", True), ("one", "two", False), ("two", "two", True), ("two", "one", False),
    ]  # fmt: skip


def test_a_plate_that_looks_otherwise_loses():
    def shifted(joined):
        learner = make_learner(joined, apart=6)
        other = joined.table["plate"] == "two"
        learner.features[other] = np.roll(learner.features[other], 1, axis=1)
        return learner

    source, target = plates()
    found = transfer(source, [target], shifted)
    within, across = found.crossings
    assert within.evaluation.metrics["f1"] == 1.0
    assert found.loss(across) > 0.3
    assert found.loss(within) == 0.0
    assert across.evaluation.metrics["labels"] == 72


def test_every_reason_why_a_target_does_not_fit_is_named():
    source = make_labelled("one")
    other = make_labelled("two", classes=("normal", "debris"))
    coarse = Labelled(
        "three", other.crops, make_labelled("three").table, source.classes, ("DNA",),
        CropScale(8, 8.0, 6.0),
    )  # fmt: skip
    with pytest.raises(InputErrors) as error:
        transfer(source, [other, coarse, source], make_learner)
    text = str(error.value)
    assert "two has labels 'debris', which one has not: normal, blurred" in text
    assert "three are of another scale than those of one: 2 x" in text
    assert "one has cells of the same wells as one" in text
    assert len(error.value.faults) == 3


def test_another_scale_is_taken_where_the_user_says_so():
    source, target = plates()
    coarse = Labelled(
        "two", target.crops, target.table, target.classes, ("Hoechst",), CropScale(8, 8.0, 6.0)
    )
    found = transfer(source, [coarse], make_learner, any_scale=True)
    assert found.warnings == (
        "Channels of two (Hoechst) were taken for those of one (DNA), in this order.",
    )


def test_sources_of_other_crop_sizes_are_joined_at_the_size_asked_for():
    source, target = plates()
    large = np.repeat(np.repeat(target.crops, 2, axis=2), 2, axis=3)
    large = Labelled("two", large, target.table, target.classes, ("DNA",))
    joined = together([source, large], side=4)
    assert joined.crops.shape == (144, 1, 4, 4)
    assert joined.name == "one, two"
    assert np.allclose(joined.crops[72:].mean(), target.crops.mean(), atol=0.01)


def test_sources_of_other_channels_are_refused():
    source, target = plates()
    two = Labelled(
        "two", np.repeat(target.crops, 2, axis=1), target.table, target.classes, ("DNA", "GFP")
    )
    with pytest.raises(InputErrors, match=r"Crops of two have 2 channels \(DNA, GFP\)"):
        together([source, two])
