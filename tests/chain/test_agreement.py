"""Python and Solidity agree on random policies, states and payments: hashes, packing, decisions, counters.

`PROPERTY_EXAMPLES` says on how many; `make verify` plays 10,000.
"""

import os
import random

import eth_abi

from contracts.bindings import accounts, payments, sessions, words
from tests import chain_fixture

CASES = int(os.environ.get("PROPERTY_EXAMPLES", "2000"))
BATCH = 200
FLAGS = (1, 1, 1, 1, 1, 1, 0, 2, 3, 5, 7)
CASE = "(bytes32[5],bytes32,uint256,bytes16,uint256,uint256,bool,uint32,uint40)"
ANSWER = "(bytes32,bytes32,bytes32,bool,bytes4,uint256)"
DECIDE = words.selector(f"decide({CASE}[])")
REFUSALS = {
    words.selector(f"{name}({arguments})"): name
    for name, arguments in {
        "SessionNotLive": "bytes32,uint256",
        "NothingToPay": "",
        "AboveFeeLimit": "uint256,uint256",
        "OutsideSession": "uint256,uint256,uint256",
        "AbovePaymentLimit": "uint256,uint256",
        "AbovePeriodLimit": "uint256,uint256",
        "AboveTotalLimit": "uint256,uint256",
        "NoFeeToken": "",
    }.items()
}


def _near(chance: random.Random, limit: int) -> int:
    """Return an amount about a limit, or anywhere below it, or nothing."""
    return max(0, chance.choice((0, limit, limit + 1, limit - 1, chance.randint(0, limit))))


def _policy(chance: random.Random, now: int, yes: bytes) -> sessions.SessionPolicy:
    def amount() -> int:
        return chance.choice((chance.getrandbits(96), chance.randint(1, 1_000), 2**96 - 1, 1_000))

    return sessions.SessionPolicy(
        key=chance.choice((bytes(20), *[chance.randbytes(20)] * 7)),
        payee=chance.choice((bytes(20), *[chance.randbytes(20)] * 7)),
        token=yes,
        fee_token=chance.choice((bytes(20), yes, chance.randbytes(20), yes)),
        max_per_payment_units=amount(),
        max_per_period_units=amount(),
        max_total_units=amount(),
        max_fee_units=amount(),
        max_fee_in_fee_token_units=0,
        starts_at=chance.choice((now - 100, now, now - 10**7, now + 1, 0)),
        ends_at=chance.choice((now + 1, now, now + 10**8, 2**40 - 1, now - 5)),
        period_seconds=chance.choice((0, 3_600, 3_599, 86_400, 30 * 86_400, 2**32 - 1)),
        salt=chance.getrandbits(48),
    )


def _state(chance: random.Random, policy: sessions.SessionPolicy, now: int) -> tuple[accounts.SessionState, int]:
    flags = chance.choice(FLAGS)
    total = min(_near(chance, policy.max_total_units), 2**96 - 1)
    in_period = min(_near(chance, policy.max_per_period_units), total)
    here = policy.period_at(timestamp=now) if policy.starts_at <= now else 0
    period = max(0, chance.choice((here, here, here - 1, 0))) & 0xFFFFFF
    sequence = chance.getrandbits(32)
    state = accounts.SessionState(
        is_installed=bool(flags & 1),
        is_revoked=bool(flags & 2),
        is_frozen=bool(flags & 4),
        spent_total_units=total,
        spent_in_period_units=in_period,
        period=period,
        lane_sequence=sequence,
    )
    return state, total << 160 | in_period << 64 | period << 40 | sequence << 8 | flags


def test_random_cases(chain: chain_fixture.Chain) -> None:
    agreement = chain_fixture.create(chain, "Agreement", b"", source="Agreement")
    yes = chain_fixture.create(chain, "YesToken", b"", source="Agreement")
    chance = random.Random(20_260_101)
    seen: set[str | None] = set()

    for _ in range(CASES // BATCH):
        now = chain.now()
        made = []
        for _ in range(BATCH):
            policy = _policy(chance, now, yes)
            state, word = _state(chance, policy, now)
            in_fee_token = chance.random() < 0.2 and policy.fee_token in (bytes(20), yes)
            payment = payments.BillPayment(
                policy=policy,
                reference=chance.randbytes(16),
                amount_units=_near(chance, min(policy.max_per_payment_units, policy.max_total_units)),
                fee_units=_near(chance, 0 if in_fee_token else policy.max_fee_units),
                in_fee_token=in_fee_token,
            )
            made.append((payment, state, word, chance.getrandbits(32), chance.getrandbits(40)))
        encoded = eth_abi.encode(  # type: ignore[attr-defined]
            [f"{CASE}[]"],
            [
                [
                    (
                        [sessions.pack(policy=payment.policy)[i : i + 32] for i in range(0, 160, 32)],
                        words.keccak(payment.reference),
                        word,
                        payment.reference,
                        payment.amount_units,
                        payment.fee_units,
                        payment.in_fee_token,
                        sequence,
                        deadline,
                    )
                    for payment, _, word, sequence, deadline in made
                ]
            ],
        )
        answers, timestamp = eth_abi.decode(  # type: ignore[attr-defined]
            [f"{ANSWER}[]", "uint256"], chain.call(agreement, DECIDE + encoded)
        )
        for (payment, state, word, sequence, deadline), answer in zip(made, answers, strict=True):
            seen.add(_agree(payment, state, word, sequence, deadline, answer, timestamp))

    assert seen == {None, *REFUSALS.values()}


def _agree(  # noqa: PLR0917
    payment: payments.BillPayment,
    state: accounts.SessionState,
    word: int,
    sequence: int,
    deadline: int,
    answer: tuple[bytes, bytes, bytes, bool, bytes, int],
    timestamp: int,
) -> str | None:
    """Assert that Solidity answered what Python says; return the refusal."""
    session_id, install, digest, enforceable, refused_with, new_word = answer
    policy = payment.policy
    assert session_id == sessions.session_id(policy=policy)
    assert install == sessions.install_struct_hash(policy=policy, consent=words.keccak(payment.reference))
    assert digest == payments.payment_struct_hash(payment=payment, sequence=sequence, deadline=deadline)
    assert enforceable == policy.is_enforceable()
    refusal = payments.refusal_of(payment=payment, state=state, timestamp=timestamp)
    assert REFUSALS.get(refused_with) == refusal, (payment, state, timestamp)
    if refusal is None:
        period = policy.period_at(timestamp=timestamp)
        in_period = payment.leaving_units + (state.spent_in_period_units if period == state.period else 0)
        total = state.spent_total_units + payment.leaving_units
        assert new_word == total << 160 | in_period << 64 | (period & 0xFFFFFF) << 40 | word & 0xFFFFFFFFFF
    return refusal
