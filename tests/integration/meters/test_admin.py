"""Staff work with readings in the admin: imports, the queue, and what each role may."""

import datetime
import pathlib

import pytest
from django import test
from django.core.files import uploadedfile
from django.urls import reverse

from customers import models as customers_models
from meters import models
from tests.factories import customers
from tests.integration.meters.test_disasters import deliver, true_values, used

HOURS = pathlib.Path(__file__).parents[2] / "data" / "meter" / "green_button" / "gb_openespi_1hrLP_32Days.xml"
PAGES = ("fileimport", "meterexception", "importbatch", "csvsource", "register", "registerread", "validationrules")


def client(user: customers_models.User) -> test.Client:
    signed_in = test.Client()
    signed_in.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return signed_in


def staff(point: customers_models.ServicePoint, role: str = "billing_analyst") -> test.Client:
    return client(customers.StaffRole.create(utility=point.premise.utility, role=role).user)


@pytest.fixture
def point(transactional_db: None) -> customers_models.ServicePoint:
    return customers.ServicePoint.create()


@pytest.fixture
def question(point: customers_models.ServicePoint) -> models.MeterException:
    broken = true_values(30)
    broken[500] = 65_535_000
    deliver(point, broken)
    return models.MeterException.objects.get()


def test_every_page_opens_for_those_who_may_look(
    point: customers_models.ServicePoint, question: models.MeterException
) -> None:
    for role, status in (("billing_analyst", 200), ("auditor", 200), ("program_manager", 403)):
        caller = staff(point, role)
        assert [caller.get(reverse(f"admin:meters_{page}_changelist")).status_code for page in PAGES] == [status] * 7
    shown = staff(point).get(reverse("admin:meters_meterexception_change", args=[question.pk]))
    assert shown.status_code == 200


def test_queue_is_filtered_assigned_and_decided(
    point: customers_models.ServicePoint, question: models.MeterException
) -> None:
    analyst = staff(point)
    listing = reverse("admin:meters_meterexception_changelist")
    assert point.number in analyst.get(listing, {"state__exact": "open", "kind__exact": "spike"}).content.decode()

    analyst.post(listing, {"action": "assign_to_me", "_selected_action": [question.pk]})
    address = reverse("admin:meters_meterexception_decide", args=[question.pk])
    assert "65535" in analyst.get(address).content.decode()
    refused = analyst.post(address, {"decision": "estimate", "reason": ""})
    assert refused.status_code == 200
    question.refresh_from_db()
    assert (question.state, question.assigned_to is not None) == ("open", True)
    wrong = analyst.post(address, {"decision": "edit", "reason": "x", "values": "yesterday 4"})
    assert "Line 1 is no time and value." in wrong.content.decode()
    stamp = question.starts_at.isoformat()
    done = analyst.post(address, {"decision": "edit", "reason": "Read on site", "values": f"{stamp} 0.5"})

    assert done.status_code == 302
    question.refresh_from_db()
    assert (question.state, question.reason) == ("edited", "Read on site")
    assert used(point, 30)[500] == 500_000


@pytest.mark.parametrize("role", ["csr", "auditor"])
def test_those_who_only_look_decide_nothing(
    point: customers_models.ServicePoint, question: models.MeterException, role: str
) -> None:
    looker = staff(point, role)
    address = reverse("admin:meters_meterexception_decide", args=[question.pk])

    assert looker.post(address, {"decision": "accept", "reason": "x"}).status_code == 403
    looker.post(
        reverse("admin:meters_meterexception_changelist"),
        {"action": "assign_to_me", "_selected_action": [question.pk]},
    )
    stranger = client(customers.StaffRole.create(role="billing_analyst").user)
    assert stranger.get(address).status_code == 404
    assert looker.get(reverse("admin:meters_fileimport_import")).status_code == 403
    question.refresh_from_db()
    assert (question.state, question.assigned_to) == ("open", None)


def test_analyst_imports_a_file_and_previews_a_csv(point: customers_models.ServicePoint) -> None:
    analyst = staff(point)
    address = reverse("admin:meters_fileimport_import")
    utility = point.premise.utility
    source = models.CsvSource.objects.create(
        utility=utility, name="plain", time_column="t", value_column="v", time_zone="UTC", interval_minutes=60
    )
    assert analyst.get(address).status_code == 200

    shown = analyst.post(
        address,
        {
            "utility": utility.pk,
            "format": "csv",
            "csv_source": source.pk,
            "only_preview": "on",
            "file": uploadedfile.SimpleUploadedFile("x.csv", b"t,v\n2026-06-01T00:00:00,1.5\n2026-06-01T01:00:00,x\n"),
        },
    )
    page = shown.content.decode()
    assert "1500000" in page
    assert "Line 3" in page
    assert not models.FileImport.objects.exists()
    done = analyst.post(
        address,
        {
            "utility": utility.pk,
            "format": "green_button",
            "service_point": point.number,
            "file": uploadedfile.SimpleUploadedFile(HOURS.name, HOURS.read_bytes()),
        },
    )
    assert done.status_code == 302
    stored = models.FileImport.objects.get()
    assert (stored.state, stored.intervals, stored.imported_by is not None) == ("stored", 768, True)
    foreign = customers.Utility.create()
    refused = analyst.post(
        address,
        {"utility": foreign.pk, "format": "nem", "file": uploadedfile.SimpleUploadedFile("x.csv", b"100,NEM12")},
    )
    assert refused.status_code == 200
    assert models.FileImport.objects.count() == 1
    assert stored.finished_at is not None
    assert stored.received_at <= datetime.datetime.now(datetime.UTC)


def test_a_role_elsewhere_ends_no_keys(point: customers_models.ServicePoint) -> None:
    key = models.ReadingKey.objects.create(
        utility=point.premise.utility,
        service_point=point,
        device="M-1",
        algorithm="ed25519",
        public_key=bytes(32),
        fingerprint="f",
        registered_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    )
    user = customers.StaffRole.create(utility=point.premise.utility, role="auditor").user
    customers.StaffRole.create(user=user, role="billing_analyst")
    chosen = {"action": "end_keys", "_selected_action": [key.pk]}

    client(user).post(reverse("admin:meters_readingkey_changelist"), chosen)
    key.refresh_from_db()
    assert key.ended_at is None
    staff(point).post(reverse("admin:meters_readingkey_changelist"), chosen)
    key.refresh_from_db()
    assert key.ended_at is not None
