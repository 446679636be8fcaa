"""What import-linter's own contracts cannot say: whose doors stand open, and where libraries are at home."""

import abc
import fnmatch
from collections.abc import Iterable

import grimp
import importlinter
from importlinter import fields, output


class _ImportsContract(importlinter.Contract):
    """Looks at each import by itself; a subclass says which are wrong."""

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> importlinter.ContractCheck:
        wrong = sorted(
            f"{importer} imports {imported}"
            for importer in graph.modules
            for imported in graph.find_modules_directly_imported_by(importer)
            if self.is_wrong(importer, imported)
        )
        return importlinter.ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    @abc.abstractmethod
    def is_wrong(self, importer: str, imported: str) -> bool:
        """Say whether this import breaks the rule."""

    def render_broken_contract(self, check: importlinter.ContractCheck) -> None:
        for line in check.metadata["wrong"]:
            output.print_error(line)
            output.new_line()


class DoorsContract(_ImportsContract):
    """An app is entered by others through its doors only."""

    type_name = "doors"

    apps = fields.SetField(subfield=fields.StringField())
    doors = fields.SetField(subfield=fields.StringField())
    may_enter_anywhere = fields.SetField(subfield=fields.StringField())

    def is_wrong(self, importer: str, imported: str) -> bool:
        app, _, inside = imported.partition(".")
        return (
            app in _texts(self.apps)
            and importer.split(".", maxsplit=1)[0] != app
            and inside.split(".")[0] not in {"", *_texts(self.doors)}
            and not _matches(importer, _texts(self.may_enter_anywhere))
        )


class HomesContract(_ImportsContract):
    """A library is imported only where it is at home."""

    type_name = "homes"

    libraries = fields.SetField(subfield=fields.StringField())
    homes = fields.SetField(subfield=fields.StringField())

    def is_wrong(self, importer: str, imported: str) -> bool:
        return imported.split(".", maxsplit=1)[0] in _texts(self.libraries) and not _matches(
            importer, _texts(self.homes)
        )


def _matches(module: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(module, name) for pattern in patterns for name in (pattern, f"{pattern}.*"))


def _texts(values: object) -> set[str]:
    """Return the texts of a set field, which the class shows as the field itself."""
    return {str(value) for value in values} if isinstance(values, Iterable) else set()
