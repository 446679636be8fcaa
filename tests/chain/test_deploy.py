"""Deploying by the command: idempotent, deterministic, quiet about the key, and on a chain with nothing on it."""

import json
import pathlib
import subprocess
import sys

import pytest

from contracts import deploy, deployments, plan, sender
from contracts.bindings import paymaster, user_operations, words
from tests import chain_fixture


def _run(chain: chain_fixture.Chain, key_file: pathlib.Path, out: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "contracts.deploy", "--rpc-url", chain.rpc_url, "--out", str(out)],
        cwd=chain_fixture.ROOT,
        env={"DEPLOYER_KEY_FILE": str(key_file), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_twice_changes_nothing(chain: chain_fixture.Chain, tmp_path: pathlib.Path) -> None:
    key_file = tmp_path / "deployer"
    key_file.write_text("0x" + chain_fixture.DEPLOYER.secret.hex() + "\n")
    block = chain.rpc("eth_blockNumber")

    first = _run(chain, key_file, tmp_path)
    record = (tmp_path / "31337.json").read_text()
    second = _run(chain, key_file, tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert deployments.read(tmp_path / "31337.json") == _without_block(chain.deployment, record)
    assert (tmp_path / "31337.json").read_text() == record
    assert chain.rpc("eth_blockNumber") == block
    assert chain_fixture.DEPLOYER.secret.hex() not in first.stdout + first.stderr
    hashes = json.loads(record)["code_hashes"]
    assert hashes["payouts"] == "0x" + words.keccak(chain.code(chain.deployment.payouts)).hex()


def _without_block(found: deployments.Deployment, record: str) -> deployments.Deployment:
    return deployments.Deployment(
        **{name: getattr(found, name) for name in found.__dataclass_fields__ if name != "deployed_block"},
        deployed_block=json.loads(record)["deployed_block"],
    )


def test_another_owner_deploys_beside(chain: chain_fixture.Chain) -> None:
    other = chain_fixture.Key(words.keccak(b"another deployer"))
    chain.rpc("anvil_setBalance", words.checksummed(other.address), hex(100 * chain_fixture.ETHER))

    found = deploy.deploy(rpc_url=chain.rpc_url, deployer_key=other.secret)

    assert found.account_factory == chain.deployment.account_factory
    assert found.paymaster != chain.deployment.paymaster
    deposit = chain.call(found.paymaster, paymaster.encode_get_deposit())
    assert words.read_uint(deposit, 0) == 10 * chain_fixture.ETHER
    assert chain.balance(found.ovpp, other.address) == 10**27


def test_missing_deterministic_deployer_is_brought(chain: chain_fixture.Chain) -> None:
    address = words.checksummed(plan.DETERMINISTIC_DEPLOYER)
    code = chain.code(plan.DETERMINISTIC_DEPLOYER)
    chain.rpc("anvil_setCode", address, "0x")
    chain.rpc("anvil_setNonce", address, "0x0")

    deploy.deploy(rpc_url=chain.rpc_url, deployer_key=chain_fixture.DEPLOYER.secret)

    assert chain.code(plan.DETERMINISTIC_DEPLOYER) == code


def test_entry_point_is_the_canonical_one(chain: chain_fixture.Chain) -> None:
    assert chain.deployment.entry_point == plan.ENTRY_POINT
    deposit = chain.call(plan.ENTRY_POINT, user_operations.encode_deposit_of(holder=chain.deployment.paymaster))
    assert words.read_uint(deposit, 0) == 10 * chain_fixture.ETHER


def test_unreachable_chain_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(deploy.UnableToDeploy, match="did not take the contracts"):
        deploy.deploy(rpc_url="http://127.0.0.1:9", deployer_key=b"\x01" * 32, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_key_file_that_holds_no_key_is_said(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    key_file = tmp_path / "deployer"
    key_file.write_text("c0ffee and something secret")

    code = deploy.main(["--rpc-url", "http://127.0.0.1:9", "--deployer-key-file", str(key_file)])

    said = capsys.readouterr().err
    assert code == 1
    assert "holds no private key" in said
    assert "secret" not in said


def test_where_money_is_no_key_from_a_file_deploys(
    chain: chain_fixture.Chain,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deploy, "DEVELOPMENT_CHAINS", frozenset({1}))
    block = chain.rpc("eth_blockNumber")
    key_file = tmp_path / "deployer"
    key_file.write_text(chain_fixture.DEPLOYER.secret.hex())

    code = deploy.main(["--rpc-url", chain.rpc_url, "--deployer-key-file", str(key_file), "--out", str(tmp_path)])

    assert code == 1
    assert "manage.py deploy_contracts" in capsys.readouterr().err
    assert (chain.rpc("eth_blockNumber"), list(tmp_path.iterdir())) == (block, [key_file])


def _check(chain: chain_fixture.Chain, directory: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = deploy.main(["--check", "--rpc-url", chain.rpc_url, "--out", str(directory)])
    return code, capsys.readouterr().out


def test_check_compares_the_chain_with_record_and_code(
    chain: chain_fixture.Chain, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.deploy(rpc_url=chain.rpc_url, deployer_key=chain_fixture.DEPLOYER.secret, out=tmp_path)
    everything = len(deployments.addresses(chain.deployment))
    code, said = _check(chain, tmp_path, capsys)
    assert (code, said.count("as it should be")) == (0, everything)

    # One byte of the paymaster's code is another.
    paymaster_address = chain.deployment.paymaster
    changed = bytearray(chain.code(paymaster_address))
    changed[100] ^= 1
    chain.rpc("anvil_setCode", words.checksummed(paymaster_address), "0x" + changed.hex())
    code, said = _check(chain, tmp_path, capsys)
    assert code == 1
    assert f"{words.checksummed(paymaster_address)} paymaster: another code than was deployed" in said
    assert said.count("as it should be") == everything - 1

    # A record that was made to fit does not make it this version's code.
    path = tmp_path / "31337.json"
    record = json.loads(path.read_text())
    record["code_hashes"]["paymaster"] = "0x" + words.keccak(bytes(changed)).hex()
    path.write_text(json.dumps(record))
    code, said = _check(chain, tmp_path, capsys)
    assert (code, "paymaster: another code than OpenVPPPaymaster of this version" in said) == (1, True)

    chain.rpc("anvil_setCode", words.checksummed(chain.deployment.payouts), "0x")
    code, said = _check(chain, tmp_path, capsys)
    assert (code, "payouts: no code" in said) == (1, True)


def test_check_of_an_unrecorded_chain_is_said(
    chain: chain_fixture.Chain, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = deploy.main(["--check", "--rpc-url", chain.rpc_url, "--out", str(tmp_path)])

    assert code == 1
    assert "was not verified" in capsys.readouterr().err


def test_completes_where_blocks_come_by_the_clock(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_KNOWN_AFTER_S", 0.6)
    # Such a node drops what does not fit into its next block, without a word.
    with chain_fixture.running(tmp_path, "--block-time=0.25", "--gas-limit=16000000") as chain:
        deployed = deployments.addresses(chain.deployment)
        assert [name for name, address in deployed.items() if not chain.code(address)] == []
        deposit = chain.call(plan.ENTRY_POINT, user_operations.encode_deposit_of(holder=chain.deployment.paymaster))
        assert words.read_uint(deposit, 0) == 10 * chain_fixture.ETHER
