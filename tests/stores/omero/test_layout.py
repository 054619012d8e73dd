"""Layouts: plates and image sets are described as they were put in."""

from __future__ import annotations

from dataclasses import replace


def bare(layout):
    """A layout without the ids that a server gives."""
    runs = {run.id: run.name for run in layout.acquisitions}
    return [
        (
            well.name,
            [
                (field.index, runs.get(field.acquisition), replace(field.image, id="", channels=()))
                for field in well.fields
            ],
        )
        for well in layout.wells
    ]


def test_a_plate_is_what_was_put_in(omero_tiny, omero_open):
    store = omero_open(omero_tiny.owner, f"plate/{omero_tiny.ids.plate}")
    plate = store.plate(str(omero_tiny.ids.plate))
    assert (plate.name, plate.rows, plate.columns) == ("tiny", 8, 12)
    assert plate.owner == omero_tiny.owner.name
    assert [run.name for run in plate.acquisitions] == ["live", "fixed"]
    assert bare(plate) == bare(omero_tiny.truth)
    assert all(site.image.channel_names == ("DNA", "GFP") for site in plate.sites())
