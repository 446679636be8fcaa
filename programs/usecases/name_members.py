"""The relayer is told whose gas a program may pay for: the wallets of those who take part."""

from customers import models as customer_models
from openvpp.core import db
from programs import models
from relayer import operations as relayer
from relayer import queries as relayer_queries
from wallets import models as wallet_models


@db.transaction
def name_members() -> int:
    """Bring the relayer's list up to date for each program with a gas budget; return how many programs have one."""
    programs = relayer_queries.get_paying_programs()
    for program in programs:
        customers = customer_models.Customer.objects.filter(
            enrollments__program=program, enrollments__state=models.Enrollment.State.APPROVED
        )
        wallets = wallet_models.Wallet.objects.filter(customer__in=customers)
        relayer.set_program_wallets(
            program=program, wallets=[str(each) for each in wallets.values_list("address", flat=True)]
        )
    return len(programs)
