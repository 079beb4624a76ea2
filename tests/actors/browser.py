"""A headless Chromium for tests of the dashboard, spoken to over two pipes (--remote-debugging-pipe). Standard library only."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
         "--disable-sync --disable-extensions --disable-default-apps --no-default-browser-check --metrics-recording-only --no-pings "
         "--hide-scrollbars --remote-debugging-pipe").split()


def find():
    """The program, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page. `with Browser() as b: b.open(url); b.js("document.title")`"""

    def __init__(self, width=1440, height=1000):
        self.folder = tempfile.mkdtemp(prefix="sdg-browser-")
        down, self.out = os.pipe()
        self.inp, up = os.pipe()
        # The browser reads commands from its descriptor 3 and answers on 4; a shell puts ours there.
        self.proc = subprocess.Popen(["sh", "-c", 'exec "$@" 3<&%d 4>&%d' % (down, up), "sh", find(), *FLAGS, "--user-data-dir=" + self.folder,
                                      "--window-size=%d,%d" % (width, height), "about:blank"],
                                     pass_fds=(down, up), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down)
        os.close(up)
        self.left, self.number, self.session = b"", 0, None
        page = [t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page"][0]
        self.session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.events = []
        self.ask("Network.enable")
        self.ask("Runtime.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        os.close(self.out)
        os.close(self.inp)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _receive(self, end):
        while b"\0" not in self.left:
            ready, _, _ = select.select([self.inp], [], [], max(0, end - time.monotonic()))
            data = os.read(self.inp, 1 << 20) if ready else b""
            assert data, "the browser does not answer"
            self.left += data
        text, self.left = self.left.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            got = self._receive(end)
            if got.get("id") == self.number:
                assert "error" not in got, got
                return got["result"]
            if "method" in got and hasattr(self, "events"):
                self.events.append(got)

    def open(self, url):
        self.ask("Page.navigate", url=url)

    def js(self, expression):
        got = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def scheme(self, name):
        """light or dark"""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def requested(self):
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """Exceptions and console errors of the page; requests that failed are not counted."""
        return [e for e in self.events if e["method"] == "Runtime.exceptionThrown" or
                (e["method"] == "Runtime.consoleAPICalled" and e["params"]["type"] == "error")]
