"""The committed description of the API, and whether the code still says the same."""

import os
import pathlib
import subprocess
import sys
import tempfile

from openvpp.stack import console, errors, layout

FILE = layout.ROOT / "docs" / "openapi.yaml"


def write() -> int:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(_generate())
    return 0


def check() -> int:
    """:raises UnableToRunError: docs/openapi.yaml is not what the code describes."""
    if not FILE.exists() or FILE.read_text() != _generate():
        raise errors.UnableToRunError("docs/openapi.yaml is stale: run `make format` and commit it.")
    console.say("docs/openapi.yaml is fresh")
    return 0


def _generate() -> str:
    with tempfile.TemporaryDirectory() as directory:
        target = pathlib.Path(directory) / "openapi.yaml"
        command = [sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", str(target)]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "openvpp.settings.test"}
        if subprocess.run(command, cwd=layout.ROOT, env=environment, check=False).returncode:
            raise errors.UnableToRunError("The API could not be described without a warning: see above.")
        return target.read_text()
