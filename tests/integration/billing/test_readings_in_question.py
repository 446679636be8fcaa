"""While somebody should look at readings, no bill is made of them."""

import datetime

import pytest

from billing import models
from billing.usecases import issue_bill
from customers import models as customer_models
from meters import models as meter_models
from tests.integration.billing import test_issue_bill

agreement = test_issue_bill.agreement


def test_bill_waits_for_the_answer(agreement: customer_models.ServiceAgreement) -> None:
    point = agreement.service_point
    question = meter_models.MeterException.objects.create(
        utility=agreement.account.utility,
        service_point=point,
        kind="spike",
        is_blocking=True,
        starts_at=datetime.datetime(2012, 4, 20, tzinfo=datetime.UTC),
        ends_at=datetime.datetime(2012, 4, 20, 1, tzinfo=datetime.UTC),
        found_at=datetime.datetime(2012, 5, 1, tzinfo=datetime.UTC),
    )

    with pytest.raises(issue_bill.UnableToIssueBill) as refusal:
        test_issue_bill.issue(agreement)

    assert refusal.value.code == "readings_in_question"
    assert point.number in refusal.value.detail
    assert not models.Bill.objects.exists()
    question.state = "settled"
    question.save()
    test_issue_bill.issue(agreement)
    assert models.Bill.objects.count() == 1
