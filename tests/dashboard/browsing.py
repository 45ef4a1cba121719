"""A headless Chromium that does on the dashboard's pages what a person would do."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import JavascriptException, NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
)

WIDE, PHONE = (1280, 900), (390, 844)


class Browser:
    """One tab. Whatever is looked for is waited for."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        self.driver.get(address)

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme: str) -> None:
        """As the system's setting of light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def find(self, selector: str, text: str = "", seconds: float = 20.0) -> WebElement:
        """The first element that can be seen of this selector whose text holds `text`."""

        def look() -> WebElement | None:
            found = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return next((each for each in found if each.is_displayed() and text in each.text), None)

        found = self.until(look, f"{selector} with {text!r}", seconds)
        assert isinstance(found, WebElement)
        return found

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
        found: list[str] = self.run(script, selector)
        return found

    def click(self, selector: str, text: str = "") -> None:
        def clicked() -> bool:
            self.find(selector, text).click()
            return True

        self.until(clicked, f"a click on {selector} with {text!r}")

    def type(self, keys: str) -> None:
        """Where the keyboard's focus is."""
        self.driver.switch_to.active_element.send_keys(keys)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, true: Callable[[], object], what: str, seconds: float = 20.0) -> object:
        end = time.monotonic() + seconds
        while True:
            try:
                if found := true():
                    return found
            except (NoSuchElementException, StaleElementReferenceException, JavascriptException):
                pass  # the page was drawn anew meanwhile
            assert time.monotonic() < end, f"waited in vain for {what}; the page says: {self.texts('body')}"
            time.sleep(0.1)

    def complaints(self) -> list[str]:
        """What the browser's console has of errors; a server that is away or asks for a token is none of the page's."""
        lines = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        severe = [each["message"] for each in lines if each["level"] == "SEVERE"]
        expected = ("ERR_CONNECTION", "401 (Unauthorized)", "503 (Service Unavailable)")
        return [each for each in severe if not any(text in each for text in expected)]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own; the test is skipped where there is none."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no Chromium: apt install chromium chromium-driver")
    with tempfile.TemporaryDirectory(prefix="visutility-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            browser = Browser(driver)
            browser.resize(*WIDE)
            yield browser
        finally:
            driver.quit()
