import numpy as np

from omero_hcs.imaging.crop import crop_recipe
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.resize import resized


def test_an_encoder_sees_resized_crops_as_it_sees_them_itself(encoder, crops):
    embedder = Embedder(encoder, recipe=crop_recipe(2), precision="fp32")
    small = resized(crops, encoder.input_size)
    assert small.shape == (40, 2, 32, 32)
    assert np.allclose(embedder.embed(small), embedder.embed(crops), atol=1e-4)


def test_crops_of_that_size_are_left_as_they_are(crops):
    assert resized(crops, 21) is crops
