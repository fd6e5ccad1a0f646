"""Addresses of runs as nobody's browser makes them: each is answered, none with an error of the desk's own."""

from tests.runs.web.conftest import make_cast, make_run

ODD = (
    "agent=%00", "agent=" + "x" * 5000, "status=%00", "after=%00", "after=x", "after=" + "9" * 5000, "before=" + "9" * 5000,
    "before=%C2%B2", "before=%D9%A3", "before=-1", "before=%00",
)  # fmt: skip


def test_an_odd_query_is_answered(db, client):
    cast = make_cast()
    run = make_run(cast)
    client.force_login(cast.operator, backend="django.contrib.auth.backends.ModelBackend")
    for address in ("/runs/", f"/runs/{run.pk}/", f"/runs/{run.pk}/story/"):
        for query in ODD:
            assert client.get(f"{address}?{query}").status_code == 200, f"{address} {query[:80]}"
