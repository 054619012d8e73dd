"""Random trees are saved, deleted in part and queried: what is left is what a simple model says."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DATASETS, IMAGES = 4, 5
LINKS = st.sets(st.tuples(st.integers(0, DATASETS - 1), st.integers(0, IMAGES - 1)), max_size=12)
DELETED = st.lists(
    st.tuples(st.sampled_from(("Dataset", "Image")), st.integers(0, 4)), min_size=1, max_size=6
)


class Model:
    """Datasets and the images in them; an image goes with the last dataset that has it."""

    def __init__(self, links):
        self.links = set(links)
        self.left = {("Dataset", n) for n in range(DATASETS)}
        self.left |= {("Image", n) for n in range(IMAGES)}

    def delete(self, kind, number):
        gone = {(kind, number)}
        if kind == "Dataset":
            inside = {image for dataset, image in self.links if dataset == number}
            held = {image for dataset, image in self.links if dataset != number}
            gone |= {("Image", image) for image in inside - held}
        self.left -= gone
        self.links = {
            (dataset, image)
            for dataset, image in self.links
            if ("Dataset", dataset) in self.left and ("Image", image) in self.left
        }


@pytest.fixture
def saved(bench):
    """Save the datasets, images and links of a model: objects by kind and number."""

    def save(links):
        made = {("Dataset", n): bench.add("Dataset", name=str(n)) for n in range(DATASETS)}
        made |= {("Image", n): bench.add("Image", name=str(n)) for n in range(IMAGES)}
        for dataset, image in sorted(links):
            bench.link(made["Dataset", dataset], made["Image", image])
        return made

    return save


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LINKS, DELETED)
def test_what_is_left_of_random_trees_is_what_the_model_says(bench, saved, links, deleted):
    made, model = saved(links), Model(links)
    ids = {key: one.id.val for key, one in made.items()}
    for kind, number in deleted:
        if (kind, number) in model.left:
            bench.delete(made[kind, number])
            model.delete(kind, number)
        left = {key for key in made if bench.exists(made[key]) == [True]}
        assert left == model.left
    query = "select l.parent.id, l.child.id from DatasetImageLink l"
    told = bench.conn.getQueryService().projection(query, None, bench.conn.SERVICE_OPTS)
    mine = {one for (kind, _), one in ids.items() if kind == "Dataset"}
    found = {(parent.val, child.val) for parent, child in told if parent.val in mine}
    assert found == {(ids["Dataset", one], ids["Image", other]) for one, other in model.links}
