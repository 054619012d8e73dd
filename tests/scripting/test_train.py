"""A quality model taught and used by scripts, through OMERO's own processor."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

import omero
from omero.rtypes import unwrap

from omero_hcs.sandbox.importer import import_plate
from omero_hcs.scripting.answers import LONGEST
from tests.scripting.test_bad_input import draw, tiny


def models_of(conn):
    service = conn.getScriptService()
    params = service.getParams(service.getScriptID("/hcs/Check_Plate_Quality.py"))
    return unwrap(params.inputs["Model"].values)


@pytest.fixture
def taught(script_people, script_connect, click):
    """Ada and Bob, two plates of theirs that Bob labelled, and what the training of Ada said."""
    group = script_people.make_group("read-annotate")
    ada, bob = (script_people.make_user(group) for _ in range(2))
    conns = script_connect(ada), script_connect(bob)
    plates = [
        import_plate(conns[0], tiny(f"taught {number}", fields=4), screen="Taught").plate
        for number in range(2)
    ]
    for plate in plates:
        draw(conns[1], plate)
    said = click(
        conns[0], "Train_Quality_Model", Data_Type="Plate", IDs=plates, Model_Name="shapes",
        Labels="roi", More_Settings=True, Head="knn",
    )  # fmt: skip
    return conns, plates, bob, said


@pytest.mark.slow
def test_a_model_is_taught_on_two_plates_and_judges_one_of_them(taught, click):
    (ada, second), plates, bob, said = taught
    assert said.code == 0, said
    assert said.error == ""
    assert "was trained on 12 abnormal, 12 normal cells of plates" in said.message
    assert f"(by {bob.name}: 12 abnormal, 12 normal)" in said.message
    assert "Tested on wells held out: F1 " in said.message
    (model,) = (name for name in models_of(ada) if " shapes (" in name)
    assert model in models_of(second)
    kept = said.outputs["Model"].val.id.val
    assert model.startswith(f"omero:{kept} ")
    for plate in plates:
        notes = ada.getObject("Plate", plate).listAnnotations(ns="omero-hcs/model")
        assert kept in [note.getId() for note in notes]

    given = {"Data_Type": "Plate", "IDs": plates[:1], "Model": model}
    judged = click(ada, "Check_Plate_Quality", **given)
    assert judged.code == 0, judged
    assert judged.error == ""
    assert judged.message.startswith(f"Judged 12 cells in 4 fields of plate {plates[0]} 'taught 0'")
    assert "model 'shapes'; by the " in judged.message
    assert "channels DNA; nuclei from DNA; its one plane; time 1" in judged.message
    assert len(judged.message) <= LONGEST
    assert {"Plate", "Report", "Heat_Map"} <= set(judged.outputs)
    assert judged.outputs["Heat_Map"].val.file.mimetype.val == "image/png"  # OMERO.web shows it

    again = click(second, "Check_Plate_Quality", **given)
    assert again.code == 0, again
    assert again.message.startswith("This was done before, by run ")
    assert set(again.outputs) == set(judged.outputs)


def test_the_server_takes_no_model_that_is_not_listed(script_user, script_connect, click):
    conn = script_connect(script_user)
    with pytest.raises(omero.ValidationException, match="Model"):
        click.start(
            conn, "Check_Plate_Quality", Data_Type="Plate", IDs=[1], Model="../../etc/passwd"
        )
