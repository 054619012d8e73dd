"""What a person sees and does in OMERO.web, waiting for each thing to be there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as seen
from selenium.webdriver.support.ui import Select, WebDriverWait

HUNG_SECONDS = 60
LONG_SECONDS = 240
"""A script that judges six fields on a machine that others use, too."""

HEADING = "#general_tab .data_heading h1"
PANES = ("keyvaluepairs", "tables", "tags", "attachments")
IDLE = "return typeof jQuery === 'undefined' || jQuery.active === 0"
ALL_THERE = """
return Array.from(document.querySelectorAll(arguments[0]))
  .filter(picture => picture.complete && picture.naturalWidth >= 48).length;
"""


class Person:
    """A user of OMERO.web at a browser.

    Parameters
    ----------
    driver : WebDriver
        The browser.
    site : Site
        Server and OMERO.web.
    pictures : Path or None
        Folder of what was seen.
    """

    def __init__(self, driver: Any, site: Any, pictures: Path | None) -> None:
        self.driver, self.site, self.pictures = driver, site, pictures
        self.name = ""
        self.page = ""

    # Waiting and looking

    def wait(self, condition: Any, seconds: float = HUNG_SECONDS) -> Any:
        return WebDriverWait(self.driver, seconds).until(condition)

    def settle(self) -> None:
        """Wait until the page has asked for nothing more."""
        self.wait(lambda driver: driver.execute_script(IDLE))

    def find(self, css: str) -> Any:
        return self.wait(seen.presence_of_element_located((By.CSS_SELECTOR, css)))

    def click(self, css: str) -> None:
        self.wait(seen.element_to_be_clickable((By.CSS_SELECTOR, css))).click()

    def texts(self, css: str) -> list[str]:
        return [one.text for one in self.driver.find_elements(By.CSS_SELECTOR, css)]

    def picture(self, name: str) -> None:
        """Keep what is seen now, if somebody wants to see it."""
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    # Coming and going

    def log_in(self, name: str, password: str) -> None:
        self.name = name
        self.driver.delete_all_cookies()
        self.driver.get(f"{self.site.web.url}webclient/login/")
        self.find("input[name=username]").send_keys(name)
        self.find("input[name=password]").send_keys(password)
        self.picture(f"login-{name}")
        self.find("input[type=submit]").click()
        self.find("#dataTree li")
        self.page = self.driver.current_window_handle

    def log_out(self) -> None:
        for window in self.driver.window_handles:
            if window != self.page:
                self.driver.switch_to.window(window)
                self.driver.close()
        self.driver.switch_to.window(self.page)
        self.driver.get(f"{self.site.web.url}webclient/logout/")

    # Selecting

    def select(self, what: str) -> None:
        """Open the tree at an object such as "plate-1", and wait for what is shown of it."""
        kind, number = what.split("-")
        told = re.compile(rf"{kind} ID:\s*{number}\b", re.IGNORECASE)
        self.driver.get(f"{self.site.web.url}webclient/?show={what}")
        self.wait(lambda driver: told.search(self._general(driver)))
        self.settle()

    @staticmethod
    def _general(driver: Any) -> str:
        script = "return document.querySelector('#general_tab')?.innerText ?? ''"
        return str(driver.execute_script(script))

    def see_wells(self, count: int) -> None:
        wells = "#spw td.well img"
        self.wait(lambda driver: driver.execute_script(ALL_THERE, wells) == count)

    def select_wells(self, count: int) -> list[str]:
        """Select the first wells of the plate that is shown, as with the Ctrl key held down."""
        images = self.driver.find_elements(By.CSS_SELECTOR, "#spw td.well img")[:count]
        images[0].click()
        for image in images[1:]:
            keys = self._keys().key_down(Keys.CONTROL).click(image).key_up(Keys.CONTROL)
            keys.perform()
        self.settle()
        chosen = self.driver.find_elements(By.CSS_SELECTOR, "#spw td.well.ui-selected")
        return [one.get_attribute("id").removeprefix("well-") for one in chosen]

    def _keys(self) -> Any:
        from selenium.webdriver import ActionChains  # noqa: PLC0415

        return ActionChains(self.driver)

    # The right panel

    def open_panes(self) -> None:
        """Open what is closed of tags, key-values, attachments and, of a well or image, tables."""
        for name in PANES:
            closed = f"#general_tab h1.closed[data-name={name}]"
            if self.driver.find_elements(By.CSS_SELECTOR, closed):
                self.click(closed)
                self.settle()

    def right_panel(self) -> dict[str, Any]:
        """What the right panel says of what is selected."""
        rows = self.driver.find_elements(By.CSS_SELECTOR, "#general_tab table.keyValueTable tr")
        cells = [row.find_elements(By.CSS_SELECTOR, "td") for row in rows]
        return {
            "heading": " ".join(self.texts(HEADING)),
            "tags": self.texts("#tags_container a.tag_inner"),
            "pairs": {row[0].text: row[1].text for row in cells if len(row) > 1},
            "files": self.texts("#fileanns_container .file_ann_wrapper"),
            "text": self.find("#general_tab").text,
        }

    def facts(self) -> dict[str, str]:
        """What the right panel says of an image or a well, by the heading of the row."""
        script = """
        return Array.from(document.querySelectorAll("#general_tab tr"), row => [
          row.querySelector("th")?.textContent.trim(), row.querySelector("td")?.textContent.trim()
        ]).filter(pair => pair[0]);
        """
        return dict(self.driver.execute_script(script))

    def severe(self) -> list[str]:
        """What the browser complained of since it was asked last."""
        log = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def show_regions(self) -> None:
        """Show the regions of the image in the image viewer, where it is open."""
        self.wait(lambda driver: driver.execute_script(ALL_THERE, "#weblitz-viewport-img") == 1)
        self.click("#show-rois-a")
        self.find("#weblitz-viewport svg > *")
        self.settle()

    # Scripts

    def open_menu(self) -> list[str]:
        """Open the menu of our scripts, and return their names."""
        self.click("#scriptButton")
        folder = self.wait(
            seen.element_to_be_clickable((By.XPATH, "//*[@id='scriptList']//a[text()='hcs']"))
        )
        folder.click()
        names = "//*[@id='scriptList']//li[a[text()='hcs']]/ul/li[not(@class)]/a"
        self.wait(seen.visibility_of_any_elements_located((By.XPATH, names)))
        return [one.text for one in self.driver.find_elements(By.XPATH, names)]

    def open_dialog(self, script: str) -> Dialog:
        """Open a script's dialog from the menu, which is open."""
        entry = f"//*[@id='scriptList']//a[starts-with(text(), '{script}')]"
        self.wait(seen.element_to_be_clickable((By.XPATH, entry))).click()
        self.wait(seen.number_of_windows_to_be(2))
        (window,) = (one for one in self.driver.window_handles if one != self.page)
        self.driver.switch_to.window(window)
        self.find("#script_form #submit")
        return Dialog(self)

    def ask(self, script: str) -> Dialog:
        self.open_menu()
        return self.open_dialog(script)

    def back(self) -> None:
        self.driver.switch_to.window(self.page)

    def activity(self, seconds: float = LONG_SECONDS) -> Activity:
        """Wait until the latest activity has ended, and read what it says."""
        row = "#activities_content tr.script"
        self.wait(seen.presence_of_element_located((By.CSS_SELECTOR, row)))
        self.wait(
            lambda driver: not driver.find_elements(By.CSS_SELECTOR, f"{row}.in_progress"), seconds
        )
        self.settle()
        first = self.find(row)
        state = first.find_element(By.CSS_SELECTOR, ".activities_state img")
        buttons = first.find_elements(By.CSS_SELECTOR, ".menu_btns a")
        return Activity(
            title=first.find_element(By.CSS_SELECTOR, ".activity_title").text,
            message=first.find_element(By.CSS_SELECTOR, ".message").text,
            icon=state.get_attribute("src").rsplit("/", 1)[-1].partition("?")[0],
            buttons=tuple(" ".join(one.get_attribute("textContent").split()) for one in buttons),
        )

    def error_output(self) -> str:
        """What the latest activity wrote to its error output."""
        self.click("#activities_content .btn_view_error a")
        self.wait(seen.number_of_windows_to_be(2))
        (window,) = (one for one in self.driver.window_handles if one != self.page)
        self.driver.switch_to.window(window)
        return self.find("body").text

    def download(self, name: str, folder: Path) -> Path:
        """Download an attachment whose name begins so, from the right panel."""
        allowed = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
        link = f"//*[@id='fileanns_container']//a[starts-with(normalize-space(.), '{name}')]"
        self.wait(seen.element_to_be_clickable((By.XPATH, link))).click()
        self.wait(lambda _: any(one.suffix != ".crdownload" for one in folder.glob(f"{name}*")))
        (file,) = folder.glob(f"{name}*")
        return file

    def open_file(self, file: Path) -> None:
        """Open a file in a window of its own."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(file.as_uri())

    def close_window(self) -> None:
        self.driver.close()
        self.back()


@dataclass(frozen=True)
class Activity:
    """What Activities says of a script; `icon` is the name of the picture's file."""

    title: str
    message: str
    icon: str
    buttons: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        return self.icon == "success.png"


class Dialog:
    """A script's dialog, in a window of its own."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def value(self, name: str) -> str:
        return self._input(name).get_attribute("value")

    def choices(self, name: str) -> list[str]:
        return [one.text for one in Select(self._input(name)).options]

    def names(self) -> list[str]:
        inputs = self.person.driver.find_elements(
            By.CSS_SELECTOR, "#script_form .param :is(input, select)"
        )
        return [one.get_attribute("name") for one in inputs]

    def choose(self, name: str, first: str) -> None:
        """Choose the value of a list that begins so."""
        (value,) = (one for one in self.choices(name) if one.startswith(first))
        Select(self._input(name)).select_by_visible_text(value)

    def fill(self, **given: str | bool) -> None:
        for name, value in given.items():
            field = self._input(name)
            if field.tag_name == "select":
                Select(field).select_by_value(str(value))
            elif isinstance(value, bool):
                if field.is_selected() is not value:
                    field.click()
            else:
                field.clear()
                field.send_keys(value)

    def run(self) -> None:
        """Press the button; the window closes itself."""
        self.person.find("#submit").click()
        self.person.wait(seen.number_of_windows_to_be(1))
        self.person.back()

    def cancel(self) -> None:
        self.person.close_window()

    def _input(self, name: str) -> Any:
        return self.person.find(f"#script_form [name={name}]")
