"""The page in a real browser, without a screen: light, dark, and as narrow as a telephone."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1"),
)


def browse(tmp_path, *words):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def photographed(tmp_path, url, width, height, *words):
    file = tmp_path / "shot.png"
    browse(tmp_path, f"--screenshot={file}", f"--window-size={width},{height}", *words, url)
    return np.asarray(Image.open(file).convert("RGB")).astype(int)


def test_it_follows_light_and_dark(finished, tmp_path):
    url = (finished.root / "report.html").as_uri()
    light = photographed(tmp_path, url, 900, 700)
    dark = photographed(tmp_path, url, 900, 700, "--blink-settings=preferredColorScheme=0")
    assert light[0, 0].min() > 240  # the paper
    assert dark[0, 0].max() < 40
    assert light.std() > 10  # and something is written on it
    assert dark.std() > 10


def test_a_telephone_needs_no_scrolling_sideways(finished, tmp_path):
    page = (finished.root / "report.html").as_uri()
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe id=f src='{page}' width=360 height=640></iframe><script>onload = () => {{"
        "const root = f.contentDocument.documentElement;"
        "document.title = root.scrollWidth + ' of ' + root.clientWidth + ', images ' +"
        "[...f.contentDocument.images].filter(i => i.naturalWidth > 0).length }</script>"
    )
    seen = browse(tmp_path, "--allow-file-access-from-files", "--dump-dom", frame.as_uri())
    title = seen.partition("<title>")[2].partition("</title>")[0]
    width, _, rest = title.partition(" of ")
    assert width == rest.partition(",")[0], title
    assert title.endswith("images 5")
