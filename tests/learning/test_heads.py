import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from omero_hcs.errors import InputError, LabelError
from omero_hcs.learning.heads import HEADS, make_head
from omero_hcs.learning.lessons import weights_of_classes

KINDS = list(HEADS)


@pytest.fixture
def separable():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    features = rng.normal(size=(60, 64)).astype(np.float32)
    features[np.arange(60)[:, None], 8 * labels[:, None] + np.arange(8)] += 2
    return features, labels


@pytest.mark.parametrize("kind", KINDS)
def test_heads_learn_what_can_be_learnt(kind, separable):
    features, labels = separable
    head = make_head(kind).fit(features[::2], labels[::2], seed=1)
    proba = head.predict_proba(features[1::2])
    assert proba.dtype == np.float32
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert (proba.argmax(axis=1) == labels[1::2]).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_heads_come_back_from_what_they_gave(kind, separable):
    features, labels = separable
    head = make_head(kind).fit(features, labels)
    again = type(head).from_state(head.config(), head.tensors())
    assert np.array_equal(again.predict_proba(features), head.predict_proba(features))
    assert head.faults(head.tensors(), classes=3) == []
    assert head.faults(head.tensors(), classes=2)
    assert head.faults({}, classes=3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_head(kind, separable):
    first, second = (make_head(kind).fit(*separable, seed=7).tensors() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_labels_here_keeps_its_column(kind, separable):
    features, labels = separable
    few = labels != 1
    head = make_head(kind).fit(features[few], labels[few], classes=3)
    proba = head.predict_proba(features)
    assert proba.shape == (60, 3)
    assert proba[:, 1].max() < 0.5


@pytest.mark.parametrize("kind", KINDS)
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


@pytest.mark.parametrize("kind", KINDS)
def test_rare_classes_count_alike_unless_told_otherwise(kind):
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], [180, 20])
    features = (rng.normal(size=(200, 8)) + 0.8 * labels[:, None]).astype(np.float32)
    fresh = (rng.normal(size=(200, 8)) + 0.8).astype(np.float32)
    found = {}
    for how in ("balanced", "none"):
        head = make_head(kind, class_weights=how).fit(features, labels)
        again = type(head).from_state(head.config(), head.tensors())
        assert np.array_equal(head.predict_proba(fresh), again.predict_proba(fresh))
        found[how] = (head.predict_proba(fresh).argmax(axis=1) == 1).mean()
    assert found["balanced"] > 0.7
    assert found["none"] < found["balanced"] - 0.15


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 7, 20])
def test_any_number_of_classes(kind, classes):
    rng = np.random.default_rng(classes)
    labels = np.repeat(np.arange(classes), 12)
    middles = rng.normal(size=(classes, 48))
    features = (middles[labels] + rng.normal(scale=0.4, size=(len(labels), 48))).astype(np.float32)
    head = make_head(kind).fit(features[::2], labels[::2], groups=np.tile(np.arange(6), classes))
    proba = head.predict_proba(features[1::2])
    assert proba.shape == (len(labels) // 2, classes)
    assert (proba.argmax(axis=1) == labels[1::2]).mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_cells_that_all_look_the_same_are_told(kind):
    features = np.tile(np.linspace(-3, 3, 16, dtype=np.float32), (20, 1))
    with pytest.raises(InputError, match="All 20 labelled cells look the same"):
        make_head(kind).fit(features, np.tile([0, 1], 10))


def test_neighbours_of_models_of_before_class_weights_and_means_vote_as_they_did():
    features = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    learnt = make_head("knn").fit(features, np.repeat([0, 1], [35, 5])).tensors()
    del learnt["mean"]
    old, new = (
        HEADS["knn"].from_state({"k": 5, **more}, learnt)
        for more in ({}, {"class_weights": "balanced"})
    )
    fresh = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    plain = KNeighborsClassifier(5, weights="distance", algorithm="brute")
    plain.fit(learnt["features"], learnt["labels"])
    unit = fresh / np.linalg.norm(fresh, axis=1, keepdims=True)
    np.testing.assert_allclose(old.predict_proba(fresh), plain.predict_proba(unit), atol=1e-6)
    assert new.predict_proba(fresh)[:, 1].mean() > 2 * old.predict_proba(fresh)[:, 1].mean()


def test_what_all_cells_share_does_not_make_them_near():
    rng = np.random.default_rng(4)
    labels = np.tile([0, 1], 30)
    features = rng.normal(scale=0.2, size=(60, 16)).astype(np.float32)
    features[:, 3] += np.where(labels, 0.4, -0.4)
    near, far = (
        make_head("knn").fit(shifted[:30], labels[:30]).predict_proba(shifted[30:])
        for shifted in (features, features + 50)
    )
    np.testing.assert_allclose(near, far, atol=0.02)
    assert (far.argmax(axis=1) == labels[30:]).mean() > 0.8


def test_logistic_regression_is_as_strict_as_the_labels_ask(separable):
    features, labels = separable
    wells = np.tile(np.arange(10), 6)
    noise = np.random.default_rng(9).normal(size=features.shape).astype(np.float32)
    clear = make_head("logistic").fit(features, labels, groups=wells).config()["strength"]
    none = make_head("logistic").fit(noise, labels, groups=wells).config()["strength"]
    assert none < clear


def test_logistic_regression_is_that_of_the_library(separable):
    """Turning the features, of which there are more than labels, changes nothing."""
    features, labels = np.tile(separable[0], 4), separable[1]
    head = make_head("logistic", strength=0.1).fit(features, labels)
    x = (features - features.mean(axis=0)) / np.sqrt(features.var(axis=0).mean())
    weights = dict(enumerate(weights_of_classes(labels, 3)))
    plain = LogisticRegression(C=0.1, class_weight=weights, max_iter=1000).fit(x, labels)
    np.testing.assert_allclose(head.predict_proba(features), plain.predict_proba(x), atol=1e-3)


def test_a_well_of_its_own_does_not_choose_the_strength():
    """A feature that gives the well away looks good until wells are kept apart."""
    rng = np.random.default_rng(3)
    wells = np.repeat(np.arange(12), 10)
    labels = rng.permutation(np.repeat([0, 1], 6))[wells]
    features = rng.normal(size=(12, 64))[wells].astype(np.float32)
    apart, leaking = (
        make_head("logistic").fit(features, labels, groups=groups).config()["strength"]
        for groups in (wells, None)
    )
    assert apart < leaking


def test_unknown_heads_and_options_are_refused():
    with pytest.raises(InputError, match=r"no head 'svm'.*knn, linear, logistic"):
        make_head("svm")
    with pytest.raises(InputError, match="does not take these options: depth"):
        make_head("knn", depth=3)
    with pytest.raises(InputError, match="0 neighbours"):
        make_head("knn", k=0)
    with pytest.raises(InputError, match="no class weights 'rare'"):
        make_head("linear", class_weights="rare")
    with pytest.raises(InputError, match="0 epochs"):
        make_head("linear", epochs=0)


def test_good_cells_count_as_much_as_all_kinds_of_bad_ones():
    labels = np.repeat([0, 1, 2, 3], [40, 10, 5, 25])
    weights = weights_of_classes(labels, 5)
    assert weights[4] == 0
    shares = np.bincount(labels, weights=weights[labels])
    np.testing.assert_allclose(shares, [40, 40 / 3, 40 / 3, 40 / 3])
    np.testing.assert_allclose(weights_of_classes(labels[:50], 2), [50 / 80, 50 / 20])
    np.testing.assert_allclose(weights_of_classes(labels[40:], 4)[1:], [4 / 3, 8 / 3, 8 / 15])


@pytest.mark.parametrize("kind", ["knn", "linear", "logistic"])
def test_many_kinds_of_artefacts_raise_no_false_alarms(kind):
    """Were each of eight kinds as probable as good cells, linear called 95 % of these bad."""
    rng = np.random.default_rng(8)
    labels = np.concatenate([np.zeros(160, int), np.repeat(np.arange(1, 9), 20)])
    features = rng.normal(size=(320, 16)).astype(np.float32)
    features[np.arange(160, 320), labels[160:]] += 3.0
    head = make_head(kind).fit(features[::2], labels[::2])
    called = head.predict_proba(features[1::2]).argmax(axis=1)
    good = labels[1::2] == 0
    assert (called[good] > 0).mean() < 0.3
    assert (called[~good] > 0).mean() > 0.5
