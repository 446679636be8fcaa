"""`python -m tests.drills [name ...]`: break what can break, and count what was lost or ran twice.

Prints a line a drill, writes docs/operations/drills.md when every drill was played, and ends with a line of JSON; the
exit code is 1 when a drill lost, doubled, left a gap or unequal books.
"""

import argparse
import json
import logging
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import traceback

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openvpp.settings.test")

import django
from rich.console import Console

from tests.drills import ground as grounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("names", nargs="*", help="drills to play; all when left out")
    parser.add_argument("--keep", action="store_true", help="leave logs behind and say where")
    asked = parser.parse_args()
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends with it
    directory = pathlib.Path(tempfile.mkdtemp(prefix="openvpp-drills-"))
    with grounds.prepared(directory) as ground:
        django.setup()
        logging.disable(logging.ERROR)
        from tests.drills import drills, load, report  # noqa: PLC0415 - after Django is set up

        unknown = set(asked.names) - drills.DRILLS.keys()
        if unknown:
            parser.error(f"no such drill: {', '.join(sorted(unknown))}; there are {', '.join(drills.DRILLS)}")
        names = asked.names or list(drills.DRILLS)
        town = load.Town(ground)
        town.prepare(drills.OPERATIONS * len(names))
        grounds.wait_for_http(f"{ground.door_url}/health/live")
        ground.chain.rpc("anvil_mine", hex(grounds.OUT_OF_REACH_BLOCKS))
        ground.chain.rpc("evm_setIntervalMining", grounds.BLOCK_S)
        outcomes, broken = [], []
        for name in names:
            try:
                outcome = drills.play(name, town)
            except Exception:  # noqa: BLE001 - the other drills go on
                broken.append(name)
                console.print(f"[red]{name} broke off[/red]\n{traceback.format_exc()}")
                ground.heal()
                continue
            outcomes.append(outcome)
            console.print(report.line(outcome))
            for problem in outcome.verdict.problems:
                console.print(f"    {problem}")
    if not asked.names and not broken:
        report.write(outcomes)
    is_good = not broken and all(each.verdict.is_good for each in outcomes)
    if asked.keep or not is_good:
        console.print(f"logs: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.write("RESULT " + json.dumps(report.summary(outcomes, broken=broken)) + "\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
