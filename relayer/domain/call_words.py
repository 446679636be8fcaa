"""What an operation does, in words: its calldata read by our bindings, else by the ABIs of our contracts."""

import dataclasses
import decimal
import functools
from collections.abc import Callable, Mapping

from contracts import abi
from contracts.bindings import accounts, payments, tokens, words
from openvpp.core import money

_MOST_CALLS = 20
_TRANSFER = words.selector("transfer(address,uint256)")
_APPROVE = words.selector("approve(address,uint256)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that amounts are named in."""

    symbol: str
    decimals: int


type Tokens = Mapping[bytes, Token]
type Names = Mapping[bytes, str]


def describe(*, call_data: bytes, sender: bytes, tokens_by_address: Tokens, names: Names) -> list[str]:
    """Return one sentence for each thing that an account is told to do.

    `names` are those of known addresses. Nothing is guessed: what is not known is named by its selector.
    """
    if not call_data:
        return ["Does nothing; the account is only deployed, or its nonce used."]
    for read in (_bill_payment, _batch):
        try:
            return read(call_data, tokens_by_address, names)
        except accounts.UnableToReadCall:
            continue
    return [f"Tells the account {words.checksummed(sender)}: {_function(call_data)}."]


def function_name(call_data: bytes) -> str | None:
    """Return the name of the function that calldata calls, if one of our contracts or the EntryPoint has it."""
    found = _functions().get(call_data[:4])
    return None if found is None else found[0]


def _bill_payment(call_data: bytes, tokens_by_address: Tokens, names: Names) -> list[str]:
    payment = payments.decode_pay_bill(call_data=call_data)
    policy = payment.policy
    paid, payee = amount(payment.amount_units, policy.token, tokens_by_address), _party(policy.payee, names)
    said = [f"Pays a bill: {paid} to {payee}, reference {payment.reference.hex()}."]
    if payment.fee_units:
        fee_token = policy.fee_token if payment.in_fee_token else policy.token
        said.append(f"Pays a network fee of {amount(payment.fee_units, fee_token, tokens_by_address)} with it.")
    return said


def _batch(call_data: bytes, tokens_by_address: Tokens, names: Names) -> list[str]:
    calls = accounts.decode_execute_batch(call_data=call_data)
    said = [_call(call, tokens_by_address, names) for call in calls[:_MOST_CALLS]]
    if len(calls) > _MOST_CALLS:
        said.append(f"And {len(calls) - _MOST_CALLS} calls more.")
    return said or ["Makes no call."]


def _call(call: accounts.Call, tokens_by_address: Tokens, names: Names) -> str:
    sent = f" with {_coin(call.value_wei)}" if call.value_wei else ""
    if not call.data:
        return f"Sends {_coin(call.value_wei)} to {_party(call.to, names)}."
    if call.data[:4] in (_TRANSFER, _APPROVE) and len(call.data) == 4 + 64 and call.to in tokens_by_address:
        party, units = words.read_address(call.data, 4), words.read_uint(call.data, 36)
        moved = amount(units, call.to, tokens_by_address)
        if call.data[:4] == _TRANSFER:
            return f"Transfers {moved} to {_party(party, names)}."
        return f"Lets {_party(party, names)} take up to {moved}."
    try:
        batch = tokens.decode_pay_batch(call_data=call.data)
    except accounts.UnableToReadCall:
        return f"Calls {_party(call.to, names)}{sent}: {_function(call.data)}."
    total = amount(sum(batch.amounts_units), batch.token, tokens_by_address)
    return f"Pays out {total} to {len(batch.recipients)} recipients, reference {batch.reference.hex()}."


def _function(call_data: bytes) -> str:
    found = _functions().get(call_data[:4])
    if found is None:
        return f"function 0x{call_data[:4].hex()}, which is not known here ({len(call_data)} bytes)"
    name, inputs = found
    said = []
    for index, (label, kind) in enumerate(inputs):
        try:
            value = _READERS[kind](call_data[4:], 32 * index)
        except (KeyError, ValueError):
            break
        said.append(f"{label} {value}".strip())
    shown = ", ".join(said) + (", …" if said and len(said) < len(inputs) else "")
    return f"{name}({shown})" if said or not inputs else f"{name}(…)"


def amount(units: int, token: bytes, tokens_by_address: Tokens) -> str:
    """Return base units of a token as whole ones with its symbol, where it is known."""
    known = tokens_by_address.get(token)
    if known is None:
        return f"{units} base units of {words.checksummed(token)}"
    whole, point, places = f"{money.from_units(units=units, decimals=known.decimals):,f}".partition(".")
    places = places.rstrip("0")
    return f"{whole}{point if places else ''}{places} {known.symbol}"


def _coin(wei: int) -> str:
    return f"{(decimal.Decimal(wei).scaleb(-18)).normalize():f} of the chain's coin"


def _party(address: bytes, names: Names) -> str:
    name, text = names.get(address), words.checksummed(address)
    return text if name is None else f"{name} ({text})"


_READERS: Mapping[str, Callable[[bytes, int], str]] = {
    "address": lambda body, offset: words.checksummed(words.read_address(body, offset)),
    "bool": lambda body, offset: "yes" if words.read_uint(body, offset) else "no",
    "bytes32": lambda body, offset: "0x" + words.read_word(body, offset).hex(),
} | {f"uint{bits}": lambda body, offset: str(words.read_uint(body, offset)) for bits in range(8, 257, 8)}


@functools.cache
def _functions() -> dict[bytes, tuple[str, tuple[tuple[str, str], ...]]]:
    """Return every function of our contracts and of the EntryPoint by its selector: its name, its arguments."""
    found: dict[bytes, tuple[str, tuple[tuple[str, str], ...]]] = {}
    for contract in abi.CONTRACTS:
        for entry in abi.load(contract).abi:
            if entry["type"] == "function":
                inputs = tuple((argument["name"], argument["type"]) for argument in entry["inputs"])
                signature = f"{entry['name']}({','.join(_canonical(argument) for argument in entry['inputs'])})"
                found[words.selector(signature)] = (entry["name"], inputs)
    return found


def _canonical(argument: Mapping[str, object]) -> str:
    """Return a type as selectors are made of it: tuples written out."""
    kind = str(argument["type"])
    if not kind.startswith("tuple"):
        return kind
    components = argument["components"]
    inside = ",".join(_canonical(each) for each in components) if isinstance(components, list) else ""
    return f"({inside}){kind.removeprefix('tuple')}"
