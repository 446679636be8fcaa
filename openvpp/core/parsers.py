"""What may be sent to us as JSON. Its size is bounded by DATA_UPLOAD_MAX_MEMORY_SIZE, its depth here."""

from typing import Any

from rest_framework import exceptions, parsers


class JSONParser(parsers.JSONParser):
    """JSON that nests no deeper than the interpreter can follow.

    :raises ParseError: it is none, or nested too deeply.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("The JSON is nested too deeply.") from error
