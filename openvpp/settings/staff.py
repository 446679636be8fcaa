"""The admin as the utility's people see it: each entry only for whom its page opens."""

from collections.abc import Callable
from typing import Any

from django import http, urls
from django.templatetags.static import static
from django.utils import functional

static_lazy = functional.lazy(static, str)
Permission = Callable[[http.HttpRequest], bool]


def _may_view(model: str) -> Permission:
    def permission(request: http.HttpRequest) -> bool:
        from django.apps import apps  # noqa: PLC0415 - not while settings load
        from django.contrib import admin  # noqa: PLC0415

        return admin.site.get_model_admin(apps.get_model(model)).has_view_permission(request)

    return permission


def _page(title: str, icon: str, model: str) -> dict[str, Any]:
    name = model.lower().replace(".", "_")
    return {
        "title": title,
        "icon": icon,
        "link": urls.reverse_lazy(f"admin:{name}_changelist"),
        "permission": _may_view(model),
    }


def _may_read_policies(request: http.HttpRequest) -> bool:
    from openvpp.desk import policies  # noqa: PLC0415 - not while settings load

    return policies.may_open(request.user)


def _may_open_desk(request: http.HttpRequest) -> bool:
    from openvpp.desk import reading  # noqa: PLC0415 - not while settings load

    return reading.may_open(request.user)


UNFOLD = {
    "SITE_TITLE": "OpenVPP",
    "SITE_HEADER": "OpenVPP",
    "SITE_SYMBOL": "bolt",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": static_lazy("openvpp/icon.svg")}],
    "ENVIRONMENT": "openvpp.desk.zone.label",
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {
        "primary": {
            "50": "#eef4ff",
            "100": "#dbe7ff",
            "200": "#bfd4ff",
            "300": "#93b7ff",
            "400": "#5f90ff",
            "500": "#2f6dff",
            "600": "#0b5fff",
            "700": "#0a4ad1",
            "800": "#0d3fa6",
            "900": "#113982",
            "950": "#0c234f",
        },
    },
    "DASHBOARD_CALLBACK": "openvpp.desk.views.index",
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Customer service",
                "items": [
                    {
                        "title": "Find a customer",
                        "icon": "search",
                        "link": urls.reverse_lazy("desk:search"),
                        "permission": _may_open_desk,
                    },
                    _page("Customers", "person", "customers.Customer"),
                    _page("Accounts", "badge", "customers.CustomerAccount"),
                    _page("Closings", "door_open", "customers.Closing"),
                    _page("Premises", "home", "customers.Premise"),
                    _page("Service points", "electric_meter", "customers.ServicePoint"),
                    _page("Meters behind meters", "account_tree", "meters.Submeter"),
                    _page("Device keys", "vpn_key", "meters.ReadingKey"),
                    _page("Signed readings", "draw", "meters.SignedReading"),
                    _page("Notices", "notifications", "notifications.Notice"),
                ],
            },
            {
                "title": "Programs",
                "items": [
                    _page("Programs", "campaign", "programs.Program"),
                    _page("Enrollments", "how_to_reg", "programs.Enrollment"),
                    _page("Events", "event", "programs.Event"),
                    _page("Settlements", "paid", "programs.Settlement"),
                    _page("Payouts set aside", "back_hand", "programs.HeldPayout"),
                    _page("Devices", "battery_charging_full", "ders.Device"),
                    _page("Providers", "hub", "ders.Provider"),
                ],
            },
            {
                "title": "Meter data",
                "items": [
                    _page("Odd readings", "rule", "meters.MeterException"),
                    _page("Imports", "upload_file", "meters.FileImport"),
                    _page("Deliveries and edits", "history", "meters.ImportBatch"),
                    _page("CSV sources", "table", "meters.CsvSource"),
                    _page("Registers", "speed", "meters.Register"),
                    _page("Register reads", "pin", "meters.RegisterRead"),
                    _page("Rules", "tune", "meters.ValidationRules"),
                ],
            },
            {
                "title": "Money",
                "items": [
                    _page("Bills", "receipt_long", "billing.Bill"),
                    _page("Bill runs", "stacks", "billing.BillRun"),
                    _page("Payments", "payments", "billing.Payment"),
                    _page("Tariffs", "price_change", "billing.Tariff"),
                    _page("Real-time prices", "monitoring", "billing.MarketPrice"),
                    _page("Riders", "add_chart", "billing.Rider"),
                    _page("Taxes", "percent", "billing.Tax"),
                    _page("Jurisdictions", "location_city", "billing.Jurisdiction"),
                    _page("Taxed places", "pin_drop", "billing.TaxedPlace"),
                    _page("Tax exemptions", "money_off", "billing.TaxExemption"),
                    _page("Discounts", "sell", "billing.DiscountProgram"),
                    _page("Discount enrollments", "medical_information", "billing.DiscountEnrollment"),
                    _page("Credits", "redeem", "billing.AccountCredit"),
                    _page("Budget plans", "balance", "billing.BudgetPlan"),
                    _page("Prepay plans", "schedule", "billing.PrepayPlan"),
                    _page("Prepaid deposits", "savings", "billing.PrepaidDeposit"),
                    _page("Ledger accounts", "account_balance", "billing.LedgerAccount"),
                    _page("Ledger", "menu_book", "billing.LedgerTransaction"),
                ],
            },
            {
                "title": "Chain",
                "items": [
                    _page("Wallets", "account_balance_wallet", "wallets.Wallet"),
                    _page("Operations", "sync_alt", "wallets.Operation"),
                    {
                        "title": "Allowed or refused?",
                        "icon": "policy",
                        "link": urls.reverse_lazy("desk:policies"),
                        "permission": _may_read_policies,
                    },
                    _page("Wallets that follow a treasury", "moving", "wallets.TreasuryMove"),
                    _page("Apps that may pay", "key", "wallets.SessionKeyGrant"),
                    {
                        "title": "Relayer",
                        "icon": "monitor_heart",
                        "link": urls.reverse_lazy("admin:relayer_status"),
                        "permission": _may_view("relayer.UserOperation"),
                    },
                    _page("User operations", "deployed_code", "relayer.UserOperation"),
                    _page("Bundles", "inventory_2", "relayer.Bundle"),
                    _page("Relayer's keys", "local_gas_station", "relayer.RelayerKey"),
                    _page("Gas", "local_gas_station", "relayer.SponsorshipPolicy"),
                    _page("Bundler keys", "key", "relayer.ApiKey"),
                    _page("Prices", "monitoring", "relayer.TokenPrice"),
                ],
            },
            {
                "title": "Control",
                "items": [
                    _page("Changes by two people", "rule", "controls.ChangeRequest"),
                    _page("Spending policies", "policy", "controls.SpendingPolicy"),
                    _page("Freezes", "ac_unit", "controls.Freeze"),
                    _page("Address checks", "person_search", "controls.Screening"),
                    _page("Sealed keys", "encrypted", "custody.SealedKey"),
                    _page("Consents", "handshake", "custody.Consent"),
                    _page("Signatures", "draw", "custody.SignatureLog"),
                ],
            },
            {
                "title": "Utility",
                "items": [
                    _page("Utilities", "apartment", "customers.Utility"),
                    _page("Tokens", "toll", "customers.AcceptedToken"),
                    _page("Staff", "groups", "customers.StaffRole"),
                    _page("Claims of accounts", "fact_check", "customers.ClaimAttempt"),
                    _page("Weather", "thermostat", "meters.WeatherSource"),
                    _page("Third parties", "share", "sharing.ThirdParty"),
                    _page("Data shared", "handshake", "sharing.Authorization"),
                    _page("Sign-ins", "login", "customers.User"),
                ],
            },
        ],
    },
}
