"""Doors for Celery's beat."""

import celery
from django.conf import settings

from openvpp.core import clock
from relayer.usecases import count_up, drain_key, read_balances, use_quota
from relayer.usecases import refill as refill_usecase
from relayer.usecases import refresh_prices as refresh_prices_usecase
from relayer.usecases import settle_sponsorships as settle_sponsorships_usecase


@celery.shared_task(name="relayer.refresh_prices", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def refresh_prices() -> None:
    """Read the price feeds."""
    refresh_prices_usecase.refresh_prices(chain_id=settings.CHAIN_ID, now=clock.get_now())


@celery.shared_task(name="relayer.settle_sponsorships", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def settle_sponsorships() -> None:
    """Book what sponsored operations cost, and give back what was reserved for those that can never land."""
    settle_sponsorships_usecase.settle_sponsorships(chain_id=settings.CHAIN_ID, now=clock.get_now())


@celery.shared_task(name="relayer.look_after", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def look_after() -> None:
    """Disable keys that have drained; write down what this worker counted; read what the relayer lives on."""
    drain_key.disable_drained()
    count_up.write_down(now=clock.get_now())
    read_balances.read_balances(chain_id=settings.CHAIN_ID, now=clock.get_now())


@celery.shared_task(name="relayer.refill", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def refill() -> None:
    """Fill up keys and deposits."""
    refill_usecase.refill(chain_id=settings.CHAIN_ID, now=clock.get_now())


@celery.shared_task(name="relayer.clear_out", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def clear_out() -> None:
    """Forget what was counted long ago."""
    use_quota.forget_old(now=clock.get_now())
    count_up.forget_old(now=clock.get_now())
