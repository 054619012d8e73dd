import pytest

from omero_hcs.tasks.card_lines import calibration_bins, calibration_line, shown_card

KNOWN = {
    "temperature": 2.0,
    "labels": 350,
    "error_before": 0.0841,
    "error_after": 0.0334,
    "bins": [[30, 0.65, 0.6], [320, 0.97, 0.98]],
}


def card(count, **more):
    return {"labels": {"counts": {"normal": count - 9, "blur": 9}}, **more}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (card(350, calibration=KNOWN), "calibrated on 350 labels: error 0.08 -> 0.03"),
        (card(40, calibration=None), "uncalibrated: 40 labels, 50 are needed"),
        (
            card(90),
            "uncalibrated, as models of before are: train it again on its 90 labels",
        ),
    ],
)
def test_how_far_probabilities_can_be_trusted_is_told(given, line):
    assert calibration_line(given) == line
    assert shown_card(given)["calibration"] == line


def test_a_picture_is_drawn_of_calibrated_models_alone():
    assert calibration_bins(card(350, calibration=KNOWN)) == ((30, 0.65, 0.6), (320, 0.97, 0.98))
    assert calibration_bins(card(40, calibration=None)) == calibration_bins(card(90)) == ()


def test_examples_are_counted():
    shown = shown_card(card(40, examples={"label": ["blur"] * 30}))
    assert shown["examples"] == "30 labelled cells, with a picture each"


def test_labels_are_counted_instead_of_listed():
    given = card(40)
    given["labels"]["provenance"] = {"label": ["blur"] * 40, "user": ["ann"] * 40}
    labels = shown_card(given)["labels"]
    assert "provenance" not in labels
    assert labels["listed"].startswith("40, with who, when")
