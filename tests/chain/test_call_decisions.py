"""Python and Solidity agree on random cases: sessions that call, their rules and proofs, and signatures of phones.

`PROPERTY_EXAMPLES` says on how many; `make verify` plays 10,000.
"""

import os
import random

import eth_abi

from contracts.bindings import calls, words
from tests import chain_fixture
from tests.chain import phone

CASES = int(os.environ.get("PROPERTY_EXAMPLES", "400"))
BATCH = 100
POLICY = "(address,uint40,uint40,uint32,uint48,bytes32)"
RULE = "(address,bytes4,uint256,(uint256,uint256,uint256)[])"
CASE = f"({POLICY},bytes32,{RULE},bytes32[],uint256,bytes)"
ANSWER = "(bytes32,bytes32,bytes32,bool,bool,bool)"
SELECTORS = (*calls._MOVING, *calls._MOVING, *calls._NEVER_RULED)


def _rule(chance: random.Random) -> calls.CallRule:
    def bound(index: int) -> calls.WordBound:
        least = chance.choice((0, 7, chance.getrandbits(160), chance.getrandbits(256)))
        most = chance.choice((least, least, least + 3, 2**96 - 1, 2**96, 2**256 - 1))
        return calls.WordBound(index=index, least=least, most=min(most, 2**256 - 1))

    indices = [chance.choice((0, 1, 2, 3)) for _ in range(chance.randint(0, 3))]
    return calls.CallRule(
        target=chance.randbytes(20),
        selector=chance.choice((chance.randbytes(4), chance.choice(SELECTORS))),
        max_value_wei=chance.choice((0, 5, chance.getrandbits(128))),
        bounds=tuple(bound(index) for index in chance.choice((indices, [0, 1, 2], [0, 1]))),
    )


def _data(chance: random.Random, rule: calls.CallRule) -> bytes:
    given = [chance.getrandbits(256) for _ in range(4)]
    for bound in rule.bounds:
        given[bound.index] = chance.choice((bound.least, bound.most, bound.least, max(0, bound.least - 1)))
    data = rule.selector + b"".join(words.uint(word) for word in given)
    return chance.choice((data, data, data, data[: chance.randint(0, len(data))], chance.randbytes(4) + data[4:]))


def _ask(chain: chain_fixture.Chain, contract: bytes, case: str, answer: str, cases: list[object]) -> list[object]:
    data = words.selector(f"decide({case}[])") + eth_abi.encode([f"{case}[]"], [cases])  # type: ignore[attr-defined]
    (answers,) = eth_abi.decode([f"{answer}[]"], chain.call(contract, data))  # type: ignore[attr-defined]
    return list(answers)


def test_policies_rules_and_proofs(chain: chain_fixture.Chain) -> None:
    contract = chain_fixture.create(chain, "CallDecisions", b"", source="Calls")
    chance = random.Random(20_260_301)
    seen: set[tuple[bool, bool, bool]] = set()
    for _ in range(0, CASES, BATCH):
        encoded: list[object] = []
        expected: list[object] = []
        for _ in range(BATCH):
            rules = [_rule(chance) for _ in range(chance.randint(1, 5))]
            which = chance.randrange(len(rules))
            rule, asked = rules[which], chance.choice((rules[which], rules[which], rules[which], _rule(chance)))
            policy = calls.CallPolicy(
                key=chance.randbytes(20),
                starts_at=chance.getrandbits(40),
                ends_at=chance.getrandbits(40),
                max_calls=chance.getrandbits(32),
                salt=chance.getrandbits(48),
                rules=calls.root_of(rules=rules),
            )
            consent, data = chance.randbytes(32), _data(chance, asked)
            value_wei = chance.choice((0, 5, asked.max_value_wei, asked.max_value_wei + 1))
            times = (policy.starts_at, policy.ends_at, policy.max_calls, policy.salt)
            bounds = [(bound.index, bound.least, bound.most) for bound in asked.bounds]
            encoded.append((
                (words.checksummed(policy.key), *times, policy.rules),
                consent,
                (words.checksummed(asked.target), asked.selector, asked.max_value_wei, bounds),
                calls.proof_of(rules=rules, which=which),
                value_wei,
                data,
            ))  # fmt: skip
            verdict = (asked == rule, asked.allows(value_wei=value_wei, data=data), asked.keeps_tokens())
            seen.add(verdict)
            install = calls.install_struct_hash(policy=policy, consent=consent)
            expected.append((calls.session_id(policy=policy), install, asked.leaf(), *verdict))
        assert _ask(chain, contract, CASE, ANSWER, encoded) == expected
    assert len(seen) == 2**3


def test_signatures_of_phones(chain: chain_fixture.Chain) -> None:
    passkeys = chain_fixture.create(chain, "Passkeys", b"", source="Passkeys")
    contract = chain_fixture.create(chain, "PhoneDecisions", words.address(passkeys), source="Calls")
    chance = random.Random(20_260_302)
    phones = [phone.Phone(chance.getrandbits(200) + 1) for _ in range(20)]
    for _ in range(0, CASES, BATCH):
        cases: list[object] = []
        expected: list[object] = []
        for _ in range(BATCH):
            holder, digest = chance.choice(phones), chance.randbytes(32)
            signature = chance.choice((holder.sign, holder.attest))(digest)
            genuine = chance.random() < 0.7
            if not genuine:
                digest = chance.randbytes(32)
            cases.append((digest, signature))
            expected.append(words.checksummed(holder.address if genuine else words.ZERO_ADDRESS).lower())
        assert _ask(chain, contract, "(bytes32,bytes)", "address", cases) == expected
