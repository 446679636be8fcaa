"""A passkey's assertion as browsers and phones give it, and as accounts read it."""

import dataclasses
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import utils

from contracts.bindings import passkeys


class UnableToReadAssertion(ValueError):
    """It is no assertion, or too long for an account to take."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What `navigator.credentials.get` answers: authenticator data, client data as it is, and a DER signature."""

    authenticator_data: bytes
    client_data_json: bytes
    signature: bytes

    def written(self, *, passkey: Mapping[str, str]) -> bytes:
        """Return it as accounts read it, for the key of these coordinates (`x`, `y`: `0x` and 64 digits).

        :raises UnableToReadAssertion: it is none.
        """
        try:
            r, s = utils.decode_dss_signature(self.signature)
            return passkeys.webauthn_signature(
                x=int(passkey["x"], 16),
                y=int(passkey["y"], 16),
                r=r,
                s=s,
                authenticator_data=self.authenticator_data,
                client_data_json=self.client_data_json,
            )
        except ValueError as error:
            raise UnableToReadAssertion(str(error)) from None


type Proof = bytes | Assertion
"""What shows that somebody holds a key: its bare signature, or a passkey's assertion."""
