"""The styleguide's sections and the main pages look as they are kept in tests/screens/kept: wide and narrow, light and dark.

`make screens` renews what is kept. On a failure the picture taken and the differences are in test-results/screens.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe

from agentdesk.people.models import User
from tests.screens.conftest import NOW, Studio
from tests.screens.desk import furnish
from tests.screens.pictures import Album, layout_of

pytestmark = pytest.mark.timeout(300)

WIDTHS = (1440, 390)
THEMES = ("light", "dark")
OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
GUIDE = f"/styleguide/?at={NOW:%Y-%m-%dT%H:%M:%SZ}&theme="
READY = {"inbox": "#preview-card h1"}


@pytest.fixture
def admin(web) -> User:
    return User.objects.filter(username="ada").first() or User.objects.create_superuser("ada", password="x", first_name="Ada")


@pytest.mark.parametrize("theme", THEMES)
def test_every_section_of_the_styleguide_looks_as_it_is_kept(studio: Studio, album: Album, admin: User, theme: str):
    studio.sign_in(admin)
    studio.open(GUIDE + theme, WIDTHS[0], theme)
    for width in WIDTHS:
        studio.widen(width)
        layout = {}
        for name in studio.page.locator("section.part").evaluate_all("(parts) => parts.map((part) => part.id)"):
            studio.leave(name)
            layout[name] = layout_of(studio.page.locator(f"#{name}"))
            album.check(f"{name}-{width}-{theme}", studio.picture(f"#{name}"))
        assert not studio.page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"wider than {width}"
        album.check_layout(width, theme, "styleguide", layout)


@pytest.fixture(scope="module")
def furnished(web_process, django_db_blocker) -> dict[str, object]:
    return {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_main_pages_look_as_they_are_kept(studio: Studio, album: Album, furnished, width: int, theme: str):
    desk = furnished.setdefault("desk", None) or furnish()
    furnished["desk"] = desk
    layout = {}
    studio.sign_in(None)
    for name, address in {"login": "/accounts/login/", **desk.addresses}.items():
        studio.open(address, width, theme, ready=READY.get(name, "h1") if width > 1000 else "h1")
        layout[name] = layout_of(studio.page.locator("body"))
        album.check(f"page-{name}-{width}-{theme}", studio.picture())
        studio.sign_in(desk.robin)
    album.check_layout(width, theme, "pages", layout)


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_in_any_part_in_any_state(studio: Studio, admin: User, theme: str):
    """By all rules of WCAG 2.2 AA; in the second theme by those that look at colours."""
    studio.sign_in(admin)
    studio.open(GUIDE + theme, 1440, theme)
    rules = OPTIONS if theme == "light" else {**OPTIONS, "runOnly": {"type": "rule", "values": COLOUR_RULES}}
    found = Axe().run(studio.page, options=rules).response["violations"]
    assert [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]] == []
