"""What a person types to show that an account is theirs, made comparable."""

import unicodedata

MAX_LENGTH = 200


def normalize(text: str) -> str:
    """Return a number or a proof without case, spaces and dashes, so that typing it differently is typing it right."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum())
