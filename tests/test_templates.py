import re
from pathlib import Path

import pytest
from django.template.loader import get_template

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.*") if path.suffix in {".html", ".txt"})


def test_it_finds_the_templates():
    assert "base.html" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_compiles(name):
    assert get_template(name).template.name == name


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_nothing_inline_for_the_security_policy_to_block(name):
    source = (TEMPLATES / name).read_text()

    assert " style=" not in source
    assert "<style" not in source
    assert "hx-on" not in source
    assert " onclick=" not in source
    assert "javascript:" not in source
    assert all(" src=" in tag for tag in re.findall(r"<script\b[^>]*>", source))
