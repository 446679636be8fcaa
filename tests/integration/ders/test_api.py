"""`/api/v1/devices/`: four callers each, and what is refused leaves nothing behind."""

from typing import Any

import pytest
from rest_framework import test

from ders import models
from ders.usecases import add_device
from openvpp.core import models as core_models
from tests.factories import customers, ders, programs, wallets

WISH = {
    "provider": "maker",
    "provider_device_id": "PW-1",
    "name": "Garage battery",
    "kind": "battery",
    "power_kw": "5",
    "energy_kwh": "13.5",
}


@pytest.fixture
def device(db: None) -> models.Device:
    device: models.Device = ders.Device.create(provider__slug="maker")
    return device


def call(method: str, path: str, user: Any = None, scope: str = "devices:read devices:write", **body: Any) -> Any:
    """Call as a person, or as nobody."""
    client = test.APIClient()
    if user is not None:
        token = wallets.AccessToken.create(user=user, scope=scope)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token.token}")
    return getattr(client, method)(f"/api/v1/{path}", body or None, format="json")


def staff(utility: Any) -> Any:
    return customers.StaffRole.create(utility=utility, role="administrator").user


def test_four_callers_of_the_list(device: models.Device) -> None:
    owner, utility = device.customer.user, device.customer.utility

    assert call("get", "devices/").status_code == 401
    assert call("get", "devices/", owner, scope="bills:read").json()["code"] == "insufficient_scope"
    assert call("get", "devices/", customers.Customer.create(utility=utility).user).json()["results"] == []
    assert call("get", "devices/", staff(customers.Utility.create())).json()["results"] == []
    [found] = call("get", "devices/", owner).json()["results"]
    assert found == {
        "id": str(device.pk),
        "provider": "maker",
        "provider_device_id": device.provider_device_id,
        "name": device.name,
        "kind": "battery",
        "power_kw": "5.000",
        "energy_kwh": "13.500",
        "service_point_id": None,
        "state": "connected",
        "detail": "",
        "created_at": device.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_four_callers_of_one_device(device: models.Device) -> None:
    path = f"devices/{device.pk}/"
    others = [customers.Customer.create(utility=device.customer.utility).user, staff(customers.Utility.create())]

    assert call("get", path).status_code == 401
    assert call("get", path, device.customer.user, scope="bills:read").status_code == 403
    assert [call("get", path, user).status_code for user in others] == [404, 404]
    assert call("get", path, device.customer.user).json()["id"] == str(device.pk)


def test_four_callers_of_removal(device: models.Device) -> None:
    path = f"devices/{device.pk}/"
    others = [customers.Customer.create(utility=device.customer.utility).user, staff(customers.Utility.create())]

    assert call("delete", path).status_code == 401
    assert call("delete", path, device.customer.user, scope="devices:read").status_code == 403
    assert [call("delete", path, user).status_code for user in others] == [404, 404]
    device.refresh_from_db()
    assert device.state == "connected"
    assert call("delete", path, device.customer.user).status_code == 204
    device.refresh_from_db()
    assert device.state == "removed"
    assert call("delete", path, device.customer.user).status_code == 404


def test_a_removed_device_leaves_its_program(db: None) -> None:
    part = programs.join(program=programs.Program.create())

    call("delete", f"devices/{part.device_id}/", part.device.customer.user)

    part.refresh_from_db()
    part.enrollment.refresh_from_db()
    assert part.ended_at is not None
    assert part.enrollment.state == "left"


def test_four_callers_of_adding(device: models.Device) -> None:
    owner = device.customer.user

    assert call("post", "devices/", **WISH).status_code == 401
    assert call("post", "devices/", owner, scope="devices:read", **WISH).status_code == 403
    for stranger in (customers.Customer.create().user, staff(device.customer.utility)):
        refused = call("post", "devices/", stranger, **WISH)
        assert (refused.status_code, refused.json()["code"]) == (404, "provider_not_found")
    assert models.Device.objects.count() == 1

    added = call("post", "devices/", owner, **WISH)
    assert (added.status_code, added.json()["state"]) == (201, "connecting")
    job = core_models.Job.objects.get(name="ders.register_device")
    assert job.arguments == {"device_id": added.json()["id"]}


def test_a_device_is_connected_once(device: models.Device) -> None:
    wish = WISH | {"provider_device_id": device.provider_device_id}
    other = customers.Customer.create(utility=device.customer.utility).user

    refused = call("post", "devices/", other, **wish)

    assert (refused.status_code, refused.json()["code"]) == (409, "device_taken")
    assert models.Device.objects.count() == 1


def test_devices_of_a_customer_are_bounded(device: models.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_device, "MOST_DEVICES", 2)
    owner = device.customer.user
    assert call("post", "devices/", owner, **WISH).status_code == 201

    refused = call("post", "devices/", owner, **WISH | {"provider_device_id": "PW-2"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_devices")
    assert models.Device.objects.count() == 2

    assert call("delete", f"devices/{device.pk}/", owner).status_code == 204
    assert call("post", "devices/", owner, **WISH | {"provider_device_id": "PW-2"}).status_code == 201


def test_a_device_stands_at_a_point_of_its_owner(device: models.Device) -> None:
    point = customers.ServicePoint.create(premise__utility=device.customer.utility)
    refused = call("post", "devices/", device.customer.user, **WISH, service_point_id=point.pk)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_service_point")


@pytest.mark.parametrize("change", [{"power_kw": "0"}, {"power_kw": "-1"}, {"kind": "toaster"}, {"energy_kwh": "much"}])
def test_input_of_the_wrong_form_is_named(device: models.Device, change: dict[str, str]) -> None:
    refused = call("post", "devices/", device.customer.user, **(WISH | change))
    assert (refused.status_code, list(refused.json()["errors"])) == (400, list(change))


def test_no_secret_stands_in_the_database(device: models.Device) -> None:
    fields = {field.name for field in models.Provider._meta.get_fields() if hasattr(field, "column")}
    assert fields == {"id", "utility", "slug", "name", "base_url", "secret_version", "is_active"}
