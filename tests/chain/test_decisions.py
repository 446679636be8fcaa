"""Python and Solidity agree on random cases: budgets, sponsorships, operation hashes, Merkle rounds.

`PROPERTY_EXAMPLES` says on how many; `make verify` plays 10,000.
"""

import dataclasses
import os
import random
from collections.abc import Sequence
from typing import Any

import eth_abi

from contracts.bindings import claims, paymaster, payments, sessions, user_operations, words
from tests import chain_fixture

CASES = int(os.environ.get("PROPERTY_EXAMPLES", "400"))
BATCH = 100
REFUSALS = {
    words.selector(f"{name}({arguments})"): name
    for name, arguments in {
        "BudgetExceeded": "uint64,uint64,uint256,uint256",
        "AboveOperationLimit": "uint64,uint64,uint256,uint256",
        "AboveDayLimit": "uint64,uint64,uint256,uint256",
        "DayUnclear": "",
        "FeeDiffersFromQuote": "uint256,uint256",
        "BadDataLength": "uint256",
        "UnknownMode": "uint8",
    }.items()
}
OPERATION = "(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"
DAY = 20_000


def _ask(chain: chain_fixture.Chain, contract: bytes, case: str, answer: str, cases: Sequence[object]) -> list[Any]:
    """Return what a contract's `decide` answers to each case."""
    data = words.selector(f"decide({case}[])") + eth_abi.encode([f"{case}[]"], [cases])  # type: ignore[attr-defined]
    (answers,) = eth_abi.decode([f"{answer}[]"], chain.call(contract, data))  # type: ignore[attr-defined]
    return list(answers)


def _budget_case(chance: random.Random) -> tuple[paymaster.Budget, int, int, int]:
    """Return a budget, a cost and a day, each often right beside a limit, and how much of the cost is not used."""
    wide = chance.random() < 0.3

    def amount() -> int:
        return chance.getrandbits(100) if wide else chance.randint(0, 40)

    spent = amount()
    budget = paymaster.Budget(
        left_wei=amount(),
        spent_on_day_wei=spent,
        day=chance.choice((0, DAY, DAY)),
        max_per_operation_wei=chance.choice((0, amount())),
        max_per_day_wei=chance.choice((0, spent + amount(), spent + 1)),
    )
    if budget.day == 0:
        budget = dataclasses.replace(budget, spent_on_day_wei=0)
    left_today = budget.max_per_day_wei - budget.spent_on_day_wei
    cost = max(0, chance.choice((amount(), budget.left_wei, budget.max_per_operation_wei + 1, left_today + 1)))
    day = chance.choice((0, DAY - 1, DAY, DAY, DAY + 1))
    return budget, min(cost, 2**103), day, chance.randint(0, cost)


def test_budgets(chain: chain_fixture.Chain) -> None:
    contract = chain_fixture.create(chain, "BudgetDecisions", b"", source="Decisions")
    chance = random.Random(20_260_201)
    seen: set[str | None] = set()
    for _ in range(0, CASES, BATCH):
        cases = [_budget_case(chance) for _ in range(BATCH)]
        encoded = [
            (
                budget.left_wei,
                budget.spent_on_day_wei,
                budget.day,
                budget.max_per_operation_wei,
                budget.max_per_day_wei,
                cost,
                day,
                min(unused, cost),
            )
            for budget, cost, day, unused in cases
        ]
        answers = _ask(
            chain,
            contract,
            "(uint104,uint104,uint40,uint128,uint128,uint104,uint40,uint104)",
            "(bytes4,uint256[3],uint256[3])",
            encoded,
        )
        for (budget, cost, day, unused), answer in zip(cases, answers, strict=True):
            refused_with, reserved, settled = answer
            refusal = budget.refusal_of(cost_wei=cost, day=day)
            seen.add(refusal)
            assert REFUSALS.get(refused_with) == refusal, (budget, cost, day)
            if refusal is None:
                after = budget.after(cost_wei=cost, day=day)
                assert reserved == (after.left_wei, after.spent_on_day_wei, after.day), (budget, cost, day)
                done = after.settled(unused_wei=min(unused, cost), day=day)
                assert settled == (done.left_wei, done.spent_on_day_wei, done.day), (budget, cost, day)
    assert seen == {None, "BudgetExceeded", "AboveOperationLimit", "AboveDayLimit", "DayUnclear"}


def _call(chance: random.Random, fee: int, *, in_fee_token: bool) -> bytes:
    policy = sessions.unpack(packed=bytes(19) + b"\x01" + bytes(140))
    payment = payments.BillPayment(
        policy=policy,
        reference=chance.randbytes(16),
        amount_units=chance.getrandbits(96),
        fee_units=fee,
        in_fee_token=in_fee_token,
    )
    data = payments.encode_pay_bill(payment=payment)
    return chance.choice((data, data, data, data, chance.randbytes(chance.randint(0, 90)), data + b"\x00", data[:4]))


def _sponsored(
    chance: random.Random, contract: bytes
) -> tuple[user_operations.UserOperation, paymaster.Sponsorship, bool]:
    """Return an operation, its sponsorship, and whether the sponsor signed it."""
    fee = chance.choice((0, 0, 1, chance.getrandbits(90)))
    sponsorship = paymaster.Sponsorship(
        paymaster=contract,
        mode=chance.choice(list(paymaster.FeeMode)),
        utility_id=chance.getrandbits(64),
        program_id=0,
        valid_after=chance.getrandbits(48),
        valid_until=chance.getrandbits(48),
        fee_units=chance.choice((fee, fee, fee, fee + 1)),
        verification_gas_limit=chance.getrandbits(120),
        post_op_gas_limit=chance.getrandbits(120),
    )
    operation = user_operations.UserOperation(
        sender=chance.randbytes(20),
        nonce=chance.getrandbits(256),
        init_code=chance.choice((b"", b"\x11" + chance.randbytes(60))),
        call_data=_call(chance, fee, in_fee_token=chance.random() < 0.5),
        verification_gas_limit=chance.getrandbits(120),
        call_gas_limit=chance.getrandbits(120),
        pre_verification_gas=chance.getrandbits(120),
        max_priority_fee_per_gas=chance.getrandbits(120),
        max_fee_per_gas=chance.getrandbits(120),
        signature=chance.randbytes(chance.choice((0, 66, 131))),
    )
    is_genuine = chance.random() < 0.8
    key = chain_fixture.SPONSOR if is_genuine else chain_fixture.RELAYER
    digest = paymaster.sponsor_digest(operation=operation, sponsorship=sponsorship, chain_id=chain_fixture.CHAIN_ID)
    signed = paymaster.sponsored(operation=operation, sponsorship=sponsorship, sponsor_signature=key.sign(digest))
    return signed, sponsorship, is_genuine


def test_sponsorships_and_operation_hashes(chain: chain_fixture.Chain) -> None:
    entry_point = chain.deployment.entry_point
    arguments = words.address(entry_point) + words.address(chain_fixture.SPONSOR.address)
    contract = chain_fixture.create(chain, "SponsorDecisions", arguments, source="Decisions")
    paymaster_address = chain.call(contract, words.selector("PAYMASTER()"))[12:]
    chance = random.Random(20_260_202)
    seen: set[str | None] = set()
    for _ in range(0, CASES, BATCH):
        cases = [_sponsored(chance, paymaster_address) for _ in range(BATCH)]
        encoded = [
            (
                words.checksummed(operation.sender),
                operation.nonce,
                operation.init_code,
                operation.call_data,
                operation.account_gas_limits,
                operation.pre_verification_gas,
                operation.gas_fees,
                operation.paymaster_and_data,
                operation.signature,
            )
            for operation, _, _ in cases
        ]
        answers = _ask(chain, contract, OPERATION, "(bytes32,bytes32,bytes4,uint256)", encoded)
        for (operation, sponsorship, is_genuine), answer in zip(cases, answers, strict=True):
            operation_hash, digest, refused_with, validation = answer
            assert operation_hash == user_operations.hash_user_operation(
                operation=operation, chain_id=chain.chain_id, entry_point=entry_point
            )
            assert digest == paymaster.sponsor_digest(
                operation=operation, sponsorship=sponsorship, chain_id=chain.chain_id
            )
            refusal = paymaster.fee_refusal_of(call_data=operation.call_data, sponsorship=sponsorship)
            seen.add(refusal)
            assert REFUSALS.get(refused_with) == refusal, (operation, sponsorship)
            if refusal is None:
                window = sponsorship.valid_after << 208 | sponsorship.valid_until << 160
                assert validation == window | (not is_genuine)
    assert seen == {None, "FeeDiffersFromQuote", "BadDataLength"}


def test_merkle_rounds(chain: chain_fixture.Chain) -> None:
    contract = chain_fixture.create(chain, "ClaimDecisions", b"", source="Decisions")
    chance = random.Random(20_260_203)
    for _ in range(0, CASES, BATCH):
        round_ = claims.Round(
            chain_id=chain.chain_id,
            contract=contract,
            funder=chance.randbytes(20),
            reference=chance.randbytes(16),
            claims=tuple(
                claims.Claim(account=chance.randbytes(20), amount_units=chance.getrandbits(90))
                for _ in range(chance.randint(1, 40))
            ),
        )
        asked = [(chance.randrange(len(round_.claims)), chance.random() < 0.3) for _ in range(BATCH)]
        encoded = [
            (
                words.checksummed(round_.funder),
                round_.reference,
                index,
                words.checksummed(round_.claims[index].account),
                round_.claims[index].amount_units + lies,
                round_.root,
                list(round_.proof(index)),
            )
            for index, lies in asked
        ]
        answers = _ask(
            chain,
            contract,
            "(address,bytes16,uint256,address,uint256,bytes32,bytes32[])",
            "(bytes32,bytes32,bool)",
            encoded,
        )
        for (index, lies), answer in zip(asked, answers, strict=True):
            round_id, leaf, is_in_round = answer
            assert round_id == round_.round_id
            assert (leaf == round_.leaf(index), is_in_round) == (not lies, not lies)
