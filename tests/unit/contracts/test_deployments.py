"""Records of deployments: written, read, looked up."""

import pathlib

import pytest

from contracts import deployments, plan


def _deployment(chain_id: int) -> deployments.Deployment:
    steps = plan.make(deployer=b"\x01" * 20, treasury=b"\x02" * 20, external=None)
    return plan.deployment(steps, chain_id=chain_id, deployed_block=12)


def test_record_there_and_back(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))
    path = deployments.write(_deployment(999), directory=tmp_path, code_hashes={"payouts": "0x00"})

    assert path == tmp_path / "999.json"
    assert deployments.load(999) == _deployment(999)
    assert list(tmp_path.iterdir()) == [path]


def test_chain_without_a_record_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVPP_DEPLOYMENTS_DIR", str(tmp_path))
    with pytest.raises(deployments.UnableToLoadDeployment, match="no contracts are recorded for chain 999"):
        deployments.load(999)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"chain_id": 1, "deployed_block": 1, "contracts": {"feeds": 1}}'])
def test_damaged_record_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "1.json"
    path.write_text(text)
    with pytest.raises(deployments.UnableToLoadDeployment, match="no record of a deployment"):
        deployments.read(path)


def test_entry_point_lands_on_its_canonical_address() -> None:
    assert _deployment(1).entry_point == plan.ENTRY_POINT


def test_addresses_follow_from_the_owner_and_not_from_the_chain() -> None:
    other = plan.make(deployer=b"\x03" * 20, treasury=b"\x02" * 20, external=None)
    assert _deployment(1).account_factory == _deployment(2).account_factory == other.addresses["account_factory"]
    assert other.addresses["paymaster"] != _deployment(1).paymaster


def test_real_chain_brings_its_own_stablecoin_and_feeds() -> None:
    external = plan.External(*(bytes([i]) * 20 for i in range(4, 8)))
    steps = plan.make(deployer=b"\x01" * 20, treasury=b"\x02" * 20, external=external)

    found = plan.deployment(steps, chain_id=1, deployed_block=1)

    assert found.stablecoin == b"\x04" * 20
    assert found.feeds == deployments.Feeds(native_usd=b"\x05" * 20, ovpp_usd=b"\x06" * 20, stablecoin_usd=b"\x07" * 20)
    assert "stablecoin" not in [step.name for step in steps.creations]
