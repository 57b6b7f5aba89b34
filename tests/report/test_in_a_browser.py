"""The page in a real browser, without a screen: light, dark, and as narrow as a telephone."""

import pytest

# a browser takes long to start where the cores are busy
pytestmark = pytest.mark.slow


def test_it_follows_light_and_dark(finished, browser):
    url = (finished.root / "report.html").as_uri()
    light = browser.photographed(url, 900, 700)
    dark = browser.photographed(url, 900, 700, "--blink-settings=preferredColorScheme=0")
    assert light[0, 0].min() > 240  # the paper
    assert dark[0, 0].max() < 40
    assert light.std() > 10  # and something is written on it
    assert dark.std() > 10


def test_a_telephone_needs_no_scrolling_sideways(finished, browser, tmp_path):
    page = (finished.root / "report.html").as_uri()
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe id=f src='{page}' width=360 height=640></iframe><script>onload = () => {{"
        "const root = f.contentDocument.documentElement;"
        "document.title = root.scrollWidth + ' of ' + root.clientWidth + ', images ' +"
        "[...f.contentDocument.images].filter(i => i.naturalWidth > 0).length }</script>"
    )
    title = browser.title_of(frame)
    width, _, rest = title.partition(" of ")
    assert width == rest.partition(",")[0], title
    assert title.endswith("images 5")
