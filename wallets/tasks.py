"""Doors for Celery: look for operations that wait."""

import celery
from django.conf import settings

from openvpp.core import clock
from wallets.usecases import clear_out, compare_grants, relay_signature, submit_waiting, watch_wallets


@celery.shared_task(name="wallets.submit_waiting", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def submit_waiting_operations() -> None:
    """Send what was reserved and not sent; end what no phone signed in time."""
    submit_waiting.submit_waiting(now=clock.get_now())
    relay_signature.end_unsigned(now=clock.get_now())


@celery.shared_task(name="wallets.clear_out", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def clear_out_what_is_over() -> None:
    """Expire grants, end those that no app took up, and forget codes, tokens and sessions that ended."""
    clear_out.expire_grants(now=clock.get_now())
    clear_out.end_unused(now=clock.get_now())
    clear_out.forget(now=clock.get_now())


@celery.shared_task(name="wallets.watch_wallets", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def watch_our_wallets() -> None:
    """Read what happened to our wallets on the chain."""
    watch_wallets.watch_wallets(chain_id=settings.CHAIN_ID, now=clock.get_now())


@celery.shared_task(name="wallets.compare_grants", queue=settings.QUEUE_DEFAULT, ignore_result=True)
def compare_grants_with_the_chain() -> None:
    """Begin to compare every grant with its account."""
    compare_grants.start(now=clock.get_now())
