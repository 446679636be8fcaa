"""`manage.py seed_local`: the seeded utility, ready to be clicked through. Safe to run at every start."""

import pathlib
from typing import Any

from django.conf import settings
from django.core import management
from django.core.management import base

from billing.usecases import import_tariff
from contracts import deployments, sender
from contracts.bindings import words
from openvpp.core import clock, errors, nodes
from openvpp.seed import people, programs, run_file, utility
from openvpp.seed.adapters import coins
from wallets import operations as wallets

DATA = pathlib.Path(__file__).resolve().parents[3] / "seed_data"
TREASURY_LABEL = "Evening Peak Rewards"


class Command(base.BaseCommand):
    help = "Seed the utility harbor, its people, meters, tariff, clients and program; write var/run.json."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._seed()
        except (
            errors.UnableTo,
            errors.Unreachable,
            errors.Refused,
            deployments.UnableToLoadDeployment,
            sender.UnableToSend,
            OSError,
        ) as error:
            raise base.CommandError(str(error)) from error

    def _seed(self) -> None:
        now = clock.get_now()
        known = run_file.read()
        deployment = deployments.load(chain_id=settings.CHAIN_ID)
        harbor = utility.seed_utility(deployment=deployment)
        management.call_command("provision_chain", utility=harbor.slug)
        persons = people.seed_people(utility=harbor, known=known.get("people", {}))
        customers = utility.seed_homes(utility=harbor, emails={key: person["email"] for key, person in persons.items()})
        clients = utility.seed_clients(utility=harbor, known=known.get("oauth", {}))
        purses = {key: wallets.open_wallet(customer_id=customer.pk, now=now) for key, customer in customers.items()}
        treasury = wallets.open_treasury_wallet(utility_id=harbor.pk, label=TREASURY_LABEL, now=now)
        wallets.open_guardian_wallet(utility_id=harbor.pk, now=now)
        holders = [words.parse_address(wallet.address) for wallet in [*purses.values(), treasury]]
        coins.fund(rpc_url=nodes.addresses(settings.CHAIN_RPC_URL)[0], deployment=deployment, holders=holders)
        self._import_tariff(utility_id=harbor.pk)
        program = programs.seed_program(utility=harbor, treasury=treasury, now=now)
        programs.seed_devices(utility=harbor, customer=customers["ben"], now=now)
        for key, wallet in purses.items():
            persons[key] |= {"account": _account_number(key), "wallet": wallet.address}
        run_file.write(
            known=run_file.read()
            | {
                "base_url": settings.BASE_URL,
                "chain_id": settings.CHAIN_ID,
                "oauth": clients,
                "people": persons,
                "utility": {
                    "slug": harbor.slug,
                    "name": harbor.name,
                    "treasury_address": harbor.treasury_address,
                    "program_id": str(program.pk),
                    "program_treasury_address": treasury.address,
                    "unclaimed_account": {"number": utility.UNCLAIMED_NUMBER, "proof": utility.UNCLAIMED_PROOF},
                },
            }
        )
        self.stdout.write(f"{harbor.name} is ready: {len(persons)} people, passwords in {run_file.path()}")

    def _import_tariff(self, *, utility_id: int) -> None:
        import_tariff.import_tariff(
            utility_id=utility_id,
            code=utility.TARIFF_CODE,
            text=(DATA / "tariff_psegli_residential_tou.json").read_text(),
            effective_from=utility.OPENED_ON,
            now=clock.get_now(),
        )


def _account_number(key: str) -> str:
    return next(home.account_number for home in utility.HOMES if home.key == key)
