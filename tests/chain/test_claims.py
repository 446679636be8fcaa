"""Payouts to claim on a real chain: funded once, claimed by proof, returned when the round is over."""

import dataclasses

from contracts.bindings import claims, events, reverts, tokens, words
from tests import chain_fixture

FUNDER = chain_fixture.DEPLOYER.address
CALLER = chain_fixture.RELAYER.address


def _round(chain: chain_fixture.Chain, *amounts: int) -> claims.Round:
    return claims.Round(
        chain_id=chain.chain_id,
        contract=chain.deployment.payout_claims,
        funder=FUNDER,
        reference=words.keccak(b"event")[:16],
        claims=tuple(
            claims.Claim(account=words.keccak(b"device %d" % number)[12:], amount_units=amount)
            for number, amount in enumerate(amounts)
        ),
    )


def _open(chain: chain_fixture.Chain, round_: claims.Round, *, expires_at: int) -> chain_fixture.Receipt:
    deployment = chain.deployment
    chain.give(FUNDER, round_.amount_units)
    approve = tokens.encode_approve(spender=deployment.payout_claims, amount_units=round_.amount_units)
    assert chain.send(deployment.stablecoin, approve, sender=FUNDER).succeeded
    data = claims.encode_open(round_=round_, token=deployment.stablecoin, expires_at=expires_at)
    return chain.send(deployment.payout_claims, data, sender=FUNDER)


def _refusal(chain: chain_fixture.Chain, data: bytes) -> str:
    try:
        chain.call(chain.deployment.payout_claims, data, sender=CALLER)
    except chain_fixture.RefusedByNode as refused:
        return reverts.describe(refused.revert_data)
    return ""


def test_round_from_opening_to_return(chain: chain_fixture.Chain) -> None:
    contract, token = chain.deployment.payout_claims, chain.deployment.stablecoin
    round_ = _round(chain, 100, 250, 0, 7, 43)
    expires_at = chain.now() + 86_400

    opened = _open(chain, round_, expires_at=expires_at)

    assert [dataclasses.replace(e, log_index=None) for e in opened.logs if isinstance(e, events.RoundOpened)] == [
        events.RoundOpened(
            emitter=contract,
            round_id=round_.round_id,
            funder=FUNDER,
            token=token,
            reference=round_.reference,
            root=round_.root,
            amount_units=400,
            expires_at=expires_at,
        )
    ]
    for index in (1, 4):
        receipt = chain.send(contract, claims.encode_claim(round_=round_, index=index), sender=CALLER)
        claim = round_.claims[index]
        told = [(e.index, e.account, e.amount_units) for e in receipt.logs if isinstance(e, events.Claimed)]
        assert told == [(index, claim.account, claim.amount_units)]
        assert chain.balance(token, claim.account) == claim.amount_units
    assert chain.balance(token, CALLER) == 0
    assert "AlreadyClaimed" in _refusal(chain, claims.encode_claim(round_=round_, index=1))
    asked = claims.encode_is_claimed(round_id=round_.round_id, index=4)
    assert words.read_uint(chain.call(contract, asked), 0) == 1

    forged = dataclasses.replace(round_, claims=(*round_.claims[:3], claims.Claim(account=CALLER, amount_units=7)))
    assert "NotInRound" in _refusal(chain, claims.encode_claim(round_=forged, index=3))
    assert "RoundNotOver" in _refusal(chain, claims.encode_return_left(round_id=round_.round_id))
    chain.move_to(expires_at)
    assert "RoundOver" in _refusal(chain, claims.encode_claim(round_=round_, index=0))
    before = chain.balance(token, FUNDER)
    receipt = chain.send(contract, claims.encode_return_left(round_id=round_.round_id), sender=CALLER)
    assert [(e.funder, e.amount_units) for e in receipt.logs if isinstance(e, events.Returned)] == [(FUNDER, 107)]
    assert chain.balance(token, FUNDER) - before == 107
    assert chain.balance(token, contract) == 0


def test_round_of_one_needs_no_proof(chain: chain_fixture.Chain) -> None:
    round_ = _round(chain, 9)
    _open(chain, round_, expires_at=chain.now() + 100)

    assert chain.send(
        chain.deployment.payout_claims, claims.encode_claim(round_=round_, index=0), sender=CALLER
    ).succeeded
    assert round_.proof(0) == ()
    assert chain.balance(chain.deployment.stablecoin, round_.claims[0].account) == 9
