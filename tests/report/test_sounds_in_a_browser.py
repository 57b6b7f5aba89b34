"""The sounds of a report in a real browser: they load without a network and without a script."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager

import pytest
import torch

from fmcore import Portrait
from fmcore.report.page import write_report
from fmcore.runs.portraits import write_portraits

from .conftest import FLAGS

pytestmark = pytest.mark.slow

LOADED = """new Promise(found => {
    const sounds = [...document.querySelectorAll('audio')];
    const state = () => sounds.map(s => ({
        ready: s.readyState, seconds: s.duration, error: s.error && s.error.message}));
    const check = () => {
        if (sounds.every(s => s.readyState > 0 || s.error))
            found({sounds: state(), scripts: document.scripts.length});
    };
    for (const sound of sounds) {
        sound.addEventListener('loadedmetadata', check);
        sound.addEventListener('error', check);
        sound.load();
    }
})"""


class DevTools:
    """Chromium's DevTools protocol over a pair of pipes: JSON objects, each ended by a null."""

    def __init__(self, to_browser, from_browser):
        self.to_browser, self.from_browser = to_browser, from_browser
        self.buffer, self.number = b"", 0
        self.session = None
        self.events = []

    def call(self, method, **params):
        """Return the result of a method; events that arrive before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def wait(self, event):
        """Read until an event of this name has arrived."""
        while all(e.get("method") != event for e in self.events):
            self.events.append(self.next())

    def next(self):
        while b"\0" not in self.buffer:
            part = os.read(self.from_browser, 1 << 16)
            assert part, "the browser has ended"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)


@contextmanager
def opened(program, profile):
    """A page of a browser without a screen."""
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()
    # the browser reads from file 3 and writes to file 4
    command = f'exec "$@" 3<&{read_end} 4>&{write_end}'
    flags = [*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        ["bash", "-c", command, "bash", program, *flags],
        pass_fds=(read_end, write_end),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_end)
    os.close(write_end)
    try:
        tools = DevTools(to_browser, from_browser)
        target = tools.call("Target.createTarget", url="about:blank")["targetId"]
        attached = tools.call("Target.attachToTarget", targetId=target, flatten=True)
        tools.session = attached["sessionId"]
        yield tools
    finally:
        process.kill()
        process.wait()
        os.close(to_browser)
        os.close(from_browser)


def test_the_sounds_of_a_report_load_without_a_network_or_a_script(copied, browser, tmp_path):
    wave = 0.5 * torch.sin(torch.arange(8000) / 5)
    write_portraits(
        copied.samples, [Portrait.sound(wave, 16000), Portrait.sound(wave[:4000], 8000)]
    )
    write_report(copied)
    with opened(browser.program, tmp_path / "profile") as tools:
        for domain in ("Page", "Network", "Log"):
            tools.call(f"{domain}.enable")
        tools.call("Page.navigate", url=(copied.root / "report.html").as_uri())
        tools.wait("Page.loadEventFired")
        answer = tools.call(
            "Runtime.evaluate", expression=LOADED, awaitPromise=True, returnByValue=True
        )
    found = answer["result"]["value"]
    assert [sound["error"] for sound in found["sounds"]] == [None, None]
    assert [sound["seconds"] for sound in found["sounds"]] == pytest.approx([0.5, 0.5], abs=0.01)
    assert all(sound["ready"] > 0 for sound in found["sounds"])
    assert found["scripts"] == 0
    asked = [
        event["params"]["request"]["url"]
        for event in tools.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    # refusals by the page's content security policy are logged
    logged = [e["params"]["entry"]["text"] for e in tools.events if e["method"] == "Log.entryAdded"]
    assert logged == []
