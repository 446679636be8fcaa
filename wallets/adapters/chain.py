"""Reads the chain over JSON-RPC: whether an account is deployed, its nonce, its balances, its sessions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from contracts import deployments
from contracts.bindings import accounts, calls, control, events, tokens, user_operations, words
from openvpp.core import errors, nodes
from wallets.domain import account_state

_TRANSFER = events.topic_of("Transfer(address,address,uint256)")


def read_account(*, address: str, chain_id: int, lane: int = 0) -> account_state.AccountState:
    """Return whether the account is deployed, and the next nonce of one of its 2**192 sequences.

    :raises errors.Unreachable: no node answered.
    """
    return read_payer(address=address, token_addresses=[], chain_id=chain_id, lane=lane)[0]


def read_payer(
    *, address: str, token_addresses: Sequence[str], chain_id: int, lane: int = 0
) -> tuple[account_state.AccountState, list[int]]:
    """Return the same and what the account holds of each token, in base units in the same order.

    :raises errors.Unreachable: no node answered.
    """
    account = words.parse_address(address)
    nonce = user_operations.encode_get_nonce(sender=account, key=lane)
    balance = tokens.encode_balance_of(holder=account)
    code, next_nonce, *held = _ask(
        chain_id=chain_id,
        calls=[
            ("eth_getCode", [address, "latest"]),
            _call(to=deployments.load(chain_id=chain_id).entry_point, data=nonce),
            *[_call(to=words.parse_address(token), data=balance) for token in token_addresses],
        ],
    )
    return account_state.AccountState(is_deployed=code != "0x", nonce=int(next_nonce, 16)), [
        int(units, 16) for units in held
    ]


def read_balances(*, holder: str, token_addresses: Sequence[str], chain_id: int) -> tuple[int, list[int]]:
    """Return the holder's native coin in wei, and base units of each token in the same order.

    :raises errors.Unreachable: no node answered.
    """
    data = tokens.encode_balance_of(holder=words.parse_address(holder))
    native, *held = _ask(
        chain_id=chain_id,
        calls=[
            ("eth_getBalance", [holder, "latest"]),
            *[_call(to=words.parse_address(token), data=data) for token in token_addresses],
        ],
    )
    return int(native, 16), [int(units, 16) for units in held]


def read_session(*, account: str, session_id: str, chain_id: int) -> accounts.SessionState | None:
    """Return where a session stands, or None while the account is not deployed.

    :raises errors.Unreachable: no node answered.
    """
    (found,) = read_sessions(sessions=[(account, session_id)], chain_id=chain_id)
    return found


def read_sessions(*, sessions: Sequence[tuple[str, str]], chain_id: int) -> list[accounts.SessionState | None]:
    """Return the same for many, each an account and one of its sessions, in their order.

    :raises errors.Unreachable: no node answered.
    """
    calls_ = [
        _call(to=words.parse_address(account), data=accounts.encode_session(session_id=bytes.fromhex(session_id[2:])))
        for account, session_id in sessions
    ]
    answers = _ask(chain_id=chain_id, calls=calls_)
    return [None if each == "0x" else accounts.decode_session(result=bytes.fromhex(each[2:])) for each in answers]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """Who controls an account now, as the chain says. `customer` is the enrolled key; it and `guardian` may be zero."""

    is_self_custodied: bool
    owner: bytes
    customer: bytes
    guardian: bytes
    announced: control.AnnouncedExit | None


def read_control(*, account: str, chain_id: int) -> ControlState | None:
    """Return who controls an account, or None while it is not deployed.

    :raises errors.Unreachable: no node answered.
    """
    to = words.parse_address(account)
    asked = [
        control.encode_is_self_custodied(),
        control.encode_owner(),
        control.encode_customer(),
        control.encode_guardian(),
        control.encode_announced_exit(),
    ]
    answers = _ask(chain_id=chain_id, calls=[_call(to=to, data=data) for data in asked])
    if answers[0] == "0x":
        return None
    is_self_custodied, owner, customer, guardian, announced = (bytes.fromhex(answer[2:]) for answer in answers)
    return ControlState(
        is_self_custodied=any(is_self_custodied),
        owner=words.read_address(owner, 0),
        customer=words.read_address(customer, 0),
        guardian=words.read_address(guardian, 0),
        announced=control.decode_announced_exit(result=announced),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedCall:
    """Where an announced call stands: Unix time from which on it may be made, or zero if it is not announced.

    `cancel_digest` is what the customer's key signs now to call it off.
    """

    owner: bytes
    customer: bytes
    ready_at: int
    cancel_digest: bytes


def read_announced_call(*, account: str, call: bytes, chain_id: int) -> AnnouncedCall:
    """Return where an announced call of a deployed account stands.

    :raises errors.Unreachable: no node answered.
    """
    asked = [
        control.encode_owner(),
        control.encode_customer(),
        control.encode_change_ready_at(call=call),
        control.encode_customer_call_digest(call=accounts.encode_cancel_change(call=call)),
    ]
    answers = _ask(chain_id=chain_id, calls=[_call(to=words.parse_address(account), data=data) for data in asked])
    owner, customer, ready_at, digest = (bytes.fromhex(answer[2:]) for answer in answers)
    return AnnouncedCall(
        owner=words.read_address(owner, 0),
        customer=words.read_address(customer, 0),
        ready_at=words.read_uint(ready_at, 0),
        cancel_digest=digest,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A decoded log and where it stands."""

    event: events.Event
    block_number: int
    transaction_hash: str
    log_index: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ControlChanged(events.Event):
    """An account tells that who controls it changed, or is to; the account itself says how it is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallSessionInstalled(events.Event):
    """An account lets a key make other calls than paying bills, which nobody here asks for."""

    session_id: bytes


_CALL_SESSION = events.topic_of(calls.INSTALLED)
_CONTROL = frozenset(
    events.topic_of(signature)
    for signature in (
        "ExitAnnounced(address,uint256,bool,bool)",
        "ExitCancelled()",
        "Exited(address)",
        "OwnerChanged(address,address)",
        "ChangeCancelled(bytes32)",
    )
)


def read_block_number(*, chain_id: int) -> int:
    """Return the number of the newest block.

    :raises errors.Unreachable: no node answered.
    """
    (number,) = _ask(chain_id=chain_id, calls=[("eth_blockNumber", [])])
    return int(number, 16)


def read_logs_of(*, accounts_: Sequence[str], first: int, last: int, chain_id: int) -> list[Seen]:
    """Return the accounts' own session logs and the tokens that came in, of the blocks `[first, last]` in their order.

    :raises errors.Unreachable: no node answered.
    """
    blocks = {"fromBlock": hex(first), "toBlock": hex(last)}
    padded = ["0x" + words.address(words.parse_address(account)).hex() for account in accounts_]
    queries_: list[dict[str, Any]] = [
        {**blocks, "address": list(accounts_)},
        {**blocks, "topics": ["0x" + _TRANSFER.hex(), None, padded]},
    ]
    found: list[Seen] = []
    for query in queries_:
        logs = _ask_any(chain_id=chain_id, method="eth_getLogs", parameters=[query])
        for log in logs if isinstance(logs, list) else []:
            event = _control_changed(log) or _call_session(log) or events.decode_rpc_log(log=log)
            if event is not None:
                found.append(
                    Seen(
                        event=event,
                        block_number=int(log["blockNumber"], 16),
                        transaction_hash=str(log["transactionHash"]),
                        log_index=int(log["logIndex"], 16),
                    )
                )
    return sorted(found, key=lambda seen: (seen.block_number, seen.log_index))


def _control_changed(log: dict[str, Any]) -> ControlChanged | None:
    topics = log["topics"]
    if not topics or bytes.fromhex(topics[0][2:]) not in _CONTROL:
        return None
    return ControlChanged(emitter=words.parse_address(log["address"]), log_index=int(log["logIndex"], 16))


def _call_session(log: dict[str, Any]) -> CallSessionInstalled | None:
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    if topics[:1] != [_CALL_SESSION]:
        return None
    emitter, index = words.parse_address(log["address"]), int(log["logIndex"], 16)
    return CallSessionInstalled(emitter=emitter, log_index=index, session_id=topics[1])


def _ask_any(*, chain_id: int, method: str, parameters: list[Any]) -> Any:
    if chain_id != settings.CHAIN_ID:
        raise errors.Unreachable(f"No node of chain {chain_id} is configured.")
    try:
        return nodes.node().call(method, *parameters)
    except nodes.NodeRefused:
        raise errors.Unreachable(f"The node refused {method}.") from None


def _call(*, to: bytes, data: bytes) -> tuple[str, list[Any]]:
    return "eth_call", [{"to": words.checksummed(to), "data": "0x" + data.hex()}, "latest"]


def _ask(*, chain_id: int, calls: Sequence[tuple[str, list[Any]]]) -> list[str]:
    if chain_id != settings.CHAIN_ID:
        raise errors.Unreachable(f"No node of chain {chain_id} is configured.")
    results: list[str] = []
    for (method, _), answer in zip(calls, nodes.node().batch(calls), strict=True):
        if not isinstance(answer, str):
            raise errors.Unreachable(f"The node refused {method}: {answer}")
        results.append(answer)
    return results
