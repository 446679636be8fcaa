"""What every answer of the API carries, whichever of the pages' middleware let it pass."""

import pytest
from django import test


@pytest.mark.parametrize("path", ["/api/v1/bills/", "/api/v1/none/", "/health/live"])
@pytest.mark.parametrize(("asked", "answered"), [("es-MX,en;q=0.5", "es"), ("fr", "en"), ("", "en")])
def test_an_answer_says_its_language_and_how_a_browser_may_use_it(path: str, asked: str, answered: str) -> None:
    headers = test.Client().get(path, headers={"accept-language": asked}).headers

    assert headers["Content-Language"] == answered
    assert "Accept-Language" in headers["Vary"]
    assert {name: headers[name] for name in ("X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy")} == {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert int(headers["Content-Length"]) > 0
