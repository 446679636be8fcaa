"""What a request that reaches no view is answered: a problem document under the API, a page elsewhere."""

import http as http_status

from django import http, shortcuts

from openvpp.core import api

MACHINE_PATHS = ("/api/", "/oauth/", "/health/", "/.well-known/")


def bad_request(request: http.HttpRequest, exception: Exception) -> http.HttpResponse:  # noqa: ARG001
    return _answer(request, 400, "bad_request", "The request cannot be understood.")


def forbidden(request: http.HttpRequest, exception: Exception) -> http.HttpResponse:  # noqa: ARG001
    return _answer(request, 403, "permission_denied", "You may not open this.")


def not_found(request: http.HttpRequest, exception: Exception) -> http.HttpResponse:  # noqa: ARG001
    hint = "" if request.path.endswith("/") else " Addresses here end with a slash."
    return _answer(request, 404, "not_found", "There is nothing at this address." + hint)


def server_error(request: http.HttpRequest) -> http.HttpResponse:
    return _answer(request, 500, "internal_error", "Something broke on our side. It was noted; try again shortly.")


def _answer(request: http.HttpRequest, status: int, code: str, detail: str) -> http.HttpResponse:
    if request.path.startswith(MACHINE_PATHS):
        return http.JsonResponse(
            api.problem(status=status, code=code, detail=detail), status=status, content_type=api.PROBLEM_MEDIA_TYPE
        )
    return shortcuts.render(
        request,
        "problem.html",
        {"title": http_status.HTTPStatus(status).phrase, "detail": detail, "status": status},
        status=status,
    )
