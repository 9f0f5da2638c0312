"""The files that ``docs/extending.md`` names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "eventsnn"
NAMED = re.compile(r"`((?:\w+/)+(?:\w+\.(?:py|md))?)`")


def test_the_files_it_names_exist():
    page = (ROOT / "docs" / "extending.md").read_text()
    places = set(NAMED.findall(page))
    assert len(places) > 40
    for place in places:
        found = [root / place for root in (ROOT, PACKAGE)]
        # A room may be one module.
        found += [path.with_suffix(".py") for path in found if place.endswith("/")]
        assert any(path.exists() for path in found), place
