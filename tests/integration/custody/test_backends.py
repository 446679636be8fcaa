"""Each backend signs for the right address with a low s; what wraps keys elsewhere keeps a seal to its row."""

import io
import json
import os
import pathlib
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import management

from contracts.bindings import user_operations
from custody import models, queries
from custody.adapters import backends, key_files, kms
from custody.domain import intents, keys, sealing
from custody.rpc import endpoints
from custody.usecases import create_key, sign
from openvpp.core import clock, errors
from tests.fakes import kms as fake_kms
from tests.integration.custody import test_signer

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100")) // 10 or 1
ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULES = (
    os.environ.get("PKCS11_TEST_MODULE", ""),
    str(ROOT / ".softhsm/usr/lib/softhsm/libsofthsm2.so"),
    "/usr/lib/softhsm/libsofthsm2.so",
)
# Where `make softhsm` and Debian's package put them.
UTILITIES = (str(ROOT / ".softhsm/usr/bin/softhsm2-util"), "/usr/bin/softhsm2-util")


@pytest.fixture
def in_kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_kms.Kms]:
    """KMS on loopback, and the environment that leads there."""
    account = fake_kms.Kms()
    served = fake_kms.serve(account)
    for name, value in (
        ("KMS_ENDPOINT", next(served)),
        ("AWS_REGION", fake_kms.REGION),
        ("AWS_ACCESS_KEY_ID", fake_kms.ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", fake_kms.SECRET_KEY),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    yield account
    next(served, None)


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh token of SoftHSM; the environment of a process that uses it."""
    module = next((path for path in MODULES if path and pathlib.Path(path).exists()), None)
    utility = next((path for path in UTILITIES if pathlib.Path(path).exists()), None)
    if module is None or utility is None:
        pytest.skip("SoftHSM is not here: `make softhsm` fetches it where Debian's packages are reached.")
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    (home / "pin").write_text("1234")
    settings = home / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {"SOFTHSM2_CONF": str(settings), "PKCS11_MODULE": module, "PKCS11_TOKEN": "tests"}
    command = [utility, "--module", module, "--init-token", "--free", "--label", "tests", "--pin", "1234"]
    subprocess.run([*command, "--so-pin", "12345678"], check=True, capture_output=True, env=os.environ | environment)
    return environment | {"PKCS11_PIN_FILE": str(home / "pin")}


@pytest.fixture(params=["local", "kms", "pkcs11"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "kms":
        request.getfixturevalue("in_kms")
    if request.param == "pkcs11":
        for name, value in request.getfixturevalue("softhsm").items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("KEY_BACKENDS", f"relayer={request.param},session={request.param}")
    return str(request.param)


def ring() -> sealing.Ring:
    key = sealing.KeyEncryptionKey(keys.Secret(os.urandom(32)))
    return sealing.Ring(current=key, open_reference=backends.open_reference)


def test_random_operations_recover_to_the_key_with_low_s(backend: str) -> None:
    secret, address = backends.make(purpose="session", label=f"random:{backend}")
    own = ring()
    binding = sealing.Binding(purpose="session", subject="s", policy={}, address=address)
    signer = own.open(seal=own.seal(secret=secret, binding=binding), binding=binding)
    for number in range(EXAMPLES):
        operation = user_operations.UserOperation(
            sender=os.urandom(20),
            nonce=number,
            init_code=b"",
            call_data=os.urandom(secrets.randbelow(600)),
            verification_gas_limit=secrets.randbits(20),
            call_gas_limit=secrets.randbits(20),
            pre_verification_gas=secrets.randbits(20),
            max_priority_fee_per_gas=secrets.randbits(40),
            max_fee_per_gas=secrets.randbits(40),
            paymaster_and_data=os.urandom(secrets.randbelow(200)),
        )
        digest = user_operations.hash_user_operation(operation=operation, chain_id=31337, entry_point=os.urandom(20))
        signature = signer.sign(digest=digest)
        assert keys.recover(digest=digest, signature=signature) == address
        assert int.from_bytes(signature[32:64], "big") <= keys.ORDER // 2
        assert signature[64] in (27, 28)


@pytest.mark.django_db(transaction=True)
def test_the_signer_signs_with_each_backend_and_the_row_is_bound(backend: str) -> None:
    own = ring()
    policy = {"chain_id": 31337, "entry_point": "0x" + test_signer.ENTRY_POINT.hex(), "max_cost_wei": 10**18}
    made = [
        create_key.create_key(
            purpose="relayer", subject=f"relayer:{backend}:{n}", policy=policy, ring=own, now=clock.get_now()
        )
        for n in (1, 2)
    ]
    intent = intents.Transaction(transaction=test_signer.bundle(made[0]))
    signature = sign.sign(key_id=made[0].pk, intent=intent, ring=own, now=clock.get_now())
    assert keys.recover(digest=intent.digest(), signature=signature) == made[0].address
    assert models.SignatureLog.objects.filter(key=made[0]).count() == 1

    columns = ("ciphertext", "nonce", "wrapped_data_key", "wrap_nonce")
    models.SealedSecret.objects.filter(key=made[0]).update(**{name: getattr(made[1].secret, name) for name in columns})
    with pytest.raises(sign.UnableToSign) as refusal:
        sign.sign(key_id=made[0].pk, intent=intent, ring=own, now=clock.get_now())
    assert refusal.value.code == "key_not_open"
    assert models.SignatureLog.objects.filter(key=made[0]).count() == 1


def test_a_disabled_key_of_kms_refuses(in_kms: fake_kms.Kms) -> None:
    key = kms.Key.generate(label="relayer:1")
    key.sign(digest=bytes(32))
    in_kms.disabled.update(in_kms.keys)
    with pytest.raises(kms.RefusedByKms) as refusal:
        key.sign(digest=bytes(32))
    assert refusal.value.code == "DisabledException"


def test_kms_that_does_not_answer_or_know_us_signs_nothing(
    in_kms: fake_kms.Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = kms.Key.generate(label="relayer:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(kms.RefusedByKms) as refusal:
        key.sign(digest=bytes(32))
    assert refusal.value.code == "InvalidSignatureException"
    monkeypatch.setenv("KMS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(errors.Unreachable):
        key.sign(digest=bytes(32))


MOVES = [("kms", "kms"), ("kms", "file"), ("file", "kms"), ("pkcs11", "kms"), ("kms", "pkcs11")]
VARIABLES = {"kms": "KMS_KEY", "file": "FILE", "pkcs11": "PKCS11_LABEL"}


@pytest.fixture(params=MOVES, ids="-".join)
def move(
    in_kms: fake_kms.Kms, request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, str]]:
    """Two key-encryption keys, by the end of their variable's name and its value."""
    if "pkcs11" in request.param:
        for name, value in request.getfixturevalue("softhsm").items():
            monkeypatch.setenv(name, value)
    named = []
    for number, kind in enumerate(request.param):
        path = tmp_path / str(number)
        path.write_text(os.urandom(sealing.SECRET_BYTES).hex())
        path.chmod(0o600)
        value = {"kms": in_kms.add_wrapping_key, "file": path.as_posix, "pkcs11": secrets.token_hex}
        named.append((VARIABLES[kind], value[kind]()))
    monkeypatch.delenv("KEK_FILE", raising=False)
    return named


@pytest.mark.django_db(transaction=True)
def test_data_keys_move_from_any_key_encryption_key_to_any_other(
    move: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (before, old), (after, new) = move
    monkeypatch.setenv(f"KEK_{before}", old)
    policy = {"chain_id": 31337, "entry_point": "0x" + test_signer.ENTRY_POINT.hex(), "max_cost_wei": 10**18}
    first = key_files.load_ring_from_environment()
    key = create_key.create_key(purpose="relayer", subject="relayer:1", policy=policy, ring=first, now=clock.get_now())
    monkeypatch.delenv(f"KEK_{before}")
    monkeypatch.setenv(f"KEK_PREVIOUS_{before}", old)
    monkeypatch.setenv(f"KEK_{after}", new)
    said = io.StringIO()
    management.call_command("rewrap_keys", stdout=said)
    assert said.getvalue() == "1 keys wrapped anew\n"
    monkeypatch.delenv(f"KEK_PREVIOUS_{before}")
    alone = key_files.load_ring_from_environment()
    intent = intents.Transaction(transaction=test_signer.bundle(key))
    signature = sign.sign(key_id=key.pk, intent=intent, ring=alone, now=clock.get_now())
    assert keys.recover(digest=intent.digest(), signature=signature) == key.address


@pytest.mark.django_db(transaction=True)
def test_a_switched_off_key_of_kms_that_wraps_signs_nothing_and_one_away_is_tried_again(
    in_kms: fake_kms.Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = in_kms.add_wrapping_key()
    own = sealing.Ring(current=kms.Wrapper(key_id=key_id))
    policy = {"chain_id": 31337, "entry_point": "0x" + test_signer.ENTRY_POINT.hex(), "max_cost_wei": 10**18}
    key = create_key.create_key(purpose="relayer", subject="relayer:1", policy=policy, ring=own, now=clock.get_now())
    wish = {"key_id": key.pk, "intent": intents.Transaction(transaction=test_signer.bundle(key)).to_json()}
    application = endpoints.Application(ring=own, token="t" * 20)
    assert ask(application, wish)[0] == 200
    in_kms.disabled.add(key_id)
    status, body = ask(application, wish)
    assert (status, body["code"]) == (403, "DisabledException")
    in_kms.disabled.clear()
    monkeypatch.setenv("KMS_ENDPOINT", "http://127.0.0.1:9")
    status, body = ask(application, wish)
    assert (status, body["code"]) == (503, "unreachable")
    assert models.SignatureLog.objects.count() == 1
    assert queries.get_key(key_id=key.pk).address == key.address


def ask(application: endpoints.Application, wish: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    content, said = json.dumps(wish).encode(), []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/signatures",
        "HTTP_AUTHORIZATION": "Bearer " + "t" * 20,
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
    }
    (answer,) = application(environ, lambda status, _headers: said.append(int(status[:3])))
    return said[0], json.loads(answer)


@pytest.fixture(params=["kms", "pkcs11"])
def wrapper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "kms":
        return kms.Wrapper(key_id=request.getfixturevalue("in_kms").add_wrapping_key())
    for name, value in request.getfixturevalue("softhsm").items():
        monkeypatch.setenv(name, value)
    from custody.adapters import hardware  # noqa: PLC0415 - loads a vendor's library

    return hardware.Wrapper(label="kek")


def test_data_keys_are_wrapped_elsewhere_and_bound(wrapper: sealing.Wrapper) -> None:
    key = keys.PrivateKey.generate()
    own = sealing.Ring(current=wrapper)
    binding = sealing.Binding(purpose="session", subject="a", policy={"n": 1}, address=key.address)
    seal = own.seal(secret=key.secret(), binding=binding)
    assert own.open(seal=seal, binding=binding).address == key.address
    moved = sealing.Binding(purpose="session", subject="b", policy={"n": 1}, address=key.address)
    with pytest.raises(sealing.UnableToOpenSeal):
        own.open(seal=seal, binding=moved)
    assert seal.key_encryption_key_id == wrapper.id
    local = sealing.KeyEncryptionKey(keys.Secret(os.urandom(32)))
    there = sealing.Ring(current=local, older=(wrapper,)).rewrap(seal=seal, binding=binding)
    assert sealing.Ring(current=local).open(seal=there, binding=binding).address == key.address
