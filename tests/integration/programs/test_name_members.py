"""The relayer knows whose gas a program pays for."""

from typing import Any

import pytest

from openvpp.core import clock
from programs import models
from programs.usecases import name_members
from relayer import models as relayer_models
from relayer import queries as relayer_queries
from tests.factories import programs as program_factories
from tests.factories import wallets as wallet_factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_takes_part_is_named_and_who_leaves_is_not() -> None:
    enrollment: Any = program_factories.Enrollment.create()
    wallet = wallet_factories.Wallet.create(customer=enrollment.customer, utility=enrollment.program.utility)
    applied: Any = program_factories.Enrollment.create(program=enrollment.program, state="applied")
    wallet_factories.Wallet.create(customer=applied.customer, utility=enrollment.program.utility)
    assert name_members.name_members() == 0  # the program pays for nobody's gas
    now = clock.get_now()
    relayer_models.SponsorshipPolicy.objects.create(
        utility=enrollment.program.utility,
        name="Members",
        program=enrollment.program.pk,
        period="month",
        limit_count=5,
        starts_at=now,
        made_at=now,
    )
    assert (name_members.name_members(), name_members.name_members()) == (1, 1)
    assert relayer_queries.get_programs_of(wallet=str(wallet.address)) == [enrollment.program.pk]
    assert relayer_models.ProgramWallet.objects.count() == 1
    models.Enrollment.objects.filter(pk=enrollment.pk).update(state="left", left_at=now)
    name_members.name_members()
    assert relayer_queries.get_programs_of(wallet=str(wallet.address)) == []
