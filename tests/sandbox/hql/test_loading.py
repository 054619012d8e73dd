"""What comes back loaded: what was selected and fetched, and what OMERO's mapping adds."""

from __future__ import annotations

import pytest

from omero_hcs.sandbox.ice.record import omero


@pytest.fixture
def plate(lab):
    """A plate with two wells of two fields."""
    plate = lab.add("Plate", name="P")
    for column in range(2):
        well = lab.add("Well", plate=plate, row=0, column=column)
        for field in range(2):
            image = lab.add("Image", name=f"{column}-{field}")
            lab.add("WellSample", well=well, image=image)
            lab.add("Pixels", image=image, sizeX=column, sizeY=field)
    return plate


def find(engine, text, caller=None):
    return engine.find(text, None, caller)


def test_what_is_not_fetched_is_there_by_id_only(engine, plate):
    sample = find(engine, "select s from WellSample s join s.image i where s.id = 1")[0]
    assert sample.isLoaded()
    assert not sample.image.isLoaded()
    assert sample.image.id.val == 1
    assert not sample.well.isLoaded()
    assert not sample.details.owner.isLoaded()
    with pytest.raises(omero.UnloadedEntityException):
        sample.image.getName()


def test_what_is_fetched_is_loaded(engine, plate):
    text = (
        "select s from WellSample s join fetch s.image i left outer join fetch i.pixels "
        "join fetch s.details.owner where s.id = 1"
    )
    sample = find(engine, text)[0]
    assert sample.image.name.val == "0-0"
    assert [pixels.sizeX.val for pixels in sample.image.copyPixels()] == [0]
    assert sample.details.owner.omeName.val == "ada"
    assert not sample.image.wellSamplesLoaded


def test_a_fetched_collection_without_members_is_loaded_and_empty(lab, engine):
    lab.add("Plate", name="P")
    [plate] = find(engine, "select p from Plate p left outer join fetch p.wells")
    assert plate.wellsLoaded
    assert plate.copyWells() == []
    assert not plate.screenLinksLoaded


def test_a_condition_on_a_fetched_collection_leaves_members_out(engine, plate):
    [plate] = find(engine, "select p from Plate p join fetch p.wells w where w.column = 1")
    assert [well.column.val for well in plate.copyWells()] == [1]


def test_an_object_that_is_fetched_somewhere_is_loaded_everywhere(engine, plate):
    text = "select w from Well w join fetch w.plate p join fetch p.wells"
    wells = find(engine, text)
    assert wells[0].plate.copyWells()[1] is wells[1]


def test_a_fetched_collection_does_not_repeat_the_object(engine, plate):
    assert len(find(engine, "select p from Plate p left outer join fetch p.wells")) == 1


def test_a_joined_collection_does_repeat_the_object(engine, plate):
    assert len(find(engine, "select p from Plate p join p.wells")) == 2
    assert len(find(engine, "select distinct p from Plate p join p.wells")) == 1


def test_fetching_for_what_is_not_selected_is_refused(engine, plate):
    with pytest.raises(omero.QueryException, match="owner of the fetched association"):
        find(engine, "select s from WellSample s join s.image i join fetch i.pixels")
    with pytest.raises(omero.QueryException, match="owner of the fetched association"):
        find(engine, "select p.name from Plate p join fetch p.wells")


def test_references_of_an_abstract_class_are_loaded_with_the_object(lab, engine):
    image = lab.add("Image", name="i")
    roi = lab.add("Roi", image=image, name="nucleus")
    lab.add("Rectangle", roi=roi, transform=lab.add("AffineTransform", a00=1.0))
    text = "select distinct s from Shape s join s.roi r join r.image i order by s.id desc"
    [shape] = find(engine, text)
    assert shape.roi.name.val == "nucleus"
    assert shape.transform.a00.val == 1.0
    assert not shape.roi.image.isLoaded()


def test_an_annotation_link_without_its_annotation_is_unloaded(lab, engine):
    image, tag = lab.add("Image", name="i"), lab.add("TagAnnotation", textValue="t")
    lab.add("ImageAnnotationLink", parent=image, child=tag)
    [link] = find(engine, "select l from ImageAnnotationLink l")
    assert not link.isLoaded()
    [link] = find(engine, "select l from ImageAnnotationLink l join fetch l.child")
    assert link.child.textValue.val == "t"
    assert not link.parent.isLoaded()


def test_the_group_is_loaded_if_the_call_is_about_all_groups(lab, engine):
    lab.add("Image", name="i")
    text = "select i from Image i"
    [image] = find(engine, text, lab.caller(group=None))
    assert image.details.group.name.val == "lab"
    [image] = find(engine, text, lab.caller(group=lab.group))
    assert not image.details.group.isLoaded()


def test_units_and_lists_of_names_and_values_are_part_of_their_object(lab, engine):
    pair = omero.model.NamedValue("drug", "DMSO")
    lab.add("MapAnnotation", mapValue=[pair])
    [annotation] = find(engine, "select a from MapAnnotation a")
    assert [(one.name, one.value) for one in annotation.getMapValue()] == [("drug", "DMSO")]


def test_objects_of_a_projection_are_loaded_by_the_same_rules(engine, plate):
    text = "select s, s.image.name from WellSample s join fetch s.image where s.id = 2"
    [[sample, name]] = engine.project(text, None, None)
    assert sample.val.image.name.val == name.val == "0-1"
    assert not sample.val.well.isLoaded()


def test_a_query_for_values_is_no_query_for_objects(engine, plate):
    with pytest.raises(omero.ApiUsageException, match="projection"):
        find(engine, "select p.name from Plate p")
    with pytest.raises(omero.ApiUsageException, match="projection"):
        find(engine, "select p, w from Plate p join p.wells w")
