"""`manage.py rate` and `rate_batch` as somebody runs them who has set nothing up."""

import csv
import gzip
import io
import json
import pathlib
import re
import subprocess
import sys

import pytest
from django.core import management

ROOT = pathlib.Path(__file__).parents[3]
TARIFF = {
    "label": "flat",
    "name": "Flat",
    "energyratestructure": [[{"rate": 0.2}]],
    "energyweekdayschedule": [[0] * 24] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
    "fixedchargefirstmeter": 10,
    "fixedchargeunits": "$/month",
}
HOURS = 8760


@pytest.fixture
def load(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "load.csv"
    path.write_text("1.5\n" * HOURS)
    return path


@pytest.fixture
def tariff(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "tariff.json"
    path.write_text(json.dumps(TARIFF))
    return path


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command with an empty environment: no secret, no address of a database."""
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, words)],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def call(*words: object) -> str:
    """Return what a command prints, run in this process: `run` takes seconds to start."""
    out = io.StringIO()
    management.call_command(*map(str, words), stdout=out)
    return out.getvalue()


def test_rate_needs_neither_settings_nor_database(tariff: pathlib.Path, load: pathlib.Path) -> None:
    done = run("rate", "--tariff", tariff, "--load", load, "--json")

    assert done.returncode == 0, done.stderr
    months = json.loads(done.stdout)["months"]
    assert len(months) == 12
    assert months[1]["components"] == {
        "total": "211.600000000",
        "energy": "201.600000000",
        "dem_flat": "0.000000000",
        "dem_tou": "0.000000000",
        "fixed": "10.000000000",
        "minimum": "0.000000000",
    }


def test_a_heading_over_the_load_is_no_row(tariff: pathlib.Path, load: pathlib.Path, tmp_path: pathlib.Path) -> None:
    headed, quarters = tmp_path / "headed.csv", tmp_path / "quarters.csv"
    headed.write_text("\ufeffLoad (kW)\r\n" + "1.5\r\n" * HOURS)
    quarters.write_text("kW\n" + "1.5\n" * 4 * HOURS)

    plain = call("rate", "--tariff", tariff, "--load", load)

    assert "211.60" in plain
    assert call("rate", "--tariff", tariff, "--load", headed) == plain
    assert call("rate", "--tariff", tariff, "--load", quarters) == plain


def test_a_corpus_is_rated_with_a_solar_system(load: pathlib.Path, tmp_path: pathlib.Path) -> None:
    corpus, solar, out = tmp_path / "corpus.ndjson.gz", tmp_path / "solar.csv", tmp_path / "out.csv"
    corpus.write_bytes(gzip.compress(json.dumps(TARIFF).encode() + b"\n\n"))
    solar.write_text("0.5\n" * HOURS)

    done = run("rate_batch", "--tariffs", corpus, "--load", load, "--generation", solar, "--out", out)

    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(out.open()))
    assert rows[0] == ["label", "component", *(f"m{month}" for month in range(1, 13))]
    assert [row[1] for row in rows[1:]] == ["total", "energy", "dem_flat", "dem_tou", "fixed", "minimum"]
    assert rows[1][:4] == ["flat", "total", "158.800000000", "144.400000000"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("cut.ndjson.gz", gzip.compress(json.dumps(TARIFF).encode())[:-12], "cut.ndjson.gz is not whole"),
        ("plain.ndjson.gz", json.dumps(TARIFF).encode(), "plain.ndjson.gz is not whole, or not what its name says"),
        ("binary.ndjson", b"\xff\xfe\x00", "binary.ndjson is not whole"),
        ("empty.ndjson", b"", "empty.ndjson holds no tariff."),
        ("odd.ndjson", json.dumps(TARIFF).encode() + b"\n[]\nx\n", "2 tariffs could not be rated."),
    ],
)
def test_a_bad_corpus_is_named(
    name: str, content: bytes, words: str, load: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    corpus = tmp_path / name
    corpus.write_bytes(content)

    with pytest.raises(management.CommandError, match=re.escape(words)):
        call("rate_batch", "--tariffs", corpus, "--load", load, "--out", tmp_path / "out.csv")


def test_what_is_wrong_stands_alone_on_stderr(load: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.ndjson").touch()

    done = run("rate_batch", "--tariffs", tmp_path / "empty.ndjson", "--load", load, "--out", tmp_path / "out.csv")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"CommandError: {tmp_path}/empty.ndjson holds no tariff."
    assert "Traceback" not in done.stderr


def test_a_zone_that_is_none_is_named(tariff: pathlib.Path, load: pathlib.Path) -> None:
    with pytest.raises(management.CommandError, match="there is no time zone 'Mars/Olympus'"):
        call("rate", "--tariff", tariff, "--load", load, "--zone", "Mars/Olympus")
