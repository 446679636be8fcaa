class UnableToRunError(Exception):
    """The stack cannot go on; the message is one sentence that says what to do."""
