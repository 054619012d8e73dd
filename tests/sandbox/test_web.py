"""The real OMERO.web against the sandbox: its JSON API, and what people see in a browser."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as seen
from selenium.webdriver.support.ui import WebDriverWait

from omero_hcs.errors import InputError, SandboxError
from omero_hcs.sandbox import launch, web
from omero_hcs.sandbox.demo import USER, fill
from omero_hcs.sandbox.sources import SimulatedSource

PASSWORD = "open-sesame"  # noqa: S105
HUNG_SECONDS = 60
WELLS = 24
FIELDS = 2
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HEADING = (By.CSS_SELECTOR, "#general_tab .data_heading h1")


SCRIPT = """
import omero.scripts as scripts
from omero.rtypes import rlong, rstring

client = scripts.client(
    "Count_Wells.py", "Counts wells.",
    scripts.String("Data_Type", optional=False, grouping="1", values=[rstring("Plate")],
                   default="Plate"),
    scripts.List("IDs", optional=False, grouping="2").ofType(rlong(0)),
)
query = client.getSession().getQueryService()
plate = client.getInputs(unwrap=True)["IDs"][0]
found = query.projection(f"select count(w) from Well w where w.plate.id = {plate}", None)
client.setOutput("Message", rstring(f"{found[0][0].val} wells on it"))
client.closeSession()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A sandbox with the demo plate and a script, and OMERO.web on it."""
    scripts = tmp_path_factory.mktemp("scripts")
    (scripts / "hcs").mkdir()
    (scripts / "hcs" / "Count_Wells.py").write_text(SCRIPT)
    with (
        launch.start(password=PASSWORD, scripts=scripts) as sandbox,
        contextlib.closing(SimulatedSource()) as source,
        web.start_web(sandbox) as page,
    ):
        demo = fill(sandbox, source)
        yield SimpleNamespace(sandbox=sandbox, web=page, demo=demo, source=source)


class Api:
    """OMERO.web's JSON API, as a program with cookies uses it."""

    def __init__(self, url):
        self.base = f"{url}api/v0/"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))
        self.token = self.group = None

    def ask(self, path, data=None, *, method=None, content_type=None):
        url = path if path.startswith("http") else self.base + path
        headers = {"X-CSRFToken": self.token, "Referer": url} if self.token else {}
        if content_type:
            headers["Content-Type"] = content_type
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with self.opener.open(request, timeout=HUNG_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            pytest.fail(f"{url}: {error.code} {error.read().decode()}")

    def get(self, path):
        return self.ask(path)["data"]

    def save(self, what, *, method):
        path = f"m/save/?group={self.group}"
        body = json.dumps(what).encode()
        return self.ask(path, body, method=method, content_type="application/json")["data"]

    def log_in(self, user):
        self.token = self.get("token/")
        (server,) = self.get("servers/")
        form = {"username": user, "password": PASSWORD, "server": server["id"]}
        said = self.ask("login/", urllib.parse.urlencode(form).encode())
        self.group = said["eventContext"]["groupId"]
        return said["eventContext"]


@pytest.fixture(scope="module")
def api(site):
    """The JSON API, the owner of the demo plate logged in."""
    api = Api(site.web.url)
    context = api.log_in(USER)
    assert context["userName"] == USER
    assert context["groupName"] == site.demo.group
    return api


def test_the_server_has_the_name_that_programs_look_for(api):
    assert [server["server"] for server in api.get("servers/")] == ["omero"]


def test_the_api_walks_from_the_screen_to_an_image(site, api):
    (screen,) = api.get("m/screens/")
    (plate,) = api.get(f"m/screens/{screen['@id']}/plates/")
    assert plate["Name"] == site.source.plate.name
    (run,) = api.get(f"m/plates/{plate['@id']}/plateacquisitions/")
    wells = api.get(f"m/plates/{plate['@id']}/wells/")
    places = sorted((well["Row"], well["Column"]) for well in wells)
    assert places == [(well.row, well.column) for well in site.source.plate.wells]
    assert {len(well["WellSamples"]) for well in wells} == {FIELDS}
    image = wells[0]["WellSamples"][0]["Image"]
    whole = api.get(f"m/images/{image['@id']}/")
    pixels = whole["Pixels"]
    assert (pixels["SizeX"], pixels["SizeY"], pixels["SizeC"]) == (384, 384, 3)
    assert [channel["Name"] for channel in pixels["Channels"]] == ["DAPI", "FITC", "TRITC"]
    sampled = api.get(f"m/plateacquisitions/{run['@id']}/wellsampleindex/1/wells/")
    assert len(sampled) == WELLS


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("projects", 0), ("datasets", 0), ("screens", 1), ("plates", 1), ("wells", WELLS),
        ("images", WELLS * FIELDS), ("rois", 0), ("experimenters", None),
        ("experimentergroups", None),
    ],
)  # fmt: skip
def test_the_api_lists_objects_and_gives_each_by_its_id(api, kind, count):
    listed = api.ask(f"m/{kind}/?limit=500")
    assert count is None or len(listed["data"]) == count
    assert listed["meta"]["totalCount"] == len(listed["data"])
    for item in listed["data"][:1]:
        one = api.get(f"m/{kind}/{item['@id']}/")
        assert one["@type"] == item["@type"]
        assert one["@id"] == item["@id"]


def test_the_api_saves_renames_and_deletes(api):
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06#Project"
    project = api.save({"@type": schema, "Name": "new"}, method="POST")
    assert [item["Name"] for item in api.get("m/projects/")] == ["new"]
    api.save({**project, "Name": "renamed"}, method="PUT")
    url = f"m/projects/{project['@id']}/"
    assert api.get(url)["Name"] == "renamed"
    api.ask(url, method="DELETE")
    assert api.get("m/projects/") == []


class Pages:
    """OMERO.web's pages, as a browser without JavaScript asks for them."""

    def __init__(self, url, user):
        self.base = url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))
        page = self.get("webclient/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {"username": user, "password": PASSWORD, "server": 1, "csrfmiddlewaretoken": token}
        assert "Log in" not in self.get("webclient/login/", urllib.parse.urlencode(form).encode())

    def get(self, path, data=None):
        request = urllib.request.Request(self.base + path, data=data)  # noqa: S310
        try:
            with self.opener.open(request, timeout=HUNG_SECONDS) as answer:
                assert data or "login" in path or "/login/" not in answer.geturl()
                return answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            said = re.sub(r"<[^>]*>|\s+", " ", error.read().decode())
            pytest.fail(f"{path}: {error.code} {' '.join(said.split())[-1500:]}")


@pytest.fixture(scope="module")
def pages(site):
    """A user's pages, and root's."""
    return {USER: Pages(site.web.url, USER), "root": Pages(site.web.url, "root")}


@pytest.mark.parametrize("path", [
    "webclient/", "webclient/usertags/", "webclient/public/", "webclient/history/",
    "webclient/load_calendar/", "webclient/load_history/2026/11/21/",
    "webclient/load_searching/form/?query=DMSO&datatype=wells&field=annotation",
    "webclient/metadata_details/screen/1/", "webclient/metadata_details/plate/1/",
    "webclient/metadata_details/acquisition/1/", "webclient/metadata_details/well/1/",
    "webclient/metadata_details/image/1/", "webclient/metadata_details/tag/1/",
    "webclient/metadata_acquisition/image/1/", "webclient/metadata_acquisition/well/1/",
    "webclient/metadata_preview/well/1/", "webclient/metadata_hierarchy/image/1/",
    "webclient/batch_annotate/?well=1&well=2", "webclient/batch_annotate/?image=1&image=2",
    "webclient/annotate_tags/?well=1", "webclient/annotate_file/?well=1",
    "webclient/api/paths_to_object/?well=1", "webclient/api/annotations/?type=map&well=1",
    "webclient/api/tags/?id=2", "webclient/api/shares/", "webclient/list_scripts/",
    "webclient/activities_json/", "webclient/avatar/2/", "webclient/render_image_download/1/",
    "webgateway/imgData/1/", "webgateway/plate/1/0/", "webgateway/well/1/children/",
    "webgateway/get_thumbnails/96/?id=1&id=2", "webgateway/render_split_channel/1/0/0/",
    "webgateway/get_image_rdefs_json/1/", "webgateway/luts/", "webgateway/get_rois_json/1/",
    "webadmin/myaccount/", "webadmin/stats/",
])  # fmt: skip
def test_a_page_that_people_open_is_there(pages, path):
    assert pages[USER].get(path)


@pytest.mark.parametrize("path", [
    "webadmin/experimenters/", "webadmin/experimenter/new", "webadmin/experimenter/edit/2",
    "webadmin/groups/", "webadmin/group/new", "webadmin/group/edit/3", "webadmin/stats/",
    "webadmin/drivespace_json/groups/", "webadmin/drivespace_json/users/",
    "webclient/api/containers/?id=-1&group=3",
])  # fmt: skip
def test_a_page_that_administrators_open_is_there(pages, path):
    assert pages["root"].get(path)


def test_a_treatment_is_found_by_its_name(pages):
    search = "webclient/load_searching/form/?query=Translocin&datatype=wells&field=annotation"
    assert "well-" in pages[USER].get(search)


def test_what_it_asked_the_server_for_was_there(site, api, pages):
    del api, pages  # the tests above have asked
    assert "not implemented" not in site.sandbox.log.read_text()


def test_it_listens_on_the_loopback_alone_and_ends_whole(site):
    sandbox = site.sandbox
    with web.start_web(sandbox) as page:
        processes = [psutil.Process(page.pid), *psutil.Process(page.pid).children()]
        listening = [
            item.laddr.ip
            for process in processes
            for item in process.net_connections()
            if item.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}
        folder = page.log.parents[2]
        assert folder.is_relative_to(sandbox.home)
    assert not page.is_running
    assert not any(process.is_running() for process in processes)
    assert not folder.exists()


def test_a_port_that_is_taken_is_named_with_its_option(site):
    port = urllib.parse.urlsplit(site.web.url).port
    with pytest.raises(InputError, match=rf"Port {port} .* Pass --web-port"):
        web.start_web(site.sandbox, port=port)


def test_one_that_does_not_start_tells_why(site, monkeypatch):
    monkeypatch.setattr(web, "_PROCESS", "omero_hcs.sandbox.no_such_module")
    with pytest.raises(SandboxError, match=r"(?s)OMERO.web did not start.*no_such_module"):
        web.start_web(site.sandbox)


@pytest.fixture
def browser():
    """A browser without a window."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):  # selenium would download them
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    arguments = "--headless=new --no-sandbox --disable-dev-shm-usage --window-size=1500,950"
    for argument in arguments.split():
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def pictures(tmp_path):
    """Folder of what was seen, to be looked at by people, whether the tests passed or not."""
    folder = Path(os.environ.get("OMERO_HCS_TEST_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def seen_as(driver, folder, name):
    """Keep what the browser shows at the end, and what it complained of where that failed."""
    try:
        yield
    except BaseException:
        log = json.dumps(driver.get_log("browser"), indent=1)
        (folder / f"{name}.json").write_text(log)
        raise
    finally:
        driver.save_screenshot(str(folder / f"{name}.png"))


def wait_for(driver, condition):
    return WebDriverWait(driver, HUNG_SECONDS).until(condition)


def log_in(driver, site):
    driver.get(site.web.url)
    driver.find_element(By.NAME, "username").send_keys(USER)
    driver.find_element(By.NAME, "password").send_keys(PASSWORD)
    driver.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
    wait_for(driver, seen.presence_of_element_located((By.CSS_SELECTOR, "#dataTree li")))


BRIGHTNESS = """
return Array.from(document.querySelectorAll(arguments[0]), picture => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  if (!picture.complete || canvas.width < 48) { return 0; }
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return bytes.reduce((sum, value) => sum + value, 0) / bytes.length - 255 / 4;
});
"""


def are_drawn(count, selector):
    """A condition to wait for: so many pictures are there, and none of them is black."""

    def check(driver):
        found = driver.execute_script(BRIGHTNESS, selector)
        return len(found) == count and min(found) > 5

    return check


def text_of(driver, selector):
    return [one.text for one in driver.find_elements(By.CSS_SELECTOR, selector)]


@pytest.mark.slow
def test_people_see_the_plate_its_wells_and_its_images(site, browser, pictures):
    log_in(browser, site)
    for look in (look_at_the_plate, look_at_a_well, look_at_a_preview, look_at_an_image):
        with seen_as(browser, pictures, look.__name__):
            look(browser, site)
    severe = [item for item in browser.get_log("browser") if item["level"] == "SEVERE"]
    assert severe == []
    requests = site.web.log.with_name("requests.log").read_text()
    assert '" 500 ' not in requests
    assert "not implemented" not in site.sandbox.log.read_text()


def look_at_the_plate(driver, site):
    driver.get(f"{site.web.url}webclient/?show=plate-{site.demo.plate}")
    chosen = (By.CSS_SELECTOR, "#dataTree .jstree-clicked")
    wait_for(driver, seen.text_to_be_present_in_element(chosen, site.demo.plate_name))
    assert "Demo screen" in driver.find_element(By.ID, "dataTree").text
    wait_for(driver, are_drawn(WELLS, "#spw td.well img"))
    wait_for(driver, seen.text_to_be_present_in_element(HEADING, site.demo.plate_name))


def look_at_a_well(driver, site):
    control = site.source.plate.wells[0]
    driver.find_element(By.CSS_SELECTOR, "#spw td.well img").click()
    wait_for(driver, seen.text_to_be_present_in_element(HEADING, "A1"))
    for name in ("tags", "keyvaluepairs"):
        driver.find_element(By.CSS_SELECTOR, f"#general_tab h1[data-name={name}]").click()
    pairs = (By.CSS_SELECTOR, "#general_tab table.keyValueTable tbody tr")
    wait_for(driver, seen.visibility_of_element_located(pairs))
    shown = [row.split() for row in text_of(driver, pairs[1])]
    assert ["treatment", control.treatment] in shown
    assert ["role", control.role] in shown
    assert text_of(driver, "#tags_container a.tag_inner") == ["negative control"]


def look_at_a_preview(driver, site):
    driver.find_element(By.CSS_SELECTOR, "a[href='#preview_tab']").click()
    wait_for(driver, are_drawn(1, "#preview_tab #viewport-img"))


def look_at_an_image(driver, site):
    driver.get(driver.find_element(By.ID, "open_full_viewer").get_attribute("href"))
    wait_for(driver, are_drawn(1, "#weblitz-viewport-img"))
    for channel in ("DAPI", "FITC", "TRITC"):
        assert channel in driver.find_element(By.TAG_NAME, "body").text


@pytest.mark.slow
def test_people_run_a_script_on_the_plate_they_selected(site, browser, pictures):
    log_in(browser, site)
    for look in (look_at_the_plate, run_a_script, look_at_its_message):
        with seen_as(browser, pictures, look.__name__):
            look(browser, site)


def run_a_script(driver, site):
    page = driver.current_window_handle
    driver.find_element(By.ID, "scriptButton").click()
    menu = (By.XPATH, "//*[@id='scriptList']//a[contains(., 'Count Wells')]")
    entry = wait_for(driver, seen.presence_of_element_located(menu))
    driver.execute_script("arguments[0].click()", entry)  # it opens only under the mouse
    wait_for(driver, seen.number_of_windows_to_be(2))
    driver.switch_to.window(next(one for one in driver.window_handles if one != page))
    ids = wait_for(driver, seen.presence_of_element_located((By.NAME, "IDs")))
    assert ids.get_attribute("value") == str(site.demo.plate)
    driver.find_element(By.CSS_SELECTOR, "input[type=submit]").click()
    driver.switch_to.window(page)


def look_at_its_message(driver, site):
    driver.find_element(By.ID, "launch_activities").click()
    told = (By.ID, "activities_content")
    wait_for(driver, seen.text_to_be_present_in_element(told, f"{WELLS} wells on it"))
