"""A real browser without a screen: Chromium as Qt WebEngine brings it, in a process of its own.

`look` is what tests call; the file itself is the program that runs the browser, so that Qt and
TensorFlow never share a process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

_PATIENCE = 120  # seconds
_FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-quic"


def look(path, *views, dark=False):
    """Opens a file in as many windows as there are views, one after the other.

    Args:
        path: of the page.
        views: dicts with width and height in CSS pixels, script (an expression; what it gives has
            to fit in JSON) and, if a picture is wanted, shot (path of a .png).
        dark: the user prefers dark pages.

    Returns:
        dict: values, of the scripts; requests, the URLs that the pages asked for; console, what
        they and the browser said there.
    """
    # Nothing of the user's own Qt or screen: the same pixels on every machine.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("QT", "DISPLAY"))}
    environment |= {
        "QT_QPA_PLATFORM": "offscreen",
        # Qt itself has no colour scheme where there is no desktop.
        "QTWEBENGINE_CHROMIUM_FLAGS": f"{_FLAGS} --blink-settings=preferredColorScheme={1 - dark}",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QT_LOGGING_RULES": "*.info=false",
    }
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps({"path": str(path), "views": views}),
        capture_output=True,
        text=True,
        env=environment,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def missing():
    """Why there is no browser on this machine: the last line of its import, or "" if there is."""
    code = "import PySide6.QtWebEngineCore, PySide6.QtWebEngineWidgets"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _browse(order):
    from PySide6.QtCore import QEventLoop, QTimer, QUrl
    from PySide6.QtWebEngineCore import (
        QWebEnginePage,
        QWebEngineProfile,
        QWebEngineUrlRequestInterceptor,
    )
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication

    seen = {"values": [], "requests": [], "console": []}

    class Watch(QWebEngineUrlRequestInterceptor):
        def interceptRequest(self, info):
            seen["requests"].append(info.requestUrl().toString()[:200])

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level, message, line, source):
            seen["console"].append(f"{message} (line {line})")

    def until(start):
        """Waits until what `start` is handed has been called; returns what it was called with."""
        loop, out = QEventLoop(), []

        def done(value=None):
            out.append(value)
            loop.quit()

        QTimer.singleShot(_PATIENCE * 500, loop.quit)
        start(done)
        if not out:
            loop.exec()
        return out[0] if out else sys.exit("the browser did not answer")

    application = QApplication(["look"])  # noqa: F841 - lives as long as the windows
    profile = QWebEngineProfile()  # off the record: nothing is written
    watch = Watch()
    profile.setUrlRequestInterceptor(watch)
    for wanted in order["views"]:
        view = QWebEngineView()
        page = Page(profile, view)
        view.setPage(page)
        view.resize(wanted["width"], wanted["height"])
        view.show()

        def opened(done, page=page):
            page.loadFinished.connect(done)
            page.load(QUrl.fromLocalFile(order["path"]))

        if not until(opened):
            sys.exit(f"{order['path']} could not be opened")
        script = f"JSON.stringify({wanted['script']})"
        value = until(lambda done, page=page, script=script: page.runJavaScript(script, 0, done))
        seen["values"].append(json.loads(value) if value else None)
        if "shot" in wanted:
            until(lambda done: QTimer.singleShot(300, done))  # a frame has to be painted
            view.grab().save(str(wanted["shot"]))
        view.close()
        view.deleteLater()
        page.deleteLater()
        until(lambda done: QTimer.singleShot(0, done))
    print(json.dumps(seen), flush=True)
    os._exit(0)  # Qt takes seconds to end its processes in order


if __name__ == "__main__":
    assert Path(__file__).name == "_browser.py"
    _browse(json.load(sys.stdin))
