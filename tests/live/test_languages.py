"""Two people with different languages watch the same inbox: each gets the same push in their own."""

from agentdesk.live import registry
from agentdesk.live.push import push
from agentdesk.people.models import Membership, Role, User
from approvals.web import fragments
from tests.approvals.cast import make_approval
from tests.live.conftest import Page, in_database, told


def reader(team, username, language=""):
    user = User.objects.create(username=username, language=language)
    Membership.objects.create(user=user, team=team, role=Role.REVIEWER)
    return user


async def test_each_reader_gets_the_row_in_their_language(team, client_of, monkeypatch):
    pushed = registry.Pushed(fragments.visible_ids, lambda id, _version: (1, fragments.render_row(fragments.load(id))))
    monkeypatch.setattr(registry, "_kinds", {"row": pushed})
    people = {name: await in_database(reader, team, name, name) for name in ("de", "en")}
    undecided = await in_database(reader, team, "undecided")
    pages = {name: Page(await in_database(client_of, user)) for name, user in people.items()}
    pages["browser"] = Page(await in_database(client_of, undecided), language="de-AT,en;q=0.1")
    pages["silent"] = Page(await in_database(client_of, undecided))
    for page in pages.values():
        await page.open(("inbox", "mine"))
    approval = await in_database(make_approval, team, args={"amount": "1860.00"}, args_schema=None)
    push("row", approval.pk, 2)
    await told()
    shown = {name: [frame["html"] for frame in await page.frames()][-1] for name, page in pages.items()}
    assert "1.860,00" in shown["de"]
    assert "1,860.00" in shown["en"]
    assert shown["browser"] == shown["de"]
    assert shown["silent"] == shown["en"]
    for page in pages.values():
        await page.close()
