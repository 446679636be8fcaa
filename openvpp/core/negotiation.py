"""Which form a request has, and which its answer takes."""

from typing import Any

from rest_framework import negotiation


class ContentNegotiation(negotiation.DefaultContentNegotiation):
    """Who takes anything, or names the first form that there is, is not asked for the order of their wishes."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        first = parsers[0]
        return first if request.content_type == first.media_type else super().select_parser(request, parsers)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        first = renderers[0]
        is_plain = format_suffix is None and not request.META.get("QUERY_STRING")
        if is_plain and request.META.get("HTTP_ACCEPT", "*/*") in {"*/*", first.media_type}:
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)  # type: ignore[no-any-return] # untyped in DRF
