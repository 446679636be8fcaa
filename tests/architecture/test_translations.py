"""Whatever a page says to a person is there in every language of `LANGUAGES`, and compiled."""

import ast
import gettext
import pathlib
import re
from collections.abc import Iterator

import pytest
from django.conf import settings

ROOT = pathlib.Path(__file__).resolve().parents[2]
APPS = sorted(path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in {"tests", "benchmarks"})
MARKING = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}
OTHERS = [code for code, _name in settings.LANGUAGES if code != "en"]
PLACEHOLDER = re.compile(r"%\((\w+)\)[ds]")


def of_code(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKING:
            yield from (str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant))


def of_template(text: str) -> Iterator[str]:
    for one, other in re.findall(r"""{%\s*translate\s+(?:"([^"]+)"|'([^']+)')""", text):
        yield one or other
    yield from re.findall(r'_\("([^"]+)"\)', text)
    for block in re.findall(r"{%\s*blocktranslate[^%]*%}(.*?){%\s*endblocktranslate", text, re.DOTALL):
        one = re.split(r"{%\s*plural\s*%}", block)[0]
        yield re.sub(r"{{\s*(\w+)\s*}}", r"%(\1)s", one)


def said() -> set[str]:
    found: set[str] = set()
    for app in APPS:
        for path in app.rglob("*.py"):
            text = path.read_text()
            found.update(of_code(text) if "gettext" in text else ())
        for path in app.rglob("templates/**/*.html"):
            found.update(of_template(path.read_text()))
    return found


class NothingElse(gettext.NullTranslations):
    """Has no word for anything."""

    def gettext(self, message: str) -> str:
        return ""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return ""


@pytest.mark.parametrize("language", OTHERS)
def test_everything_is_translated_and_names_the_same_values(language: str) -> None:
    with (ROOT / "openvpp" / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        known = gettext.GNUTranslations(file)
    known.add_fallback(NothingElse())
    told = {text: known.gettext(text) or known.ngettext(text, text, 1) for text in said()}
    assert len(told) > 100
    assert sorted(text for text, other in told.items() if not other) == []
    for text, other in told.items():
        assert set(PLACEHOLDER.findall(other)) <= set(PLACEHOLDER.findall(text)), text
