"""`python -m openvpp.stack`: what the Makefile calls."""

import argparse
import os
import shutil
import subprocess
import sys

from openvpp.stack import console, demo, errors, layout, openapi, plan, supervisor


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m openvpp.stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the whole stack")
    commands.add_parser("demo", help="play a customer's journey, starting a stack if none runs")
    reset_parser = commands.add_parser("reset", help="drop the stack's data")
    reset_parser.add_argument("--yes", action="store_true", help="do not ask")
    exec_parser = commands.add_parser("exec", help="run Python with the running stack's environment")
    exec_parser.add_argument("arguments", nargs="+")
    openapi_parser = commands.add_parser("openapi", help="write docs/openapi.yaml")
    openapi_parser.add_argument("--check", action="store_true", help="only say whether it is fresh")
    commands.add_parser("lock", help="resolve pyproject.toml into requirements/*.txt")
    arguments = parser.parse_args()
    try:
        return perform(arguments)
    except errors.UnableToRunError as error:
        console.complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def perform(arguments: argparse.Namespace) -> int:
    doors = {
        "run": lambda: supervisor.run(variables=os.environ),
        "demo": lambda: demo.play(variables=os.environ),
        "reset": lambda: reset(sure=arguments.yes),
        "exec": lambda: execute(arguments.arguments),
        "openapi": lambda: openapi.check() if arguments.check else openapi.write(),
        "lock": lock,
    }
    return doors[arguments.command]()


def reset(*, sure: bool) -> int:
    """Drop `var/`."""
    paths = layout.Layout(var=layout.default_var())
    if not paths.var.exists():
        console.say("nothing to drop")
        return 0
    if not sure:
        console.say(f"This drops {paths.var}: the local database, chain and keys. Type yes to go on:")
        if sys.stdin.readline().strip() != "yes":
            console.say("nothing dropped")
            return 1
    with supervisor.only_one(paths):
        supervisor.end_leftovers(paths)
        shutil.rmtree(paths.var)
    console.say(f"dropped {paths.var}")
    return 0


def execute(arguments: list[str]) -> int:
    """Run Python with the environment of the stack's processes; makes secrets where there are none yet."""
    environment = plan.standing_environment(var=layout.default_var(), variables=os.environ)
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=layout.ROOT, check=False).returncode


def lock() -> int:
    """Resolve the dependencies of pyproject.toml anew, for every platform, with hashes."""
    compile_ = [str(layout.ROOT / ".venv/bin/uv"), "pip", "compile", "--universal", "--generate-hashes", "--no-header"]
    compile_ += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.12", "--quiet"]
    sources = {
        "base": ["pyproject.toml"],
        "dev": ["pyproject.toml", "--group=dev"],
        "analysis": ["--group=pyproject.toml:analysis"],
    }
    for name, options in sources.items():
        code = subprocess.run(
            [*compile_, *options, "--output-file", f"requirements/{name}.txt"], cwd=layout.ROOT, check=False
        ).returncode
        if code:
            raise errors.UnableToRunError(f"requirements/{name}.txt could not be resolved: see above.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
