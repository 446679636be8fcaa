import pathlib
import socket
import stat

import pytest

from openvpp.stack import errors, layout


def test_secret_is_made_once_and_private(tmp_path: pathlib.Path) -> None:
    first = layout.secret_file(tmp_path, "key")
    secret = layout.read_secret(first)

    assert layout.read_secret(layout.secret_file(tmp_path, "key")) == secret
    assert len(bytes.fromhex(secret)) == 32
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_port_stays_until_somebody_takes_it(tmp_path: pathlib.Path) -> None:
    first = layout.Ports(path=tmp_path / "ports.json").port("redis")
    assert layout.Ports(path=tmp_path / "ports.json").port("redis") == first

    with socket.socket() as taker:
        taker.bind(("127.0.0.1", first))
        taker.listen()
        assert layout.Ports(path=tmp_path / "ports.json").port("redis") != first


def test_damaged_file_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "run.json").write_text("{")

    with pytest.raises(errors.UnableToRunError, match=r"run\.json is damaged: delete it, or start over"):
        layout.read_json(tmp_path / "run.json")
