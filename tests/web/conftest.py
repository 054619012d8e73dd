"""OMERO.web in a browser without a window: a server with a plate, people, a model and our scripts.

Pictures of what was seen are kept in the folder that OMERO_HCS_TEST_SCREENSHOTS names. Where a test
fails, what the browser showed and said, and what OMERO.web and the server logged, is kept in
build/browser.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver

from omero_hcs.model import StoreSpec
from omero_hcs.sandbox import launch, web
from omero_hcs.sandbox.address import Address
from omero_hcs.sandbox.demo import COLLEAGUE, USER, Demo, add_colleague, connect, fill
from omero_hcs.sandbox.labelling import draw_regions
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.scripting.folder import scripts_folder
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore
from omero_hcs.tasks import train_qc
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.truth import draw_labels
from tests.web.pages import Person

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip
SIZE = (1280, 800)
"""Of what is seen: the frame of the window comes on top."""
SIDES = ("Width", "Height")
PLATE = SimulationSettings(wells=6, fields=1, size_y=384, size_x=384, artefact_fraction=0.5)
LABELS_EACH = 12
MODEL = "nuclei"
HELLO = """
import omero.scripts as scripts

client = scripts.client("Say_Hello.py", "Says hello.")
client.closeSession()
"""
KEPT = Path("build/browser")


@dataclass(frozen=True)
class Site:
    """What the browser looks at; `model` is the model as scripts take it."""

    sandbox: launch.Sandbox
    web: web.Web
    plate: Demo
    model: str
    drawn: int


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A server with a plate that a colleague labelled, a model, our scripts, and OMERO.web."""
    pytest.importorskip("torch", reason="the extra 'ml' is not installed")
    home, scripts = tmp_path_factory.mktemp("processor"), tmp_path_factory.mktemp("scripts")
    shutil.copytree(scripts_folder(), scripts, dirs_exist_ok=True)
    (scripts / "facility").mkdir()  # a menu that has but one folder is shown without it
    (scripts / "facility" / "Say_Hello.py").write_text(HELLO)
    empty = {name: "" for name in os.environ if name.startswith(("XDG_", "OMERO_HCS_"))}
    variables = {**empty, "HOME": str(home)}
    with contextlib.ExitStack() as stack:
        box = stack.enter_context(launch.start(scripts=scripts, environment=variables))
        source = stack.enter_context(SimulatedSource(settings=PLATE))
        page = stack.enter_context(web.start_web(box))
        demo = fill(box, source)
        labels = draw_labels(source.truth, plate="", each=LABELS_EACH, rng=np.random.default_rng(1))
        with contextlib.closing(connect(box, add_colleague(box))) as colleague:
            drawn = draw_regions(colleague, demo.plate, labels)
        model = teach(box, demo.plate, tmp_path_factory.mktemp("taught"))
        yield Site(box, page, demo, model, drawn)


def teach(box, plate, folder) -> str:
    """Train a model on the drawn regions, attach it to the plate, and return its id there."""
    with contextlib.closing(connect(box, USER)) as conn:
        session = Session.of_client(conn.c)
        settings = Settings(state_dir=folder, models_dir=folder, threads=1)
        params = train_qc.Params(labels="roi", name=MODEL, head="knn", upload=True)
        outcome = run_task(
            "train_qc",
            f"omero://{session.server}/plate/{plate}",
            params,
            settings=settings,
            opener=lambda where: OmeroStore(_spec(where), session=session, settings=settings),
        )
    return outcome.summary["in OMERO"]


def _spec(where) -> StoreSpec:
    return where if isinstance(where, StoreSpec) else StoreSpec(uri=str(where))


@pytest.fixture(scope="session")
def address(site) -> Address:
    """The server."""
    return Address(site.sandbox.host, site.sandbox.port, "root", site.sandbox.password, True)


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """One browser for all tests: who looks is another matter."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):  # selenium would download them
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    made.set_window_size(*SIZE)
    frame = [made.execute_script(f"return window.outer{of} - window.inner{of}") for of in SIDES]
    made.set_window_size(*np.add(SIZE, frame).tolist())
    try:
        yield made
    finally:
        made.quit()


@pytest.fixture
def person(site, driver, request):
    """Log somebody in: ``person("demo")``; at the end he is logged out."""
    pictures = os.environ.get("OMERO_HCS_TEST_SCREENSHOTS")
    made: list[Person] = []

    def log_in(name: str = USER, password: str = site.sandbox.password) -> Person:
        made.append(Person(driver, site, Path(pictures) if pictures else None))
        made[-1].log_in(name, password)
        return made[-1]

    yield log_in
    if getattr(request.node, "failed", False):
        keep(driver, site, request.node.name)
    for one in made:
        one.log_out()


def keep(driver: Any, site: Site, name: str) -> None:
    """Keep what there is to find out why a test failed."""
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, window in enumerate(driver.window_handles):
        driver.switch_to.window(window)
        driver.save_screenshot(str(folder / f"window-{number}.png"))
        (folder / f"window-{number}.html").write_text(driver.page_source)
    log = "\n".join(f"{entry['level']} {entry['message']}" for entry in driver.get_log("browser"))
    (folder / "browser.log").write_text(log)
    for file in (site.sandbox.log, *site.web.log.parent.glob("*.log")):
        shutil.copy(file, folder / file.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let fixtures see that their test failed."""
    report = yield
    if report.failed:
        item.failed = True
    return report


@pytest.fixture
def colleague(person):
    """The second user of the group."""
    return person(COLLEAGUE)
