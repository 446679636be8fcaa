"""Pages: every list from us has a bound."""

from rest_framework import pagination


class CursorPagination(pagination.CursorPagination):
    """`?cursor=…&page_size=…`; answers `next`, `previous`, `results`."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
