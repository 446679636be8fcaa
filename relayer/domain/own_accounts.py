"""Accounts of ours, known by what stands on the chain and not by what an operation says."""

import dataclasses
from collections.abc import Collection

from contracts.bindings import accounts, words

# ERC-1967: keccak256("eip1967.proxy.implementation") - 1.
IMPLEMENTATION_SLOT = int.from_bytes(words.keccak(b"eip1967.proxy.implementation")) - 1
_HEAD, _TAIL = accounts.PROXY_RUNTIME_HEAD, accounts.PROXY_RUNTIME_TAIL
_OWNER_FROM = len(_HEAD) + words.ADDRESS_BYTES + len(_TAIL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An address as the chain has it: its code, and the word in the ERC-1967 slot."""

    code: bytes
    implementation_word: bytes

    def mark(self) -> str:
        """Return what changes when either does."""
        return words.keccak(words.keccak(self.code) + self.implementation_word).hex()

    def implementation(self) -> bytes | None:
        """Return what a proxy of ours runs, None if it is none."""
        code = self.code
        if len(code) != _OWNER_FROM + words.ADDRESS_BYTES or not code.startswith(_HEAD):
            return None
        built_in, tail = code[len(_HEAD) : len(_HEAD) + words.ADDRESS_BYTES], code[_OWNER_FROM - len(_TAIL) :]
        if not tail.startswith(_TAIL):
            return None
        return self.implementation_word[12:] if any(self.implementation_word) else built_in


def is_known(*, standing: Standing, init_code: bytes, factory: bytes, implementations: Collection[bytes]) -> bool:
    """Say whether a sender runs code of ours: a proxy before a known implementation, or what our factory will make."""
    if not standing.code:
        return init_code[: words.ADDRESS_BYTES] == factory
    return standing.implementation() in implementations
