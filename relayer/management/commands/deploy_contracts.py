"""`manage.py deploy_contracts`."""

import pathlib
from typing import Any

from django.conf import settings
from django.core.management import base

from contracts import deployments, plan
from contracts.bindings import words
from openvpp.core import errors
from relayer.usecases import deploy_contracts

ETHER = 10**18
BROUGHT = ("stablecoin", "native_usd_feed", "ovpp_usd_feed", "stablecoin_usd_feed")


class Command(base.BaseCommand):
    help = (
        "Put this version's contracts on CHAIN_ID by a key that the signer makes and keeps, and record where they "
        "stand. The first run names the address that needs coin. Idempotent; the key's terms are sealed with it."
    )

    def add_arguments(self, parser: base.CommandParser) -> None:
        parser.add_argument("--treasury", type=words.parse_address, help="receives all $OVPP; default the deployer")
        for name in BROUGHT:
            parser.add_argument(f"--{name.replace('_', '-')}", type=words.parse_address, help="where money is")
        parser.add_argument("--deposit-wei", type=int, default=0, help="the paymaster's deposit is topped up to this")
        parser.add_argument("--stake-wei", type=int, default=0, help="the paymaster's stake is topped up to this")
        parser.add_argument("--max-cost-wei", type=int, default=20 * ETHER, help="most that leaves by one transaction")
        parser.add_argument("--max-per-day-wei", type=int, default=100 * ETHER, help="most that leaves in 24 hours")
        parser.add_argument("--out", type=pathlib.Path, default=None, help="default $OPENVPP_DEPLOYMENTS_DIR")

    def handle(self, *args: Any, **options: Any) -> None:
        named = tuple(options[name] for name in BROUGHT)
        if any(named) and not all(named):
            raise base.CommandError("Name the stablecoin and all three feeds, or none on a development chain.")
        out = options["out"] or pathlib.Path(deployments.directories()[0])
        try:
            found = deploy_contracts.deploy_contracts(
                chain_id=settings.CHAIN_ID,
                rpc_url=settings.CHAIN_RPC_URL.replace(",", " ").split()[0],
                terms=deploy_contracts.Terms(
                    treasury=options["treasury"],
                    external=plan.External(*named) if all(named) else None,
                    max_cost_wei=options["max_cost_wei"],
                    max_per_day_wei=options["max_per_day_wei"],
                ),
                deposit_wei=options["deposit_wei"],
                stake_wei=options["stake_wei"],
                out=out,
            )
        except (errors.UnableTo, errors.Unreachable) as error:
            raise base.CommandError(str(error)) from None
        self.stdout.write(f"contracts stand on chain {found.chain_id}, recorded in {out / f'{found.chain_id}.json'}")
