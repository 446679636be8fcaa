"""The bundler's address in the web: one request at a time. `manage.py bundler` answers many together."""

from django import http
from django.views.decorators import csrf
from django.views.decorators import http as http_decorators

from relayer.rpc import answering


@csrf.csrf_exempt
@http_decorators.require_POST
def call(request: http.HttpRequest, chain_id: int) -> http.HttpResponse:
    """Answer what a key's holder calls; without a key nothing is said."""
    if int(request.headers.get("Content-Length") or 0) > answering.MAX_BYTES:
        return _response(answering.too_large())
    try:
        asked = answering.read(
            authorization=request.headers.get("Authorization", ""),
            api_key=request.headers.get("X-Api-Key", ""),
            chain_id=chain_id,
            content=request.body,
        )
    except answering.Unreadable as unreadable:
        return _response(unreadable.response)
    (answer,) = answering.answer_together([asked])
    return _response(answer)


def _response(answer: answering.Response) -> http.HttpResponse:
    return http.HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
