"""Sign-in with Google and Apple: there where the environment names an application of theirs, and absent elsewhere."""

from typing import Any

from openvpp.settings import environment


def providers() -> dict[str, dict[str, Any]]:
    """Return allauth's settings of each provider that the environment names, by its name.

    GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET; APPLE_CLIENT_ID, APPLE_TEAM_ID, APPLE_KEY_ID and APPLE_PRIVATE_KEY (PEM).
    Secrets may stand in the file that `<name>_FILE` names.

    :raises ImproperlyConfigured: a client is named without the rest.
    """
    found: dict[str, dict[str, Any]] = {}
    if google := environment.text("GOOGLE_CLIENT_ID", ""):
        found["google"] = {
            "APPS": [{"client_id": google, "secret": environment.secret("GOOGLE_CLIENT_SECRET"), "key": ""}],
            "SCOPE": ["profile", "email"],
            "OAUTH_PKCE_ENABLED": True,
        }
    if apple := environment.text("APPLE_CLIENT_ID", ""):
        found["apple"] = {
            "APPS": [
                {
                    "client_id": apple,
                    "secret": environment.text("APPLE_KEY_ID"),
                    "key": environment.text("APPLE_TEAM_ID"),
                    "settings": {"certificate_key": environment.secret("APPLE_PRIVATE_KEY")},
                }
            ],
        }
    return found
