"""A seal opens only where it was made: same row, same policy, same key-encryption key."""

import dataclasses
import os
import pathlib
import pickle
import traceback

import pytest

from custody.adapters import key_files
from custody.domain import keys, sealing

POLICY = {"tag": "session/1", "chain_id": 31337, "max_total_units": 2**90}


def ring() -> sealing.Ring:
    return sealing.Ring(current=kek())


def kek() -> sealing.KeyEncryptionKey:
    return sealing.KeyEncryptionKey(keys.Secret(os.urandom(32)))


def binding(key: keys.PrivateKey, **changes: object) -> sealing.Binding:
    return dataclasses.replace(
        sealing.Binding(purpose="session", subject="grant:1", policy=POLICY, address=key.address),
        **changes,  # type: ignore[arg-type]
    )


def test_a_sealed_key_opens_with_its_binding_and_signs_as_before() -> None:
    key, own = keys.PrivateKey.generate(), ring()
    seal = own.seal(secret=key.secret(), binding=binding(key))
    digest = os.urandom(32)
    assert own.open(seal=seal, binding=binding(key)).sign(digest=digest) == key.sign(digest=digest)


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "wallet_owner"},
        {"subject": "grant:2"},
        {"policy": POLICY | {"max_total_units": 2**91}},
        {"policy": POLICY | {"extra": 1}},
        {"address": "0x" + "11" * 20},
    ],
)
def test_a_seal_with_an_altered_binding_does_not_open(change: dict[str, object]) -> None:
    key, own = keys.PrivateKey.generate(), ring()
    seal = own.seal(secret=key.secret(), binding=binding(key))
    with pytest.raises(sealing.UnableToOpenSeal):
        own.open(seal=seal, binding=binding(key, **change))


def test_a_ciphertext_moved_to_another_row_does_not_open() -> None:
    first, second, own = keys.PrivateKey.generate(), keys.PrivateKey.generate(), ring()
    moved = own.seal(secret=first.secret(), binding=binding(first))
    with pytest.raises(sealing.UnableToOpenSeal):
        own.open(seal=moved, binding=binding(second))


@pytest.mark.parametrize("field", ["ciphertext", "nonce", "wrapped_data_key", "wrap_nonce"])
def test_a_seal_with_one_bit_flipped_does_not_open(field: str) -> None:
    key, own = keys.PrivateKey.generate(), ring()
    seal = own.seal(secret=key.secret(), binding=binding(key))
    value = getattr(seal, field)
    broken = dataclasses.replace(seal, **{field: bytes([value[0] ^ 1]) + value[1:]})
    with pytest.raises(sealing.UnableToOpenSeal):
        own.open(seal=broken, binding=binding(key))


def test_another_key_encryption_key_does_not_open_even_under_the_same_id() -> None:
    key, own, other = keys.PrivateKey.generate(), ring(), ring()
    seal = own.seal(secret=key.secret(), binding=binding(key))
    with pytest.raises(sealing.UnableToOpenSeal, match="is not here"):
        other.open(seal=seal, binding=binding(key))
    forged = dataclasses.replace(seal, key_encryption_key_id=other.current.id)
    with pytest.raises(sealing.UnableToOpenSeal):
        other.open(seal=forged, binding=binding(key))


def test_a_rewrapped_seal_opens_with_the_new_key_alone_and_keeps_its_ciphertext() -> None:
    key, old, new = keys.PrivateKey.generate(), kek(), kek()
    seal = sealing.Ring(current=old).seal(secret=key.secret(), binding=binding(key))
    rewrapped = sealing.Ring(current=new, older=(old,)).rewrap(seal=seal, binding=binding(key))
    assert rewrapped.ciphertext == seal.ciphertext
    assert sealing.Ring(current=new).open(seal=rewrapped, binding=binding(key)).address == key.address
    with pytest.raises(sealing.UnableToOpenSeal):
        sealing.Ring(current=old).open(seal=rewrapped, binding=binding(key))


def test_no_secret_shows_in_a_repr_a_pickle_or_a_traceback_with_its_locals() -> None:
    secret = os.urandom(32)
    wrapper = os.urandom(32)
    own = sealing.Ring(current=sealing.KeyEncryptionKey(keys.Secret(wrapper)))
    key = keys.PrivateKey(keys.Secret(secret))
    seal = own.seal(secret=key.secret(), binding=binding(key))
    shown = _failure(own=own, seal=dataclasses.replace(seal, nonce=bytes(12)), key=key)
    said = shown + repr([own, key, key.secret(), own.current, seal.key_encryption_key_id])
    for each in (secret, wrapper):
        assert each.hex() not in said
        assert repr(each)[2:-1] not in said
        assert str(int.from_bytes(each)) not in said
    for thing in (key, key.secret(), own.current):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def _failure(*, own: sealing.Ring, seal: sealing.Seal, key: keys.PrivateKey) -> str:
    """Return the traceback of a seal that does not open, with the locals of every frame."""
    try:
        own.open(seal=seal, binding=binding(key))
    except sealing.UnableToOpenSeal as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    raise AssertionError("The seal opened.")


def test_a_key_file_open_to_others_or_without_a_key_is_refused_without_telling_what_it_says(
    tmp_path: pathlib.Path,
) -> None:
    good = tmp_path / "kek"
    good.write_text(os.urandom(32).hex() + "\n")
    good.chmod(0o600)
    assert key_files.load_ring(path=str(good)).current.id
    good.chmod(0o644)
    with pytest.raises(key_files.UnableToReadKeyFile, match="open to others"):
        key_files.load_ring(path=str(good))
    bad = tmp_path / "bad"
    bad.write_text("not-a-key-but-a-secret")
    bad.chmod(0o600)
    with pytest.raises(key_files.UnableToReadKeyFile) as refusal:
        key_files.load_ring(path=str(bad))
    shown = "".join(traceback.TracebackException.from_exception(refusal.value, capture_locals=True).format())
    assert "not-a-key-but-a-secret" not in shown
    with pytest.raises(key_files.UnableToReadKeyFile, match="cannot be read"):
        key_files.load_ring(path=str(tmp_path / "absent"))
