"""A browser without a window, spoken to in its own protocol (CDP)."""

import base64
import contextlib
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from websockets.sync import client

BINARY = shutil.which("chromium")
AXE = pathlib.Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE, DESKTOP = (390, 844), (1280, 900)
WITHIN_S = 60


class Page:
    """One tab."""

    def __init__(self, connection: client.ClientConnection, session: str) -> None:
        self._connection, self._session, self._numbers = connection, session, itertools.count(1)

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(order | ({"sessionId": self._session} if self._session else {})))
        while (answer := json.loads(self._connection.recv(timeout=WITHIN_S))).get("id") != number:
            continue
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def open(self, url: str, *, size: tuple[int, int], cookies: dict[str, str], locale: str = "en-US") -> None:
        """Open an address as a phone or a desk would, without scripts of the page's own."""
        width, height = size
        self.do("Network.enable")
        for name, value in cookies.items():
            self.do("Network.setCookie", name=name, value=value, url=url)
        self.do("Network.setExtraHTTPHeaders", headers={"Accept-Language": locale})
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if size == PHONE else 1,
            mobile=size == PHONE,
        )
        self.do("Page.enable")
        self.do("Page.navigate", url=url)
        deadline = time.monotonic() + WITHIN_S
        while self.evaluate("[document.readyState, location.href]") != ["complete", url]:
            assert time.monotonic() < deadline, url
            time.sleep(0.05)  # an event of the load may have come before anybody asked for it

    def evaluate(self, script: str) -> Any:
        """Return what a script of ours says of the page."""
        result = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def violations(self, *, within: str = "") -> list[str]:
        """Return what axe finds wrong: rule, and the elements; only below a CSS selector if one is given."""
        self.evaluate(AXE.read_text() + ";0")
        options = json.dumps({"runOnly": RULES})
        of = json.dumps(within) if within else "document"
        told = "r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html))"
        found: list[str] = self.evaluate(f"axe.run({of}, {options}).then(r => {told})")
        return found

    def picture(self) -> bytes:
        """Return what is seen, the whole page."""
        return base64.b64decode(self.do("Page.captureScreenshot", captureBeyondViewport=True)["data"])


@contextlib.contextmanager
def tab(directory: pathlib.Path) -> Iterator[Page]:
    """Start a browser and open a tab."""
    command = [str(BINARY), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    command += ["--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={directory}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            listening = next(found for line in process.stderr if (found := re.search(r"ws://\S+", line)))
            with client.connect(listening[0], max_size=None, proxy=None) as connection:
                browser = Page(connection, "")
                target = browser.do("Target.createTarget", url="about:blank")["targetId"]
                session = browser.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
                yield Page(connection, session)
        finally:
            process.kill()
