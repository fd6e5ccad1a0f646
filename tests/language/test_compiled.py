"""The catalogues as they are committed: a desk runs without GNU gettext, so the compiled ones are there too."""

import gettext
from io import BytesIO

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin

from agentdesk.audit.record import ACTIONS
from agentdesk.audit.words import ACTS
from agentdesk.names import NAMES, OURS
from agentdesk.templatetags.desk import human
from tests.language.catalogue import LOCALE, compiled, read, used, write

PATHS = [LOCALE / code / "LC_MESSAGES" / "django.po" for code, _name in settings.LANGUAGES if code != "en"]


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_what_is_compiled_is_what_the_catalogue_says(path):
    assert path.with_suffix(".mo").read_bytes() == compiled(read(path)), "run make messages"


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_python_reads_what_is_compiled(path):
    entries = read(path)
    catalogue = gettext.GNUTranslations(BytesIO(compiled(entries)))
    for entry in entries.values():
        if entry.msgid and entry.is_translated:
            assert catalogue.ngettext(entry.msgid, entry.plural, 1) == entry.strings[0] if entry.plural else (
                catalogue.gettext(entry.msgid) == entry.strings[0]
            )  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_the_catalogue_is_written_as_it_stands(path, tmp_path):
    write(tmp_path / "again.po", read(path), path.parts[-3])
    assert (tmp_path / "again.po").read_text() == path.read_text(), "run make messages"


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_the_catalogue_holds_what_templates_and_code_have_translated_and_nothing_else(path):
    listed, wanted = set(read(path)) - {""}, set(used())
    assert (sorted(wanted - listed), sorted(listed - wanted)) == ([], []), "run make messages"


def test_every_act_of_the_record_is_listed_for_translators():
    assert {human(action) for action in ACTIONS} == set(ACTS)


def test_every_name_that_admin_shows_is_listed_for_translators():
    models = [model for model in admin.site._registry if model.__module__.partition(".")[0] in OURS]
    assert models
    missing = set()
    for model in [*models, apps.get_model("people.Membership")]:
        own = [field for field in (*model._meta.local_fields, *model._meta.local_many_to_many) if field._verbose_name is None]
        missing |= {str(field.verbose_name) for field in own}
        if "verbose_name" not in model._meta.original_attrs:
            missing.add(str(model._meta.verbose_name))
    assert missing - set(NAMES) == set()
