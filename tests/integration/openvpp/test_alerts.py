"""The alert rules speak of metrics that exist, and each has its section in the runbook."""

import pathlib
import re

import pytest
import yaml
from django import test

from tests.factories import relayer as rows

ROOT = pathlib.Path(__file__).resolve().parents[3]
RULES = [
    rule for group in yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
RUNBOOK = (ROOT / "docs/operations/alarms.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_every_metric_of_a_rule_is_exposed(client: test.Client) -> None:
    rows.make_key()
    exposed = set(re.findall(r"^# TYPE (\S+)", client.get("/metrics").content.decode(), re.MULTILINE))
    for rule in RULES:
        for name in re.findall(r"openvpp_\w+", rule["expr"]):
            assert re.sub(r"_(total|bucket)$", "", name) in exposed, (rule["alert"], name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_has_its_section(rule: dict[str, dict[str, str]]) -> None:
    name = str(rule["alert"])
    assert f"### {name}\n" in RUNBOOK
    assert rule["annotations"]["runbook"] == f"docs/operations/alarms.md#{name.lower()}"


def test_every_section_has_its_rule() -> None:
    sections = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sections == [rule["alert"] for rule in RULES]
