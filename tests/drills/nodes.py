"""Nodes that forget, differ, lie or do not answer."""

from collections.abc import Callable, Sequence

from contracts.bindings import words
from tests.drills import field as fields
from tests.drills import ground as grounds
from tests.drills import proxy


def dropped_transaction(field: fields.Field) -> None:
    """The node takes each bundle's transaction and forgets it, twice."""
    seen: dict[str, int] = {}

    def on_send(request: proxy.Request, forward: Callable[[], proxy.Answer]) -> proxy.Answer:
        raw = str(request["params"][0])
        seen[raw] = seen.get(raw, 0) + 1
        if seen[raw] <= 2:
            return _taken(request, raw)
        return forward()

    field.ground.first.on_send = on_send
    with field.relays():
        field.play()
    fields.met(max(seen.values(), default=0) > 2)
    field.note = f"{len(seen)} transactions"


def sent_with_an_error(field: fields.Field) -> None:
    """The node takes a transaction and answers with an error, or twice, or not at all."""
    kinds = 3
    count = 0

    def on_send(request: proxy.Request, forward: Callable[[], proxy.Answer]) -> proxy.Answer | None:
        nonlocal count
        count += 1
        answer = forward()
        if count % kinds == 0:
            return None
        if count % kinds == 1:
            refusal = {"code": -32000, "message": "internal error"}
            return {"jsonrpc": "2.0", "id": request["id"], "error": refusal}
        forward()
        return answer

    field.ground.first.on_send = on_send
    with field.relays():
        field.play()
    fields.met(count >= kinds)
    field.note = f"{count} times"


def node_times_out(field: fields.Field) -> None:
    """One of two nodes stops answering."""
    with field.relays(CHAIN_RPC_URL=field.ground.both):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        field.ground.first.fault = proxy.time_out
        loading.join()
        field.finish()
        sent = field.ground.second.sent
    fields.met(sent > 0)
    field.note = f"{sent} sent by the other"


def nodes_busy(field: fields.Field) -> None:
    """Both nodes answer 429 in turns, with a time to wait."""
    turn = 0

    def busy(_: Sequence[proxy.Request]) -> None:
        nonlocal turn
        turn += 1
        if turn % 6 == 0:
            raise proxy.Busy(1)

    field.ground.first.fault = field.ground.second.fault = busy
    with field.relays(CHAIN_RPC_URL=field.ground.both):
        field.play()
    fields.met(turn >= 6)
    field.note = f"{turn // 6} refusals"


def wrong_chain(field: fields.Field) -> None:
    """One of two nodes leads to another chain, then the other one does."""
    ground = field.ground
    ground.first.upstream = ground.other_chain_url
    with field.relays(CHAIN_RPC_URL=ground.both):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        fields.met(ground.second.sent > 0 and ground.first.sent == 0)
        ground.first.heal()
        fields.wait_for(lambda: ground.first.sent)
        ground.second.upstream = ground.other_chain_url
        loading.join()
        field.finish()


def stale_head(field: fields.Field) -> None:
    """The node that is read from stops at a block; the other goes on."""
    ground = field.ground
    with field.relays(CHAIN_RPC_URL=ground.both):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ground.first.frozen_at = field.town.head()
        sent = ground.second.sent
        loading.join()
        field.finish()
        fields.met(ground.second.sent > sent)


def quorum_differs(field: fields.Field) -> None:
    """Two nodes must agree and one stops at a block for a while: nothing is final until they do."""
    ground = field.ground
    with field.relays(CHAIN_RPC_URL=ground.both, CHAIN_QUORUM="2"):
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ground.second.frozen_at = head = field.town.head()
        fields.wait_for(lambda: field.town.head() > head + grounds.CONFIRMATIONS + 2)
        final = "SELECT count(*) FROM relayer_bundle WHERE state = 'final' AND block_number > %s"
        early = field.ground.rows(final, head - grounds.CONFIRMATIONS)
        ground.second.heal()
        loading.join()
        field.finish()
    assert early == [(0,)], f"{early} bundles became final without a quorum"


def private_node_drops(field: fields.Field) -> None:
    """Bundles go to a private node, which forgets them; after a while they go to all."""
    ground = field.ground
    ground.second.on_send = lambda request, _: _taken(request, str(request["params"][0]))
    with field.relays(CHAIN_PRIVATE_RPC_URL=ground.second.url, CHAIN_PRIVATE_SECONDS="3"):
        loading = field.town.start(field.made)
        loading.join()
        field.finish()
        fields.met(ground.second.sent > 0 and ground.first.sent > 0)
        field.note = f"{ground.second.sent} times to it, {ground.first.sent} to all"


def _taken(request: proxy.Request, raw: str) -> proxy.Answer:
    return {"jsonrpc": "2.0", "id": request["id"], "result": "0x" + words.keccak(bytes.fromhex(raw[2:])).hex()}
