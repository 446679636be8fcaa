"""What a deployment consists of: each contract's creation code, and the address that follows from it."""

from __future__ import annotations

import dataclasses

from contracts import abi, deployments
from contracts.bindings import words

DETERMINISTIC_DEPLOYER = words.parse_address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
# Signs the deterministic deployer's own deployment, and nothing else: nobody has its key.
DETERMINISTIC_DEPLOYERS_SIGNER = words.parse_address("0x3fAB184622Dc19b6109349B94811493BF2a45362")
ENTRY_POINT = words.parse_address("0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108")
DEVELOPMENT_PRICES_1E8 = {"native_usd": 3_000 * 10**8, "ovpp_usd": 5 * 10**6, "stablecoin_usd": 10**8}

_ENTRY_POINT_SALT = bytes.fromhex("0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9")
_SALT = words.keccak(b"openvpp")
_FEEDS = {"native_usd": b"ETH / USD", "ovpp_usd": b"OVPP / USD", "stablecoin_usd": b"devUSD / USD"}
_FEED_DECIMALS = 8
_CONTRACT_OF = {
    "account_implementation": "OpenVPPAccount",
    "account_self_custody": "OpenVPPAccount",
    "account_factory": "OpenVPPAccountFactory",
    "paymaster": "OpenVPPPaymaster",
    "relay_paymaster": "RelayPaymaster",
    "ovpp": "OVPP",
    "payouts": "Payouts",
    "payout_claims": "PayoutClaims",
    "bill_lane": "BillLane",
}


@dataclasses.dataclass(frozen=True, slots=True)
class External:
    """What a chain where money is brings along."""

    stablecoin: bytes
    native_usd: bytes
    ovpp_usd: bytes
    stablecoin_usd: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Creation:
    """One contract to create through the deterministic deployer."""

    name: str
    salt: bytes
    code: bytes

    @property
    def address(self) -> bytes:
        """Return where it will stand."""
        return words.keccak(b"\xff" + DETERMINISTIC_DEPLOYER + self.salt + words.keccak(self.code))[12:]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Contracts to create, in order, and all addresses by the names of `Deployment`, feeds included."""

    creations: tuple[Creation, ...]
    addresses: dict[str, bytes]


def make(*, deployer: bytes, treasury: bytes, external: External | None) -> Plan:
    """Return the plan of a deployment; without `external` it brings its own development stablecoin and feeds."""
    entry_point = Creation("entry_point", _ENTRY_POINT_SALT, abi.load("EntryPoint").creation_code)
    self_custody = _account("account_self_custody", entry_point=entry_point, self_custody=words.ZERO_ADDRESS)
    implementation = _account("account_implementation", entry_point=entry_point, self_custody=self_custody.address)
    creations = [
        entry_point,
        self_custody,
        implementation,
        _creation("account_factory", "OpenVPPAccountFactory", words.address(implementation.address)),
        _creation("paymaster", "OpenVPPPaymaster", words.address(entry_point.address) + words.address(deployer)),
        _creation("relay_paymaster", "RelayPaymaster", words.address(entry_point.address) + words.address(deployer)),
        _creation("ovpp", "OVPP", words.address(treasury)),
        _creation("payouts", "Payouts", b""),
        _creation("payout_claims", "PayoutClaims", b""),
        _creation("bill_lane", "BillLane", b""),
    ]
    if external is None:
        creations.append(_creation("stablecoin", "DevStablecoin", words.address(deployer)))
        creations.extend(_feed(name, deployer) for name in _FEEDS)
        brought = {}
    else:
        brought = dataclasses.asdict(external)
    return Plan(tuple(creations), brought | {creation.name: creation.address for creation in creations})


def contract_of(name: str, /) -> str | None:
    """Return the contract that stands at an address of a deployment; None for the EntryPoint and what others made."""
    return _CONTRACT_OF.get(name)


def deployment(plan: Plan, /, *, chain_id: int, deployed_block: int) -> deployments.Deployment:
    """Return the deployment that a plan leads to."""
    addresses = dict(plan.addresses)
    feeds = deployments.Feeds(**{name: addresses.pop(name) for name in _FEEDS})
    return deployments.Deployment(chain_id=chain_id, deployed_block=deployed_block, feeds=feeds, **addresses)


def _account(name: str, *, entry_point: Creation, self_custody: bytes) -> Creation:
    return _creation(name, "OpenVPPAccount", words.address(entry_point.address) + words.address(self_custody))


def _creation(name: str, contract: str, arguments: bytes) -> Creation:
    return Creation(name, _SALT, abi.load(contract).creation_code + arguments)


def _feed(name: str, owner: bytes) -> Creation:
    arguments = words.arguments(
        (
            words.address(owner),
            words.dynamic(_FEEDS[name]),
            words.uint(_FEED_DECIMALS, bits=8),
            words.uint(DEVELOPMENT_PRICES_1E8[name], bits=255),
        )
    )
    return _creation(name, "DevPriceFeed", arguments)
