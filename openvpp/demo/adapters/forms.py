"""The forms of a page, as a browser would send them."""

import dataclasses
from html import parser


@dataclasses.dataclass(slots=True)
class Form:
    """One form: where it goes, its fields with their present values, its buttons with theirs, and its words."""

    action: str
    method: str
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    buttons: list[tuple[str, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What a person sees: forms, all words in order, and the terms of definition lists with their texts."""

    forms: list[Form]
    words: list[str]
    terms: list[tuple[str, str]]


class _Reader(parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.terms: list[tuple[str, str]] = []
        self._inside = ""
        self._select = ""
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in {"script", "style"}:
            self._silent += 1
        elif tag in {"dt", "dd"}:
            self._inside = tag
        elif tag == "form":
            self.forms.append(Form(action=given.get("action", ""), method=given.get("method", "get").lower()))
        elif self.forms and given.get("name") and "disabled" not in given:
            self._field(tag, given)
        elif self.forms and tag == "option" and self._select:
            self._option(given)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._silent -= 1
        elif tag == "select":
            self._select = ""
        elif tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._silent or not data.strip():
            return
        words = " ".join(data.split())
        self.words.append(words)
        if self._inside == "dt":
            self.terms.append((words, ""))
        elif self._inside == "dd" and self.terms:
            term, text = self.terms[-1]
            self.terms[-1] = (term, f"{text} {words}".strip())

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form, kind = self.forms[-1], given.get("type", "submit" if tag == "button" else "text")
        if tag == "button" or kind == "submit":
            form.buttons.append((given["name"], given.get("value", "")))
        elif tag == "select":
            self._select = given["name"]
        elif kind not in {"checkbox", "radio"} or "checked" in given:
            form.fields[given["name"]] = given.get("value", "on" if kind == "checkbox" else "")

    def _option(self, given: dict[str, str]) -> None:
        form = self.forms[-1]
        if self._select not in form.fields or "selected" in given:
            form.fields[self._select] = given.get("value", "")


def read(page: str, /) -> Page:
    """Return what a page shows."""
    reader = _Reader()
    reader.feed(page)
    return Page(forms=reader.forms, words=reader.words, terms=reader.terms)
