"""Static analysis and proofs of the contracts: `python -m contracts.analysis`, with the tools of `.venv-analysis`.

slither must find nothing of high or medium impact; what it may pass over is marked in the code, with the reason. halmos
must prove every `check_` of `test/proofs`, and must refute every `check_wrong`: were the world of a proof empty,
anything would hold in it.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from contracts import abi

_ENVIRONMENT = abi.ROOT.parent / ".venv-analysis" / "bin"
_PROOFS = abi.ROOT / "test" / "proofs"
_WRONG = "check_wrong"
_OUT = "out-analysis"
_PASSED, _REFUTED = 0, 1


class UnableToAnalyse(Exception):
    """A tool did not run, found something, or did not prove what it should."""


def main() -> int:
    """Compile what the tools read, run both, say what was found; return the exit code."""
    started = time.monotonic()
    try:
        # slither reads every build that it finds there.
        shutil.rmtree(abi.ROOT / _OUT, ignore_errors=True)
        _run("forge", "build", "--quiet", "--force")
        _look_for_findings()
        proved, refuted = _prove()
    except UnableToAnalyse as error:
        sys.stderr.write(f"openvpp: {error}\n")
        return 1
    seconds = time.monotonic() - started
    print(f"Contracts: slither found nothing, {proved} rules proved, {refuted} false ones refuted in {seconds:.0f} s")
    return 0


def _look_for_findings() -> None:
    options = ["--ignore-compile", f"--foundry-out-directory={_OUT}", "--filter-paths=node_modules|test"]
    severities = ["--exclude-informational", "--exclude-low", "--exclude-optimization", "--fail-medium"]
    _run("slither", ".", *options, *severities)


def _prove() -> tuple[int, int]:
    """Return how many rules were proved and how many false ones refuted.

    :raises UnableToAnalyse: if one was not, or a file holds none.
    """
    proved = refuted = 0
    for path in sorted(_PROOFS.glob("*.t.sol")):
        results = _results_of(path)
        for name, code in results.items():
            expected = _REFUTED if name.startswith(_WRONG) else _PASSED
            if code != expected:
                message = f"{path.name}: {name} was {'not refuted' if expected else 'not proved'}"
                raise UnableToAnalyse(message)
            proved, refuted = proved + (not expected), refuted + expected
        if not any(name.startswith(_WRONG) for name in results):
            message = f"{path.name} has no false rule to refute"
            raise UnableToAnalyse(message)
    return proved, refuted


def _results_of(path: pathlib.Path) -> dict[str, int]:
    """Return halmos' verdict on each rule of a file: 0 proved, 1 refuted, anything else undecided."""
    with tempfile.TemporaryDirectory() as directory:
        answers = pathlib.Path(directory) / "answers.json"
        contract = f"{path.name.removesuffix('s.t.sol')}Proofs"
        options = [f"--forge-build-out={_OUT}", f"--contract={contract}", "--function=check_"]
        _run("halmos", *options, f"--json-output={answers}", "--no-status", codes=(0, 1))
        found = json.loads(answers.read_text())["test_results"]
    return {test["name"]: test["exitcode"] for tests in found.values() for test in tests}


def _run(tool: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    path = os.pathsep.join((str(abi.ROOT / "node_modules" / ".bin"), str(_ENVIRONMENT), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "FOUNDRY_PROFILE": "analysis"}
    directory = abi.ROOT / "node_modules" / ".bin" if tool == "forge" else _ENVIRONMENT
    try:
        done = subprocess.run(
            [str(directory / tool), *arguments],
            cwd=abi.ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{tool} is not installed: run `make analyse`"
        raise UnableToAnalyse(message) from error
    if done.returncode not in codes:
        message = f"{tool} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        raise UnableToAnalyse(message)


if __name__ == "__main__":
    sys.exit(main())
