"""What a journey is played with: the run file's addresses, clients and people, and who plays which part."""

import dataclasses
from typing import Any

from customers import models as customer_models
from openvpp.demo.adapters import listener, node, phone
from openvpp.seed import run_file

CAUGHT_UP_S = 15.0


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """A running stack, as `var/run.json` describes it."""

    base_url: str
    ws_url: str
    node: node.Node
    oauth: dict[str, Any]
    people: dict[str, dict[str, Any]]
    utility: customer_models.Utility


@dataclasses.dataclass(frozen=True, slots=True)
class SignedIn:
    """A customer with a phone: the API with their token, and the socket on which they are told things."""

    api: phone.Api
    listener: listener.Listener
    consent_words: list[str]
    scopes: list[str]


def find_stack() -> Stack:
    """Return the running stack.

    :raises phone.UnableToPlay: none runs, or it is not ready.
    """
    run = run_file.read()
    missing = [name for name in ("base_url", "ws_url", "node_url", "oauth", "people") if name not in run]
    if missing:
        raise phone.UnableToPlay(
            f"{run_file.path()} does not tell {', '.join(missing)}: start the stack with `make run`.", code="no_stack"
        )
    if problem := phone.is_ready(base_url=run["base_url"]):
        raise phone.UnableToPlay(f"The stack is not ready: {problem}. Start it with `make run`.", code="not_ready")
    return Stack(
        base_url=run["base_url"],
        ws_url=run["ws_url"],
        node=node.Node(url=run["node_url"]),
        oauth=run["oauth"],
        people=run["people"],
        utility=customer_models.Utility.objects.get(slug=run["utility"]["slug"]),
    )


def sign_in(*, stack: Stack, key: str) -> SignedIn:
    """Sign a customer in on their phone, with their consent, and open the socket after the last notice they saw.

    :raises phone.UnableToPlay: refused.
    """
    person = stack.people[key]
    browser = phone.Browser(base_url=stack.base_url)
    tokens = browser.authorize(client=stack.oauth["mobile"], email=person["email"], password=person["password"])
    api = phone.Api(base_url=stack.base_url, token=tokens.access, key=browser.key)
    after = _last_sequence(api)
    ticket = api.post("notices/ticket/")["ticket"]
    return SignedIn(
        api=api,
        listener=listener.Listener(url=stack.ws_url, ticket=ticket, after=after),
        consent_words=browser.consent_words,
        scopes=str(tokens.get("scope", "")).split(),
    )


def _last_sequence(api: phone.Api) -> int:
    after = 0
    while page := api.get("notices/", after=after, page_size=200)["results"]:
        after = page[-1]["sequence"]
    return after
