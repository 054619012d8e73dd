"""Quality runs and reports over a screen in OMERO: a report a plate, one overview, and undo."""

from __future__ import annotations

import contextlib
import itertools
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("jinja2", reason="the extra 'report' is not installed")
pytest.importorskip("omero", reason="the extra 'omero' is not installed")

from omero.model import PermissionsI, PlateI, ScreenI, ScreenPlateLinkI
from omero.rtypes import rstring

from omero_hcs.errors import NotAllowedError
from omero_hcs.model import ObjectRef
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.settings import Settings
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.make_report import make_report
from omero_hcs.tasks.undo_run import undo_run
from omero_hcs.tasks.verbs import apply_qc, train_qc

EVIL = "<script>alert('x')</script>"
FILES = ("gallery", "heatmap", "report")
FOR_ALL = ("overview.html", "overview.png")


@pytest.fixture(scope="module")
def model(tmp_path_factory, write_plate_once):
    """A model, trained once on a small plate on disk."""
    folder = tmp_path_factory.mktemp("model")
    plate = write_plate_once(folder / "small.zarr", 6)
    names = itertools.cycle(("normal", "blurred"))
    rows = [
        dict.fromkeys(LABEL_COLUMNS, "")
        | {"well": f"A{well:02d}", "field": 0, "z": 0, "t": 0, "y": at, "x": at}
        | {"label": next(names)}
        for well in range(1, 7)
        for at in (16, 48, 80)
    ]
    (folder / "labels.csv").write_text(Table.from_rows(rows).to_csv())
    given = {"encoder": "mobilenetv3_small_050", "weights": "random", "crop_size": "24px"}
    train_qc(
        plate,
        labels=str(folder / "labels.csv"),
        output=str(folder / "m.safetensors"),
        settings=Settings(state_dir=folder / "state", models_dir=folder / "models"),
        **given,
    )
    return str(folder / "m.safetensors")


@pytest.fixture
def screen(omero_user, omero_conn, omero_put, omero_way_in, memory):
    """A screen of two plates with images and one without; its id, and those of the plates."""
    ids = [omero_put(omero_user, memory(wells).store) for wells in (3, 2)]
    omero_way_in(omero_user)
    update, number = omero_conn.getUpdateService(), ids[0].screen
    empty = PlateI()
    empty.name = rstring(EVIL)
    empty = update.saveAndReturnObject(empty).id.val
    for plate in (ids[1].plate, empty):
        link = ScreenPlateLinkI()
        link.parent, link.child = ScreenI(number, False), PlateI(plate, False)
        update.saveObject(link)
    return SimpleNamespace(id=number, plates=[one.plate for one in ids], empty=empty)


@pytest.fixture
def judge(model, settings):
    return lambda uri, **more: apply_qc(
        uri, model=model, weights="random", settings=settings, **more
    )


@pytest.fixture
def attached(rows_of):
    """Names of our files on an object, without the runs in them."""
    return lambda kind, number: sorted(name for name, _ in rows_of(kind, number))


@pytest.fixture
def rows_of(omero_conn):
    def ask(kind, number):
        notes = omero_conn.getObject(kind, number).listAnnotations(ns="omero-hcs/file")
        found = [(note.getFile().getName(), note.getDescription()) for note in notes]
        return [(name, told) for name, told in found if not name.endswith(".zip")]

    return ask


def page_of(uri, run_id, name):
    with contextlib.closing(open_store(uri)) as store:
        target = store.screens()[0].ref
        return store.fetch(run_id, name, target=target)


def test_a_run_leaves_a_report_a_plate_and_one_overview_and_undo_takes_all(
    screen, judge, settings, omero_uri, rows_of
):
    uri = omero_uri(f"screen/{screen.id}")
    done = judge(uri)
    assert done.status == "done"
    told = dict(rows_of("Screen", screen.id))
    assert sorted(told) == [f"overview-{done.run_id}.{end}" for end in ("html", "png")]
    assert all(text.startswith("Quality check: overview of screen") for text in told.values())
    for plate in screen.plates:
        names = sorted(name for name, _ in rows_of("Plate", plate))
        assert [name.partition("-")[0] for name in names] == list(FILES)
    page = page_of(uri, done.run_id, "overview.html").decode()
    assert "it has no images" in page
    assert EVIL not in page
    assert "href=" not in page.partition("<main>")[2]  # no address of the web is set
    assert page_of(uri, done.run_id, "overview.png").startswith(b"\x89PNG")
    assert judge(uri).how == "answered"
    undo_run(done.run_id, settings=settings)
    assert rows_of("Screen", screen.id) == rows_of("Plate", screen.plates[0]) == []


def test_an_overview_leads_to_the_pages_of_the_web(
    screen, judge, omero_uri, monkeypatch, omero_conn
):
    monkeypatch.setenv("OMERO_HCS_OMERO_WEB", "https://omero.example.org/")
    uri = omero_uri(f"screen/{screen.id}")
    run = judge(uri).run_id
    page = page_of(uri, run, "overview.html").decode()
    web = "https://omero.example.org/webclient"
    notes = omero_conn.getObject("Plate", screen.plates[0]).listAnnotations(ns="omero-hcs/file")
    (report,) = [n.getId() for n in notes if n.getFile().getName() == f"report-{run}.html"]
    assert f'href="{web}/?show=plate-{screen.plates[0]}"' in page
    assert f'href="{web}/annotation/{report}/"' in page
    with contextlib.closing(open_store(uri)) as store:
        plate = ObjectRef(kind="plate", id=str(screen.plates[0]))
        told = store.fetch(run, "report.html", target=plate).decode()
        first = next(store.plate(plate.id).sites()).image.id
    assert f'href="{web}/?show=image-{first}"' in told
    assert f'href="{web}/?show=well-' in told


def test_reports_made_again_replace_those_of_the_run(screen, judge, omero_uri, attached):
    uri = omero_uri(f"screen/{screen.id}")
    done = judge(uri)
    before = [attached("Screen", screen.id), attached("Plate", screen.plates[0])]
    made = make_report(uri)
    assert made.run_id == done.run_id
    assert [plate.name for plate in made.plates] == ["small", "small"]
    assert made.places[0].endswith(f"/screen/{screen.id}")
    assert [attached("Screen", screen.id), attached("Plate", screen.plates[0])] == before


@pytest.mark.slow
def test_plates_of_several_runs_have_an_overview_that_is_made_again_by_itself(
    screen, judge, omero_uri, attached, tmp_path
):
    uri = omero_uri(f"screen/{screen.id}")
    run = judge(omero_uri(f"plate/{screen.plates[0]}")).run_id
    made = make_report(uri)
    assert (made.run_id, len(made.without)) == (run, 2)
    first = attached("Screen", screen.id)
    assert len(first) == len(FOR_ALL)
    make_report(uri)
    assert attached("Screen", screen.id) == first
    out = make_report(uri, output=tmp_path / "out")
    assert (tmp_path / "out" / "overview.html").is_file()
    assert (tmp_path / "out" / "report.html").is_file()
    assert attached("Screen", screen.id) == first
    assert all(place.startswith(str(tmp_path)) for place in out.places)


@pytest.mark.slow
def test_a_report_of_anothers_run_stands_beside_it_and_can_be_undone(
    screen, judge, omero_uri, omero_user, omero_second_user, omero_way_in, rows_of
):
    uri = omero_uri(f"plate/{screen.plates[0]}")
    done = judge(uri)
    theirs = rows_of("Plate", screen.plates[0])
    omero_way_in(omero_second_user)
    for _ in range(2):
        make_report(uri)
        mine = [row for row in rows_of("Plate", screen.plates[0]) if row not in theirs]
        assert len(mine) == len(FILES)
    run = mine[0][0].removeprefix(mine[0][0].partition("-")[0] + "-").rpartition(".")[0]
    undo_run(run, where=uri)
    assert rows_of("Plate", screen.plates[0]) == theirs
    omero_way_in(omero_user)
    undo_run(done.run_id, where=uri)
    assert rows_of("Plate", screen.plates[0]) == []


def test_a_screen_that_may_not_be_annotated_is_told_before_anything_is_read(
    screen, judge, omero_uri, omero_root, omero_user, omero_second_user, omero_way_in, ledger
):
    admin = omero_root.getAdminService()
    admin.changePermissions(admin.getGroup(omero_user.groups[0].id), PermissionsI("rwr---"))
    omero_way_in(omero_second_user)
    with pytest.raises(NotAllowedError, match=rf"1 screen, such as Screen {screen.id}"):
        judge(omero_uri(f"screen/{screen.id}"))
    assert ledger.runs() == []
