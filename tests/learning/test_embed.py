import threading

import numpy as np
import pytest
import torch

from omero_hcs.errors import InputError
from omero_hcs.imaging.crop import crop_recipe
from omero_hcs.learning.embed import PREFETCHED_ITEMS, Embedder
from omero_hcs.learning.measures import crop_measures

RECIPE = crop_recipe(2)


def embedder(encoder, batch_size=16, recipe=RECIPE, precision="fp32"):
    return Embedder(encoder, recipe=recipe, batch_size=batch_size, precision=precision)


def cut(crops, sizes):
    ends = np.cumsum(sizes)
    return [
        (f"field {index}", crops[end - size : end])
        for index, (end, size) in enumerate(zip(ends, sizes, strict=True))
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_features_do_not_depend_on_the_batch_shape(encoder, crops, batch_size):
    expected = embedder(encoder, 40).embed(crops)
    assert np.allclose(embedder(encoder, batch_size).embed(crops), expected, atol=1e-4)


@pytest.mark.parametrize("sizes", [(3, 0, 20, 1, 16), (0, 0, 40), (1,) * 40, (40, 0)])
def test_batches_are_filled_across_fields_and_the_order_is_kept(encoder, crops, sizes):
    expected = embedder(encoder, 40).embed(crops)
    items = cut(crops, sizes)
    found = list(embedder(encoder).stream(items))
    assert [key for key, _ in found] == [key for key, _ in items]
    assert [len(features) for _, features in found] == list(sizes)
    assert np.allclose(np.concatenate([features for _, features in found]), expected, atol=1e-4)


def test_no_field_and_no_cell_give_nothing(encoder, crops):
    assert list(embedder(encoder).stream([])) == []
    assert embedder(encoder).embed(crops[:0]).shape == (0, encoder.dim)


def test_fields_of_other_crop_sizes_may_follow(encoder, crops):
    items = [("a", crops[:5]), ("b", crops[5:9, :, :15, :15]), ("c", crops[9:12])]
    found = dict(embedder(encoder).stream(items))
    for key, given in items:
        assert np.allclose(found[key], embedder(encoder).embed(given), atol=1e-4)


def test_each_stain_alone_gives_longer_features(encoder, crops):
    recipe = crop_recipe(2, "concat")
    features = embedder(encoder, recipe=recipe).embed(crops)
    first = embedder(encoder, recipe=crop_recipe(1)).embed(crops[:, :1])
    assert features.shape == (40, 2 * encoder.dim)
    assert np.allclose(features[:, : encoder.dim], first, atol=1e-4)


@pytest.mark.parametrize("kind", ["composite", "concat"])
def test_measures_come_after_the_features_of_their_own_crop(encoder, crops, kind):
    recipe = crop_recipe(2, kind)
    crops = crops * 2  # with headroom
    plain = embedder(encoder, recipe=recipe).embed(np.minimum(crops, 1))
    joined = Embedder(encoder, recipe=recipe, batch_size=16, precision="fp32", measures=True)
    (_, first), (_, second) = joined.stream(cut(crops, (23, 17)))
    features = np.concatenate([first, second])
    assert features.shape == (40, joined.dim)
    assert np.allclose(features[:, : plain.shape[1]], plain, atol=1e-4)
    expected = crop_measures(torch.from_numpy(crops)).numpy()
    assert np.allclose(features[:, plain.shape[1] :], expected, atol=1e-4)
    assert joined.embed(crops[:0]).shape == (0, joined.dim)


def test_an_exception_comes_after_the_fields_before_it(encoder, crops):
    def items():
        yield "a", crops[:3]
        yield "b", crops[3:5]
        msg = "disk on fire"
        raise OSError(msg)

    keys = []
    stream = embedder(encoder).stream(items())
    with pytest.raises(OSError, match="disk on fire"):
        keys.extend(key for key, _ in stream)
    assert keys == ["a", "b"]
    assert not prefetch_threads()


def test_wrong_channels_are_refused_after_the_fields_before_them(encoder, crops):
    stream = embedder(encoder).stream([("a", crops[:2]), ("b", crops[:2, :1])])
    assert next(stream)[0] == "a"
    with pytest.raises(InputError, match="the recipe asks for"):
        next(stream)


def test_closing_stops_the_thread_and_the_reader(encoder, crops):
    closed = threading.Event()
    made = []

    def items():
        try:
            for index in range(1000):
                made.append(index)
                yield index, crops[:16]
        finally:
            closed.set()

    stream = embedder(encoder).stream(items())
    assert next(stream)[0] == 0
    stream.close()
    assert closed.is_set()
    assert not prefetch_threads()
    assert len(made) <= PREFETCHED_ITEMS + 4  # bounded: never far ahead of what is used


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_precision_is_told(encoder):
    assert embedder(encoder).precision == "fp32"
    assert embedder(encoder, precision="bf16").precision == "bf16"
    with pytest.raises(InputError, match="0 pictures"):
        embedder(encoder, 0)
