"""Make `.venv` and the two `node_modules` (contracts, tests/clients) on a machine that has only Python 3 and Node.js.

Standard library only, and readable by older Pythons than the project needs: it has to be able to say so.
Does nothing when the locks are the ones already installed.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = pathlib.Path(os.environ.get("VENV") or ROOT / ".venv")
UV_HOME = ROOT / ".venv-uv"
STAMP = VENV / ".openvpp-installed.json"
OLDEST_PYTHON_REQUEST = ">=3.12"
OLDEST_NODE = 20
NODE_PROJECTS = ("contracts", "tests/clients")


class UnableToBootstrapError(Exception):
    """Says in one sentence what to do."""


def main() -> None:
    try:
        if os.environ.get("OPENVPP_SKIP_BOOTSTRAP") != "1":
            bootstrap_analysis() if sys.argv[1:] == ["analysis"] else bootstrap()
    except UnableToBootstrapError as error:
        sys.exit(f"openvpp: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def bootstrap() -> None:
    check_node()
    wanted = digests()
    have = read_stamp()
    started = time.monotonic()
    if have.get("python") != wanted["python"] or not (VENV / "bin" / "python").exists():
        install_python()
        have = {"python": wanted["python"], "node": have.get("node", "")}
        write_stamp(have)
    if have.get("node") != wanted["node"] or not all((ROOT / name / "node_modules").is_dir() for name in NODE_PROJECTS):
        install_node()
        have["node"] = wanted["node"]
        write_stamp(have)
    if time.monotonic() - started > 1:
        say(f"installed in {time.monotonic() - started:.0f} s")


def bootstrap_analysis() -> None:
    """Have `$VENV`, which is then another than the stack's, hold the tools that analyse the contracts."""
    wanted = {"python": digest("requirements/analysis.txt", ".python-version")}
    if read_stamp() == wanted:
        return
    if not usable(VENV / "bin" / "python"):
        make_venv(find_uv(), uv_environment())
    sync("analysis.txt")
    write_stamp(wanted)


def digests() -> dict[str, str]:
    return {
        "python": digest("requirements/dev.txt", ".python-version"),
        "node": digest(*(f"{name}/package-lock.json" for name in NODE_PROJECTS)),
    }


def digest(*names: str) -> str:
    sha = hashlib.sha256()
    for name in names:
        sha.update((ROOT / name).read_bytes())
    return sha.hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def write_stamp(stamp: dict[str, str]) -> None:
    STAMP.write_text(json.dumps(stamp, indent=2) + "\n")


def check_node() -> None:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise UnableToBootstrapError("Node.js is missing: install Node.js 20 or newer with npm, then run this again.")
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major.group(1)) < OLDEST_NODE:
        raise UnableToBootstrapError(
            f"Node.js {version} is too old: install Node.js {OLDEST_NODE} or newer, then run this again."
        )


def install_python() -> None:
    if not usable(VENV / "bin" / "python"):
        say("making .venv")
        make_venv(find_uv(), uv_environment())
    sync("dev.txt")


def sync(lock: str) -> None:
    """Have `.venv` hold what a lock names, and nothing else."""
    say(f"installing Python packages (requirements/{lock})")
    command = [*find_uv(), "pip", "sync", "--require-hashes", "--compile-bytecode"]
    command += ["--python", str(VENV / "bin" / "python")]
    process = subprocess.Popen(
        [*command, str(ROOT / "requirements" / lock)],
        cwd=str(ROOT),
        env=uv_environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    for line in process.stderr or ():
        if not line.startswith((b" + ", b" - ", b" ~ ")):
            say("uv: " + line.decode(errors="replace").rstrip())
    if process.wait():
        raise UnableToBootstrapError(
            "The Python packages could not be installed (see above): check the network or the package index that pip "
            "is configured for, then run this again."
        )


def make_venv(uv: list[str], environment: dict[str, str]) -> None:
    wanted = (ROOT / ".python-version").read_text().strip()
    for request in (wanted, OLDEST_PYTHON_REQUEST):
        command = [*uv, "venv", "--clear", "--seed", "--quiet", "--python", request, str(VENV)]
        if not subprocess.run(
            command, cwd=str(ROOT), env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode:
            return
    raise UnableToBootstrapError(
        f"No Python {OLDEST_PYTHON_REQUEST[2:]} or newer was found and none could be fetched: install Python {wanted}, "
        "then run this again."
    )


def usable(python: pathlib.Path) -> bool:
    if not python.exists():
        return False
    check = "import sys; sys.exit(sys.version_info < (3, 12))"
    return not subprocess.run([str(python), "-c", check], stderr=subprocess.DEVNULL, check=False).returncode


def find_uv() -> list[str]:
    """The command of a working uv: one on the PATH, one of ours, else freshly installed beside .venv."""
    for candidate in (shutil.which("uv"), str(VENV / "bin" / "uv"), str(UV_HOME / "bin" / "uv")):
        if candidate and runs([candidate, "--version"]):
            return [candidate]
    say("fetching uv")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(UV_HOME)], check=False).returncode:
        raise UnableToBootstrapError(
            "Python's venv module does not work here: install it (Debian and Ubuntu: apt install python3-venv), "
            "or install uv, then run this again."
        )
    pip = [str(UV_HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"]
    if subprocess.run(pip, stdin=subprocess.DEVNULL, check=False).returncode:
        raise UnableToBootstrapError(
            "uv could not be fetched (see above): check the network or the package index that pip is configured for, "
            "then run this again."
        )
    return [str(UV_HOME / "bin" / "uv")]


def runs(command: list[str]) -> bool:
    try:
        return not subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False
        ).returncode
    except OSError:
        return False


def uv_environment() -> dict[str, str]:
    """The environment for uv, told where pip on this machine looks: uv does not read pip's configuration.

    Variables of uv's own win. Every package is pinned by hash, so any configured index may serve it.
    """
    environment = dict(os.environ)
    settings = pip_settings()
    for option, variable in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "UV_INDEX"),
        ("find-links", "UV_FIND_LINKS"),
        ("cert", "SSL_CERT_FILE"),
    ):
        value = " ".join(settings.get(option, "").split())
        if value and variable not in environment:
            environment[variable] = value.replace(" ", ",") if option == "find-links" else value
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    environment.setdefault("UV_NO_PROGRESS", "0" if sys.stderr.isatty() else "1")
    environment.pop("VIRTUAL_ENV", None)
    return environment


def pip_settings() -> dict[str, str]:
    files = [
        "/etc/pip.conf",
        "~/.pip/pip.conf",
        f"{os.environ.get('XDG_CONFIG_HOME') or '~/.config'}/pip/pip.conf",
        os.environ.get("PIP_CONFIG_FILE", ""),
    ]
    settings: dict[str, str] = {}
    for name in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(pathlib.Path(name).expanduser())
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update(parser.items(section))
    for option in ("index-url", "extra-index-url", "find-links", "cert"):
        value = os.environ.get("PIP_" + option.replace("-", "_").upper())
        if value:
            settings[option] = value
    return settings


def install_node() -> None:
    for name in NODE_PROJECTS:
        say(f"installing Node.js packages ({name}/package-lock.json)")
        command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        result = subprocess.run(command, cwd=str(ROOT / name), stdin=subprocess.DEVNULL, check=False)
        if result.returncode:
            raise UnableToBootstrapError(
                "The Node.js packages could not be installed (see above): check the network or the registry that npm "
                "is configured for, then run this again."
            )


def say(message: str) -> None:
    sys.stderr.write(f"openvpp: {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
