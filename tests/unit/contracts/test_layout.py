"""The account's storage stays where it is."""

import json
import pathlib

import pytest

from contracts import layout

SOURCE = """
    /// @custom:storage-location erc7201:openvpp.storage.Account
    /// @param owner Owner.
    struct AccountStorage {{
        address owner;
        uint256 added;
    }}
    bytes32 private constant ACCOUNT_STORAGE = {slot};
"""
SLOT = "0x677288ac3ece3bc8bcb8f445573953fb306cbccb0fd87a72ef8fdabd6a605e00"


def test_recorded_layout_is_the_codes() -> None:
    assert json.loads(layout.SNAPSHOT.read_text()) == layout.current()
    assert sorted(layout.current()) == [
        f"openvpp.storage.Account @ {SLOT}",
        "openvpp.storage.BillSessions @ 0xfb4fe4f1fab75a65e5c293df623c4046b7403e117481b120a4eafa7159854100",
    ]


def test_members_may_only_be_added_at_the_end(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "Account.sol"
    source.write_text(SOURCE.format(slot=SLOT))
    after = layout.read(source)

    assert after == {f"openvpp.storage.Account @ {SLOT}": ["address owner", "uint256 added"]}
    assert layout.moved(before={next(iter(after)): ["address owner"]}, after=after) == []
    assert layout.moved(before={next(iter(after)): ["uint256 added"]}, after=after) == list(after)
    assert layout.moved(before={"gone": []} | after, after={}) == list(after)


def test_slot_of_another_namespace_is_refused(tmp_path: pathlib.Path) -> None:
    source = tmp_path / "Account.sol"
    source.write_text(SOURCE.format(slot="0x" + "11" * 32))

    with pytest.raises(layout.UnableToReadLayout, match="does not store openvpp"):
        layout.read(source)
