"""What `Delete2` takes with an object, what it leaves, and what it refuses."""

from __future__ import annotations

import omero
import pytest
from omero.rtypes import rint, rstring


def message(response):
    assert isinstance(response, omero.cmd.GraphException), response
    assert response.name == "graph-fail"
    assert response.category == "::omero::cmd::Delete2"
    assert response.parameters["message"] == response.message
    return response.message


# -- what belongs to an object goes with it


def test_an_image_takes_what_belongs_to_it(bench):
    image = bench.image()
    bench.roi(image)
    response = bench.delete(image)
    assert {name.rpartition(".")[2]: len(ids) for name, ids in response.deletedObjects.items()} == {
        "Image": 1,
        "Pixels": 1,
        "Channel": 1,
        "LogicalChannel": 1,
        "StatsInfo": 1,
        "Roi": 1,
        "Rectangle": 1,
    }
    assert response.deletedObjects["ome.model.core.Image"] == [image.id.val]
    kinds = ("Image", "Pixels", "Channel", "LogicalChannel", "StatsInfo", "Roi", "Shape")
    for kind in kinds:
        assert bench.ids(kind) == []


def test_rendering_settings_go_with_their_image_whoever_made_them(lab):
    owner, other = lab("read-annotate")
    image = owner.image()
    pixels = omero.model.PixelsI(owner.ids("Pixels")[0], False)
    settings = omero.model.RenderingDefI()
    settings.pixels = pixels
    for name, value in {"defaultZ": 0, "defaultT": 0, "compression": None}.items():
        setattr(settings, name, None if value is None else rint(value))
    settings.model = omero.model.RenderingModelI()
    settings.model.value = rstring("rgb")
    settings.quantization = omero.model.QuantumDefI()
    for name in ("cdStart", "cdEnd", "bitResolution"):
        setattr(settings.quantization, name, rint(255))
    saved = other.save(settings)
    thumbnail = other.add(
        "Thumbnail", pixels=pixels, mimeType="image/jpeg", sizeX=rint(96), sizeY=rint(96)
    )
    assert isinstance(owner.delete(image), omero.cmd.OK)
    assert other.exists(saved, thumbnail) == [False, False]
    assert other.ids("QuantumDef") == []


def test_a_plate_takes_wells_runs_fields_and_images(bench):
    plate = bench.plate()
    assert isinstance(bench.delete(plate), omero.cmd.OK)
    for kind in ("Plate", "Well", "PlateAcquisition", "WellSample", "Image", "Pixels"):
        assert bench.ids(kind) == []


def test_a_run_takes_its_fields_and_leaves_the_wells(bench):
    bench.plate()
    run = omero.model.PlateAcquisitionI(bench.ids("PlateAcquisition")[0], False)
    assert isinstance(bench.delete(run), omero.cmd.OK)
    assert (len(bench.ids("Well")), bench.ids("WellSample"), bench.ids("Image")) == (2, [], [])


def test_an_instrument_goes_with_the_last_image_that_was_taken_with_it(bench):
    instrument = bench.add("Instrument")
    images = [bench.image(instrument=instrument) for _ in range(2)]
    bench.delete(images[0])
    assert bench.exists(instrument) == [True]
    bench.delete(images[1])
    assert bench.exists(instrument) == [False]


# -- containers


def test_a_dataset_takes_its_images(bench):
    project, dataset, image = (
        bench.add("Project", name="p"),
        bench.add("Dataset", name="d"),
        bench.image(),
    )
    bench.link(project, dataset)
    bench.link(dataset, image)
    bench.delete(project)
    assert bench.exists(project, dataset, image) == [False, False, False]


def test_an_image_that_another_dataset_has_stays(bench):
    datasets = [bench.add("Dataset", name="d") for _ in range(2)]
    image = bench.image()
    links = [bench.link(dataset, image) for dataset in datasets]
    bench.delete(datasets[0])
    assert bench.exists(image, *links) == [True, False, True]
    bench.delete(datasets[1])
    assert bench.exists(image) == [False]


def test_images_of_datasets_that_are_deleted_together_go(bench):
    datasets = [bench.add("Dataset", name="d") for _ in range(2)]
    image = bench.image()
    for dataset in datasets:
        bench.link(dataset, image)
    bench.delete(*datasets)
    assert bench.exists(image) == [False]


def test_a_dataset_that_another_project_has_keeps_its_images(bench):
    projects = [bench.add("Project", name="p") for _ in range(2)]
    dataset, image = bench.add("Dataset", name="d"), bench.image()
    for project in projects:
        bench.link(project, dataset)
    bench.link(dataset, image)
    bench.delete(projects[0])
    assert bench.exists(dataset, image) == [True, True]


def test_a_link_alone_leaves_both_ends(bench):
    dataset, image = bench.add("Dataset", name="d"), bench.image()
    link = bench.link(dataset, image)
    bench.delete(link)
    assert bench.exists(link, dataset, image) == [False, True, True]


def test_a_field_whose_image_is_in_a_dataset_leaves_the_image(bench):
    plate = bench.plate(wells=1)
    dataset = bench.add("Dataset", name="d")
    image = omero.model.ImageI(bench.ids("Image")[0], False)
    bench.link(dataset, image)
    bench.delete(plate)
    assert bench.exists(plate, image) == [False, True]


def test_a_region_in_a_folder_outlives_its_image(bench):
    image, folder = bench.image(), bench.add("Folder", name="f")
    roi = bench.roi(image)
    bench.link(folder, roi)
    bench.delete(image)
    assert bench.exists(image, roi) == [False, True]
    assert bench.ids("Roi", "o.image is null") == [roi.id.val]


# -- options


@pytest.mark.parametrize("told", ["Image", "ImageI", "omero.model.ImageI", "ome.model.core.Image"])
def test_excluded_types_stay(bench, told):
    dataset, image = bench.add("Dataset", name="d"), bench.image()
    bench.link(dataset, image)
    bench.delete(dataset, options=bench.option(excludeType=[told]))
    assert bench.exists(dataset, image) == [False, True]


def test_included_types_go_though_somebody_else_holds_them(bench):
    datasets = [bench.add("Dataset", name="d") for _ in range(2)]
    image = bench.image()
    for dataset in datasets:
        bench.link(dataset, image)
    bench.delete(datasets[0], options=bench.option(includeType=["Image"]))
    assert bench.exists(datasets[1], image) == [True, False]


def test_a_dry_run_says_what_would_go_and_leaves_everything(bench):
    dataset, image = bench.add("Dataset", name="d"), bench.image()
    bench.link(dataset, image)
    told = bench.delete(dataset, dryRun=True).deletedObjects
    assert bench.exists(dataset, image) == [True, True]
    assert bench.delete(dataset).deletedObjects == told
    assert bench.exists(dataset, image) == [False, False]


def test_ignored_types_neither_go_nor_hold(bench):
    image, tag = bench.image(), bench.add("CommentAnnotation", textValue="c")
    bench.link(image, tag)
    response = bench.delete(image, typesToIgnore=["ImageAnnotationLink"])
    assert message(response) == "cannot null ome.model.annotations.ImageAnnotationLink.parent"
    assert bench.exists(image) == [True]


# -- annotations


def test_own_tags_go_with_the_last_object_that_has_them(bench):
    images, tag = [bench.image(), bench.image()], bench.add("TagAnnotation", textValue="t")
    for image in images:
        bench.link(image, tag)
    bench.delete(images[0])
    assert bench.exists(tag) == [True]
    bench.delete(images[1])
    assert bench.exists(tag) == [False]


def test_tags_stay_if_they_are_excluded(bench):
    image, tag = bench.image(), bench.add("TagAnnotation", textValue="t")
    bench.link(image, tag)
    bench.delete(image, options=bench.option(excludeType=["TagAnnotation"]))
    assert bench.exists(image, tag) == [False, True]


def test_a_tag_whose_link_is_deleted_stays_and_a_map_annotation_goes(bench):
    image = bench.image()
    tag, pairs = bench.add("TagAnnotation", textValue="t"), bench.add("MapAnnotation")
    links = [bench.link(image, tag), bench.link(image, pairs)]
    bench.delete(*links)
    assert bench.exists(image, tag, pairs) == [True, True, False]


def test_a_file_goes_with_its_last_annotation(bench):
    file = bench.add("OriginalFile", name="f", path="/")
    notes = [bench.add("FileAnnotation", file=file) for _ in range(2)]
    bench.delete(notes[0])
    assert bench.exists(file) == [True]
    bench.delete(notes[1])
    assert bench.exists(file) == [False]


def test_a_deleted_file_takes_its_annotation(bench):
    file = bench.add("OriginalFile", name="f", path="/")
    note, image = bench.add("FileAnnotation", file=file), bench.image()
    bench.link(image, note)
    bench.delete(file)
    assert bench.exists(file, note, image) == [False, False, True]


def test_companion_files_go_though_file_annotations_are_excluded(bench):
    image = bench.image()
    notes = [
        bench.add("FileAnnotation", ns=ns)
        for ns in ("openmicroscopy.org/omero/import/companionFile", "mine")
    ]
    for note in notes:
        bench.link(image, note)
    bench.delete(image, options=bench.option(excludeType=["FileAnnotation"]))
    assert bench.exists(*notes) == [False, True]


def test_only_annotations_of_a_namespace_are_excluded(bench):
    image = bench.image()
    notes = [bench.add("MapAnnotation", ns=ns) for ns in ("a", "b")]
    for note in notes:
        bench.link(image, note)
    bench.delete(image, options=bench.option(excludeType=["MapAnnotation"], includeNs=["a"]))
    assert bench.exists(*notes) == [True, False]


def test_comments_of_others_go_and_their_tags_and_files_stay(lab):
    owner, other = lab("read-annotate")
    image = owner.image()
    comment, tag = (
        other.add("CommentAnnotation", textValue="c"),
        other.add("TagAnnotation", textValue="t"),
    )
    for note in (comment, tag):
        other.link(image, note)
    assert isinstance(owner.delete(image), omero.cmd.OK)
    assert other.exists(comment, tag) == [False, True]


# -- what is refused


def test_an_image_of_a_field_is_not_deleted_alone(bench):
    bench.plate(wells=1)
    image, sample = bench.ids("Image")[0], bench.ids("WellSample")[0]
    response = bench.delete(omero.model.ImageI(image, False))
    assert message(response) == (
        f"may not delete Image[{image}] while WellSample[{sample}] remains"
    )
    assert bench.ids("Image") == [image]


def test_images_of_a_fileset_go_together_or_not_at_all(bench):
    fileset = bench.add("Fileset", templatePrefix="x")
    images = [bench.image(fileset=fileset) for _ in range(2)]
    first, second = (image.id.val for image in images)
    assert message(bench.delete(images[0])) == (
        f"within Fileset[{fileset.id.val}] may not delete "
        f"Image[{first}] while Image[{second}] remains"
    )
    assert isinstance(bench.delete(*images), omero.cmd.OK)
    assert bench.exists(fileset, *images) == [False, False, False]


def test_a_dataset_with_a_part_of_a_fileset_leaves_the_images(bench):
    fileset, dataset = bench.add("Fileset", templatePrefix="x"), bench.add("Dataset", name="d")
    images = [bench.image(fileset=fileset) for _ in range(2)]
    bench.link(dataset, images[0])
    assert isinstance(bench.delete(dataset), omero.cmd.OK)
    assert bench.exists(dataset, fileset, *images) == [False, True, True, True]


def test_what_is_not_there_can_not_be_deleted(bench):
    response = bench.delete(omero.model.ImageI(123456789, False))
    text = "cannot read all the specified objects of class ome.model.core.Image"
    assert message(response) == text


def test_what_others_hide_is_not_there(lab):
    owner, other = lab("private")
    image = owner.image()
    assert message(other.delete(image)).startswith("cannot read all")
    assert owner.exists(image) == [True]


@pytest.mark.parametrize("level", ["read-only", "read-annotate"])
def test_objects_of_others_are_not_deleted_where_members_may_not_write(lab, level):
    owner, other = lab(level)
    image = owner.image()
    assert message(other.delete(image)) == (
        f"not permitted to delete ome.model.core.Image[{image.id.val}]"
    )
    assert owner.exists(image) == [True]


def test_objects_of_others_are_deleted_where_members_may_write(lab):
    owner, other = lab("read-write")
    image = owner.image()
    assert isinstance(other.delete(image), omero.cmd.OK)
    assert owner.exists(image) == [False]


@pytest.mark.parametrize("level", ["private", "read-only"])
def test_an_owner_of_the_group_deletes_objects_of_its_members(lab, level):
    member, leader = lab(level, 1, leads=True)
    image = member.image()
    assert isinstance(leader.delete(image), omero.cmd.OK)
    assert member.exists(image) == [False]


def test_a_container_leaves_images_that_the_caller_may_not_delete(lab):
    mine, other, leader = lab("read-annotate", 2, leads=True)
    dataset, image = mine.add("Dataset", name="d"), other.image()
    link = leader.link(dataset, image)
    assert isinstance(mine.delete(dataset), omero.cmd.OK)
    assert other.exists(dataset, link, image) == [False, False, True]


def test_a_tag_that_others_use_is_not_deleted(lab):
    mine, other = lab("read-annotate")
    image, tag = other.image(), mine.add("TagAnnotation", textValue="t")
    mine.link(image, tag)
    assert message(mine.delete(tag)) == (
        f"may not delete TagAnnotation[{tag.id.val}] while Image[{image.id.val}] remains"
    )
    assert mine.exists(tag) == [True]


def test_types_that_nobody_deletes_are_no_targets(bench):
    response = bench.submit(omero.cmd.Delete2({"Experimenter": [0]}))
    assert not isinstance(response, omero.cmd.GraphException)
    assert isinstance(response, omero.cmd.ERR)
    assert response.name == "bad-target"
    assert response.parameters["message"] == "cannot target Experimenter"


def test_a_request_that_fails_leaves_everything(bench):
    bench.plate(wells=2)
    dataset = bench.add("Dataset", name="d")
    images = [omero.model.ImageI(one, False) for one in bench.ids("Image")]
    response = bench.delete(dataset, images[0])
    assert isinstance(response, omero.cmd.ERR)
    assert bench.exists(dataset, *images) == [True, True, True]


# -- one object alone


def test_update_service_deletes_what_nothing_points_at(bench):
    update = bench.conn.getUpdateService()
    dataset = bench.add("Dataset", name="d")
    link = bench.link(dataset, bench.image())
    with pytest.raises(omero.ValidationException, match="DatasetImageLink"):
        update.deleteObject(dataset)
    update.deleteObject(link)
    update.deleteObject(dataset)
    assert bench.exists(link, dataset) == [False, False]


def test_update_service_deletes_nothing_of_others(lab):
    owner, other = lab("read-only")
    dataset = owner.add("Dataset", name="d")
    with pytest.raises(omero.SecurityViolation):
        other.conn.getUpdateService().deleteObject(dataset)


# -- requests of requests


def test_the_head_of_a_graph_is_skipped(bench):
    dataset, image = bench.add("Dataset", name="d"), bench.image()
    bench.link(dataset, image)
    skip = omero.cmd.SkipHead(
        bench.targets(dataset), startFrom=["Image"], request=omero.cmd.Delete2()
    )
    response = bench.submit(skip)
    assert response.deletedObjects["ome.model.core.Image"] == [image.id.val]
    assert bench.exists(dataset, image) == [True, False]


def test_of_several_requests_all_or_none_are_done(bench):
    datasets = [bench.add("Dataset", name="d") for _ in range(2)]
    good, bad = (
        omero.cmd.Delete2(bench.targets(*datasets[:1])),
        omero.cmd.Delete2({"Image": [123456]}),
    )
    response = bench.submit(omero.cmd.DoAll([good, bad]))
    assert isinstance(response, omero.cmd.GraphException)
    assert bench.exists(*datasets) == [True, True]
    response = bench.submit(
        omero.cmd.DoAll([good, omero.cmd.Delete2(bench.targets(*datasets[1:]))])
    )
    assert [type(one) for one in response.responses] == [omero.cmd.Delete2Response] * 2
    assert bench.exists(*datasets) == [False, False]


def test_an_object_is_saved_by_a_request(bench):
    dataset = omero.model.DatasetI()
    dataset.name = rstring("saved by a request")
    response = bench.submit(omero.cmd.DoAll([omero.api.Save(dataset)])).responses[0]
    assert bench.exists(response.obj) == [True]


def test_an_object_that_can_not_be_saved_fails_the_request(bench):
    response = bench.submit(omero.api.Save(omero.model.DatasetI()))
    assert isinstance(response, omero.cmd.ERR)
    assert (response.name, response.category) == ("failed", "::omero::api::Save")
    assert "Dataset.name" in response.parameters["message"]


def test_a_request_that_fails_is_marked(bench):
    request = omero.cmd.Delete2({"Image": [123456789]})
    callback = bench.conn.c.submit(request, loops=100, ms=50, failonerror=False)
    assert callback.isFailure()
    assert callback.isCancelled()
    callback.close(closeHandle=True)


def test_the_types_that_a_request_is_about_are_told(bench):
    response = bench.submit(omero.cmd.LegalGraphTargets(omero.cmd.Delete2()))
    assert "ome.model.core.Image" in response.targets
    assert "ome.model.meta.Experimenter" not in response.targets
