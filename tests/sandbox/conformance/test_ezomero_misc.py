"""The rest of ezomero: links, print-outs, connections; and that no public function was left out."""

from __future__ import annotations

import ast
from pathlib import Path

import ezomero
from ezomero import _importer as importer

# They start Java with OMERO's own importer, or ask OMERO.web.
ELSEWHERE = {"ezimport"}


def test_every_public_function_is_called_by_a_test_here():
    called = set()
    for file in Path(__file__).parent.glob("test_ezomero_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ezomero":
                called.add(node.attr)
    assert set(ezomero.__all__) - called == ELSEWHERE


def test_links_are_made_once_each(omero_conn, named, new_image):
    project, dataset, image = named("Project"), named("Dataset"), new_image().getId()
    ezomero.link_datasets_to_project(omero_conn, [dataset], project)
    ezomero.link_images_to_dataset(omero_conn, [image], dataset)
    assert ezomero.get_image_ids(omero_conn, project=project) == [image]
    screen, plate = named("Screen"), named("Plate")
    ezomero.link_plates_to_screen(omero_conn, [plate], screen)
    assert ezomero.get_plate_ids(omero_conn, screen=screen) == [plate]


def test_print_outs(omero_conn, omero_user, named, capsys):
    project, orphan = named("Project", "printed project"), named("Dataset", "printed dataset")
    ezomero.print_projects(omero_conn)
    ezomero.print_datasets(omero_conn)
    ezomero.print_groups(omero_conn)
    keys = ezomero.post_map_annotation(omero_conn, "Project", project, {"drug": "taxol"}, "ns")
    ezomero.print_map_annotation(omero_conn, keys)
    printed = capsys.readouterr().out
    for text in ("printed project", "printed dataset", omero_user.groups[0].name, "taxol"):
        assert text in printed
    assert orphan


def test_connect_takes_the_user_to_his_group(omero_server, omero_user):
    conn = ezomero.connect(
        omero_user.name,
        omero_user.password,
        omero_user.groups[0].name,
        omero_server.host,
        omero_server.port,
        secure=True,
    )
    try:
        assert conn.getEventContext().groupId == omero_user.groups[0].id
    finally:
        conn.close()


def test_connect_answers_none_to_a_wrong_password(omero_server, omero_user):
    group = omero_user.groups[0].name
    place = (omero_server.host, omero_server.port)
    assert ezomero.connect(omero_user.name, "wrong", group, *place, secure=True) is None


def test_stored_parameters_are_used_to_connect(omero_server, omero_user, tmp_path):
    ezomero.store_connection_params(
        omero_user.name,
        omero_user.groups[0].name,
        omero_server.host,
        omero_server.port,
        secure=True,
        web_host=False,
        config_path=str(tmp_path),
    )
    conn = ezomero.connect(password=omero_user.password, config_path=str(tmp_path))
    try:
        assert conn.getUserId() == omero_user.id
    finally:
        conn.close()


def test_what_an_import_prepares(omero_conn, new_image):
    project = importer.set_or_create_project(omero_conn, "by name")
    assert importer.set_or_create_project(omero_conn, project) == project
    dataset = importer.set_or_create_dataset(omero_conn, project, "by name")
    assert ezomero.get_dataset_ids(omero_conn, project=project) == [dataset]
    screen = importer.set_or_create_screen(omero_conn, "by name")
    assert ezomero.get_screen_ids(omero_conn) == [screen]
    ids = [new_image().getId(), new_image().getId()]
    keys = importer.multi_post_map_annotation(omero_conn, "Image", ids, {"a": "b"}, "ns")
    assert [ezomero.get_map_annotation_ids(omero_conn, "Image", i) for i in ids] == [[keys]] * 2
