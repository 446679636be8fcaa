"""The people of the seeded utility, each with a random password of their own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from allauth.account import models as account_models

from customers import models as customer_models
from customers import operations as customers
from openvpp.core import db
from openvpp.seed import run_file

Role = customer_models.StaffRole.Role


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who they are and, for staff, what they do."""

    key: str
    email: str
    name: str
    role: str = "customer"
    is_superuser: bool = False


PEOPLE = (
    Person(key="ada", email="ada@example.com", name="Ada Moreno"),
    Person(key="ben", email="ben@example.com", name="Ben Okafor"),
    Person(key="csr", email="csr@harbor.example", name="Carla Reyes", role=Role.CSR),
    Person(key="programs", email="programs@harbor.example", name="Paul Meyer", role=Role.PROGRAM_MANAGER),
    Person(key="second", email="second@harbor.example", name="Maria Lindqvist", role=Role.ADMINISTRATOR),
    Person(key="admin", email="admin@harbor.example", name="Alma Novak", role=Role.ADMINISTRATOR, is_superuser=True),
)


@db.transaction
def seed_people(*, utility: customer_models.Utility, known: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Make who is missing and return everybody with their password; a password that is not known is set anew."""
    found: dict[str, dict[str, str]] = {}
    for person in PEOPLE:
        before = known.get(person.key, {})
        user = customer_models.User.objects.filter(email=person.email).first()
        password = str(before.get("password", ""))
        if user is None:
            password = run_file.fresh_password()
            user = customer_models.User.objects.create_user(person.email, password, name=person.name)
        elif not password or not user.check_password(password):
            password = run_file.fresh_password()
            user.set_password(password)
            user.save(update_fields=["password"])
        account_models.EmailAddress.objects.update_or_create(
            user=user, email=person.email, defaults={"verified": True, "primary": True}
        )
        if person.role != "customer":
            customers.add_staff(user=user, utility_id=utility.pk, role=person.role)
        if person.is_superuser and not user.is_superuser:
            customer_models.User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
        found[person.key] = {
            "email": person.email,
            "password": password,
            "name": person.name,
            "role": "superuser" if person.is_superuser else str(person.role),
        }
    return found
