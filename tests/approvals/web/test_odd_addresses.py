"""Addresses as nobody's browser makes them: each is answered, none with an error of the desk's own."""

import pytest

from tests.approvals.cast import make_approval, post

ODD = (
    "before=2026-01-01T00:00:00", "before=0001-01-01T00:00:00%2B14:00", "before=9999-12-31T23:59:59-14:00", "before=%00",
    "before=x", "before=" + "9" * 5000, "q=%00", "q=%F0%9F%98%80", "q=%ED%A0%80", "q=" + "x" * 5000, "q=arg.amount>1e400000",
    "q=arg.amount>NaN", "q=arg.amount>-Infinity", "q=arg.amount=" + "9" * 150, "q=arg.%25>1", "q=waiting>9999d",
    "q=left<9999d", "q=left>9999d", "q=team:%00x", "q=%22", "q=" + "%22a%22%20" * 40, "tab=%00", "tab=x", "status=done",
    "but=%00", "but=%22><script>", "id=%00", "id=x&id=" + "9" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("address", ["/", "/approvals/rows/", "/approvals/tabs/", "/approvals/held/", "/approvals/batch/"])
def test_an_odd_query_is_answered(browse, reviewer, team, address):
    make_approval(team)
    post(make_approval(team), reviewer)
    client = browse(reviewer)
    tabs = ("", "tab=done&", "tab=mine&", "tab=snoozed&") if address in ("/", "/approvals/rows/") else ("",)
    for tab in tabs:
        for query in ODD:
            assert client.get(f"{address}?{tab}{query}").status_code == 200, f"{tab}{query[:80]}"
