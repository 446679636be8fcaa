"""Sponsorship policies for tests, and operations that ask for them."""

import datetime
import os
import uuid
from typing import Any

from django.db.models import F

from contracts.bindings import user_operations
from openvpp.core import clock
from relayer import models
from relayer.domain import wire
from tests.integration.relayer import application as applications
from tests.integration.relayer.conftest import Relayer

MOST_WEI = (100_000 + 200_000 + 60_000 + 60_000 + 25_000) * 2_000_000_000


def policy(relayer: Relayer, **terms: Any) -> models.SponsorshipPolicy:
    """Let the fixture's utility pay, in UTC days unless said otherwise."""
    now = clock.get_now()
    defaults = {"name": "Tests", "period": "day", "starts_at": now - datetime.timedelta(days=1), "made_at": now}
    if "limit_wei" not in terms and "limit_count" not in terms:
        defaults["limit_wei"] = 10**18
    return models.SponsorshipPolicy.objects.create(utility=relayer.utility, **(defaults | terms))


def draft(account: applications.Account, *, nonce: int = 0) -> user_operations.UserOperation:
    """Return an operation that may cost `MOST_WEI`; nothing is asked of the chain for it."""
    return draft_of(account.address, nonce=nonce)


def draft_of(sender: bytes, *, nonce: int = 0) -> user_operations.UserOperation:
    """Return the same for any account."""
    return user_operations.UserOperation(
        sender=sender,
        nonce=nonce,
        init_code=b"",
        call_data=b"\x12\x34\x56\x78" + os.urandom(32),
        verification_gas_limit=100_000,
        call_gas_limit=200_000,
        pre_verification_gas=60_000,
        max_priority_fee_per_gas=10**6,
        max_fee_per_gas=2_000_000_000,
        signature=b"",
    )


def asked(operation: user_operations.UserOperation, chain_id: int, context: object = None) -> tuple[object, ...]:
    """Return the parameters of pm_getPaymasterData."""
    return (wire.write_operation(operation), applications.ENTRY_POINT, hex(chain_id), context)


def over() -> int:
    """Count the budgets that hold more than they may; the database should not let there be any."""
    used = F("reserved_wei") + F("settled_wei")
    return models.GasBudget.objects.filter(limit_wei__lt=used).count()


def sums_agree() -> bool:
    """Say whether what the budgets hold is what their sponsorships say, to the wei."""
    for budget in models.GasBudget.objects.all():
        rows = models.Sponsorship.objects.filter(budgets__contains=[budget.pk])
        reserved = [int(row.reserved_wei) for row in rows if row.state == "reserved"]
        settled = [int(row.cost_wei or 0) for row in rows if row.state == "settled"]
        held = (int(budget.reserved_wei), budget.reserved_count, int(budget.settled_wei), budget.settled_count)
        if held != (sum(reserved), len(reserved), sum(settled), len(settled)):
            return False
    return True


def program_of(account_address: str) -> uuid.UUID:
    """Let a wallet's owner take part in a program."""
    program = uuid.uuid4()
    models.ProgramWallet.objects.create(program=program, wallet=account_address)
    return program
