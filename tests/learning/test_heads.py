import numpy as np
import pytest

from omero_hcs.errors import InputError, LabelError
from omero_hcs.learning.heads import make_head


@pytest.fixture
def separable():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    features = rng.normal(size=(60, 64)).astype(np.float32)
    features[np.arange(60)[:, None], 8 * labels[:, None] + np.arange(8)] += 2
    return features, labels


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_heads_learn_what_can_be_learnt(kind, separable):
    features, labels = separable
    head = make_head(kind).fit(features[::2], labels[::2], seed=1)
    proba = head.predict_proba(features[1::2])
    assert proba.dtype == np.float32
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert (proba.argmax(axis=1) == labels[1::2]).mean() > 0.9


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_heads_come_back_from_what_they_gave(kind, separable):
    features, labels = separable
    head = make_head(kind).fit(features, labels)
    again = type(head).from_state(head.config(), head.tensors())
    assert np.array_equal(again.predict_proba(features), head.predict_proba(features))
    assert head.faults(head.tensors(), classes=3) == []
    assert head.faults(head.tensors(), classes=2)
    assert head.faults({}, classes=3)


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_the_same_seed_gives_the_same_head(kind, separable):
    first, second = (make_head(kind).fit(*separable, seed=7).tensors() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_a_class_without_labels_here_keeps_its_column(kind, separable):
    features, labels = separable
    few = labels != 1
    head = make_head(kind).fit(features[few], labels[few], classes=3)
    proba = head.predict_proba(features)
    assert proba.shape == (60, 3)
    assert proba[:, 1].max() < 0.5


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_faults_in_what_is_given_are_named(kind, separable):
    features, labels = separable
    head = make_head(kind)
    with pytest.raises(LabelError, match="not learnt anything"):
        head.predict_proba(features)
    with pytest.raises(LabelError, match="of one class"):
        head.fit(features, np.zeros(60, dtype=int))
    with pytest.raises(InputError, match="do not fit together"):
        head.fit(features, labels[:-1])
    with pytest.raises(LabelError, match="there are 2 classes"):
        head.fit(features, labels, classes=2)
    broken = features.copy()
    broken[4, 2] = np.nan
    with pytest.raises(InputError, match="1 of 60 cells have features that are no numbers"):
        head.fit(broken, labels)
    head.fit(features, labels)
    with pytest.raises(InputError, match="1 of 60 cells"):
        head.predict_proba(broken)
    assert head.predict_proba(features[:0]).shape == (0, 3)


def test_knn_needs_as_many_labels_as_neighbours():
    with pytest.raises(LabelError, match="There are 4 labels, and kNN asks 5"):
        make_head("knn").fit(np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1]))


def test_knn_is_certain_of_cells_it_has_seen_and_graded_between(separable):
    features, labels = separable
    head = make_head("knn").fit(features, labels)
    assert np.allclose(head.predict_proba(features)[np.arange(60), labels], 1)
    between = (features[:1] + features[-1:]) / 2
    assert 0 < head.predict_proba(between).max() < 1 or labels[0] == labels[-1]


def test_linear_head_counts_rare_classes_alike():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], [95, 5])
    features = (rng.normal(size=(100, 8)) + labels[:, None]).astype(np.float32)
    head = make_head("linear").fit(features, labels)
    fresh = (rng.normal(size=(200, 8)) + 1).astype(np.float32)
    assert (head.predict_proba(fresh).argmax(axis=1) == 1).mean() > 0.7


def test_unknown_heads_and_options_are_refused():
    with pytest.raises(InputError, match=r"no head 'svm'.*knn, linear"):
        make_head("svm")
    with pytest.raises(InputError, match="does not take these options: depth"):
        make_head("knn", depth=3)
    with pytest.raises(InputError, match="0 neighbours"):
        make_head("knn", k=0)
    with pytest.raises(InputError, match="0 epochs"):
        make_head("linear", epochs=0)
