"""The commands of whoever runs the signer."""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from django import db as django_db
from django.core import management
from django.core.management import base

from custody import models
from custody.adapters import key_files
from custody.domain import intents, sealing
from custody.usecases import create_key, sign
from openvpp.core import clock
from tests.integration.custody import test_signer

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


@contextlib.contextmanager
def past_the_triggers() -> Iterator[Any]:
    with django_db.connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield cursor
        cursor.execute("SET session_replication_role = DEFAULT")


@pytest.mark.django_db(transaction=True)
def test_check_signatures_sees_an_entry_changed_taken_out_or_cut_off(tmp_path: pathlib.Path) -> None:
    ring = key_files.load_ring(path=key_file(tmp_path, "kek"))
    policy = {"chain_id": 31337, "entry_point": "0x" + test_signer.ENTRY_POINT.hex(), "max_cost_wei": 10**18}
    for number in range(2):
        key = create_key.create_key(
            purpose="relayer", subject=f"relayer:{number}", policy=policy, ring=ring, now=clock.get_now()
        )
        for nonce in range(3):
            intent = intents.Transaction(transaction=test_signer.bundle(key, nonce=nonce))
            sign.sign(key_id=key.pk, intent=intent, ring=ring, now=clock.get_now())
    said = io.StringIO()
    management.call_command("check_signatures", stdout=said)
    assert [line.count('"sequence": 3') for line in said.getvalue().splitlines()] == [1, 1]
    seen = tmp_path / "seen"
    seen.write_text(said.getvalue())
    management.call_command("check_signatures", "--seen", str(seen), stdout=io.StringIO())

    with past_the_triggers() as cursor:
        cursor.execute("DELETE FROM custody_signaturelog WHERE key_id = %s AND sequence = 3", [key.pk])
    management.call_command("check_signatures", stdout=io.StringIO())
    with pytest.raises(base.CommandError, match=f"{key.address}: entry 3 is gone"):
        management.call_command("check_signatures", "--seen", str(seen))
    with past_the_triggers() as cursor:
        cursor.execute("DELETE FROM custody_signaturelog WHERE key_id = %s AND sequence = 1", [key.pk])
    with pytest.raises(base.CommandError, match=f"{key.address}: entry 1 does not follow"):
        management.call_command("check_signatures")
    seen.write_text("nothing of the kind")
    with pytest.raises(base.CommandError, match="is not what this command prints"):
        management.call_command("check_signatures", "--seen", str(seen))
