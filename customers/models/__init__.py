"""Utilities (the tenants), people, accounts, premises and the service they take, by subject."""

from customers.models.accounts import AccountAccess, ClaimAttempt, CustomerAccount
from customers.models.closings import Closing
from customers.models.people import Customer, SignIn, User, UserManager
from customers.models.service import MeterInstallation, Premise, ServiceAgreement, ServicePoint
from customers.models.tenants import AcceptedToken, FeeMode, StaffRole, TenantQuerySet, Utility

__all__ = [
    "AcceptedToken",
    "AccountAccess",
    "ClaimAttempt",
    "Closing",
    "Customer",
    "CustomerAccount",
    "FeeMode",
    "MeterInstallation",
    "Premise",
    "ServiceAgreement",
    "ServicePoint",
    "SignIn",
    "StaffRole",
    "TenantQuerySet",
    "User",
    "UserManager",
    "Utility",
]
