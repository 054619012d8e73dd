"""Quality control's speed: training and judging by each head, against a plain PyTorch loop.

The plain loop is what one would write first, with the same network, images and schedule: a
DataLoader that resizes each crop, and a pass through the whole network in every epoch, for a frozen
encoder too. Its epochs are all alike, so a few are timed and the rest is multiplied.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import timm
import torch
from bench_embed import best
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from omero_hcs.imaging.crop import crop_cells
from omero_hcs.imaging.normalize import IntensitySurvey, normalize
from omero_hcs.learning.device import describe_device, pick_device, use_threads
from omero_hcs.learning.finetune import PAPER, FineTuneLearner
from omero_hcs.learning.learners import FrozenLearner
from omero_hcs.learning.linear import EPOCHS
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.simulate.plate import simulate_site
from omero_hcs.tasks.labelled import Labelled, LabelledParams, seen_by

SEED, LABELS, JUDGED, SIDE = 1, 350, 1000, 63
TIMED = 2  # epochs that are timed
BATCH = 32


def measure() -> dict[str, Any]:
    """Time every head, and the loop, on the device that `OMERO_HCS_DEVICE` names."""
    own = load_settings().values
    use_threads(own.threads)
    device = pick_device(own.device)
    labelled = _crops()
    taught, judged = np.arange(LABELS), np.arange(LABELS, len(labelled.crops))
    found = {
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "labels": LABELS,
        "crops judged": len(judged),
        "crop": f"3 x {SIDE} x {SIDE} px, into Lite0 at 128 px",
        "gpu": "measured" if device.type == "cuda" else "not measured: none was lent",
    }
    rows = [_frozen(labelled, head, taught, judged, device) for head in ("knn", "linear")]
    rows.append(_frozen(labelled, "logistic", taught, judged, device, plain=False))
    rows.append(_tuned(labelled, taught, judged, device))
    return found | {"heads": rows}


def _crops() -> Labelled:
    """Crops of a simulated plate about its true centres; labels do not matter here."""
    settings = SimulationSettings(wells=96, seed=SEED)
    survey, crops = IntensitySurvey(["DNA", "actin", "reporter"]), []
    site = 0
    while sum(map(len, crops)) < LABELS + JUDGED:
        field = simulate_site(settings, 0, site)
        image = field.pixels[0, :, 0]
        survey.add(image, field.nuclei > 0)
        centers = np.stack([field.truth["y"], field.truth["x"]], axis=1)
        crops.append(crop_cells(image, centers, size=SIDE))
        site += 5
    shown = normalize(np.concatenate(crops)[: LABELS + JUDGED], survey.qc(), headroom=True)
    names = np.where(np.arange(len(shown)) % 2, "abnormal", "normal")
    wells = np.array([str(place % 20) for place in range(len(shown))])
    return Labelled(
        name="simulated",
        crops=shown,
        table=Table({"label": names, "group": wells}),
        classes=("normal", "abnormal"),
        channels=("DNA", "actin", "reporter"),
    )


def _frozen(
    labelled: Labelled,
    head: str,
    taught: NDArray[Any],
    judged: NDArray[Any],
    device: torch.device,
    *,
    plain: bool = True,
) -> dict[str, Any]:
    """Time a head on frozen features; training is from crops to head."""
    params = LabelledParams(head=head, seed=SEED)
    some = replace(labelled, crops=labelled.crops[taught], table=labelled.table.where(taught))
    groups = some.table["group"]
    embedder = seen_by(some, params).embedder

    def train() -> FrozenLearner:
        features = embedder.embed(some.crops)
        learner = FrozenLearner(params.new_head, features, some.numbers, 2, groups)
        learner.taught(taught, seed=0)
        return learner

    trained = train().taught(taught, seed=0)
    rest = labelled.crops[judged]
    ours = (
        best(train),
        len(rest) / best(lambda: trained.predict_proba(embedder.embed(rest))),
    )
    if not plain:
        return _row(head, ours, None)
    epochs = 1 if head == "knn" else EPOCHS
    loop = _Loop(device, tunes=False)
    return _row(head, ours, loop.timed(some, rest, epochs))


def _tuned(
    labelled: Labelled, taught: NDArray[Any], judged: NDArray[Any], device: torch.device
) -> dict[str, Any]:
    """Time a few epochs of fine-tuning, and what judges afterwards."""
    some = replace(labelled, crops=labelled.crops[taught], table=labelled.table.where(taught))
    view = seen_by(some, LabelledParams(head="linear", seed=SEED))
    learners = [
        FineTuneLearner(
            view.encoder, view.embedder.recipe, some.crops, some.numbers, 2,
            replace(PAPER, epochs=epochs),
        )
        for epochs in (1, 1 + TIMED)
    ]  # fmt: skip
    few, more = (_seconds(lambda own=own: own.taught(taught, seed=0)) for own in learners)
    epoch = (more - few) / TIMED
    tuned = learners[0].taught(taught, seed=0)
    sees = type(view.embedder)(tuned.encoder, recipe=view.embedder.recipe, precision="fp32")
    rest = labelled.crops[judged]
    speed = len(rest) / best(lambda: tuned.head.predict_proba(sees.embed(rest)))
    loop = _Loop(device, tunes=True)
    ours = (few + (PAPER.epochs - 1) * epoch, speed)
    return _row("finetune", ours, loop.timed(some, rest, PAPER.epochs))


def _row(head: str, ours: tuple[float, float], plain: tuple[float, float] | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "head": head,
        "training, s": round(ours[0], 2),
        "crops judged a second": round(ours[1]),
    }
    if plain is None:
        return row
    return row | {
        "plain loop: training, s": round(plain[0], 2),
        "plain loop: crops judged a second": round(plain[1]),
        "training speed-up": f"{plain[0] / ours[0]:.1f} x",
        "judging speed-up": f"{ours[1] / plain[1]:.1f} x",
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class _Crops(Dataset[tuple[Tensor, int]]):
    """Crops one by one, as a Dataset gives them."""

    def __init__(self, crops: NDArray[np.float32], labels: NDArray[Any]) -> None:
        self.crops, self.labels = np.minimum(crops, 1), labels

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        picture = torch.from_numpy(self.crops[row])[None]
        wide = functional.interpolate(picture, (128, 128), mode="bilinear", antialias=True)
        return (wide[0] - 0.5) / 0.5, int(self.labels[row])


class _Loop:
    """A loop of one's own: timm's network with a linear layer, float32."""

    def __init__(self, device: torch.device, *, tunes: bool) -> None:
        self.device, self.tunes = device, tunes
        network = timm.create_model("tf_efficientnet_lite0", num_classes=2)
        self.network = network.to(device)
        head = list(network.get_classifier().parameters())
        if not tunes:
            network.eval()
        self.optimizer = torch.optim.SGD(
            list(network.parameters()) if tunes else head, lr=1e-3, momentum=0.9
        )
        self.loss = nn.CrossEntropyLoss()

    def timed(self, some: Labelled, rest: NDArray[np.float32], epochs: int) -> tuple[float, float]:
        """Seconds that training takes, and crops judged a second."""
        loader = DataLoader(_Crops(some.crops, some.numbers), batch_size=BATCH, shuffle=True)
        self._epoch(loader)
        seconds = _seconds(lambda: [self._epoch(loader) for _ in range(TIMED)]) / TIMED
        return seconds * epochs, len(rest) / best(lambda: self._judge(rest))

    def _epoch(self, loader: DataLoader[tuple[Tensor, int]]) -> None:
        for pictures, labels in loader:
            self.optimizer.zero_grad()
            with torch.set_grad_enabled(self.tunes):
                features = self.network.forward_features(pictures.to(self.device))
                pooled = self.network.forward_head(features, pre_logits=True)
            logits = self.network.get_classifier()(pooled)
            self.loss(logits, labels.to(self.device)).backward()
            self.optimizer.step()

    def _judge(self, crops: NDArray[np.float32]) -> list[Tensor]:
        self.network.eval()
        loader = DataLoader(_Crops(crops, np.zeros(len(crops), int)), batch_size=64)
        with torch.no_grad():
            return [self.network(pictures.to(self.device)).cpu() for pictures, _ in loader]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
