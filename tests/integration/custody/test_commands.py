"""The commands of whoever runs the signer."""

import io
import os
import pathlib

import pytest
from django.core import management
from django.core.management import base

from custody import models
from custody.adapters import key_files
from custody.domain import sealing
from custody.usecases import create_key
from openvpp.core import clock

POLICY = {"chain_id": 31337, "entry_point": "0x" + "43" * 20, "max_cost_wei": 1}


def key_file(directory: pathlib.Path, name: str) -> str:
    path = directory / name
    path.write_text(os.urandom(sealing.SECRET_BYTES).hex())
    path.chmod(0o600)
    return str(path)


@pytest.mark.django_db(transaction=True)
def test_rewrap_keys_moves_every_key_to_the_new_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = key_file(tmp_path, "old"), key_file(tmp_path, "new")
    for number in range(3):
        create_key.create_key(
            purpose="relayer",
            subject=f"relayer:{number}",
            policy=POLICY,
            ring=key_files.load_ring(path=old),
            now=clock.get_now(),
        )
    monkeypatch.setenv("KEK_FILE", new)
    with pytest.raises(base.CommandError, match="is not here"):
        management.call_command("rewrap_keys")
    monkeypatch.setenv("KEK_PREVIOUS_FILE", old)
    said = io.StringIO()
    management.call_command("rewrap_keys", stdout=said)
    assert said.getvalue() == "3 keys wrapped anew\n"
    ring = key_files.load_ring(path=new)
    for key in models.SealedKey.objects.all():
        assert ring.open(seal=key.seal, binding=key.binding).address == key.address


@pytest.mark.parametrize(
    "command", [("signer",), ("rewrap_keys",), ("change_payee", "0x" + "11" * 20, "0x" + "22" * 20)]
)
def test_a_key_file_that_others_may_read_is_refused(
    command: tuple[str, ...], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key_file(tmp_path, "kek")
    pathlib.Path(path).chmod(0o644)
    monkeypatch.setenv("KEK_FILE", path)
    with pytest.raises(base.CommandError, match="chmod 600"):
        management.call_command(*command)
    monkeypatch.delenv("KEK_FILE")
    with pytest.raises(base.CommandError, match="Set KEK_FILE"):
        management.call_command(*command)
