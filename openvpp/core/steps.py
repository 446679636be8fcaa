"""The log of what happens to an operation: one line a step, its hash in each, in every process that it comes by.

`step=received operation=0x… key=4f…` as text, or an object a line with `LOG_FORMAT=json`. Facts are names, numbers and
hashes; calldata, signatures, tokens and keys never are.
"""

import datetime
import json
import logging

logger = logging.getLogger("openvpp.steps")


def note(step: str, /, **facts: object) -> None:
    """Write one line; a fact that is None or empty is left out."""
    if logger.isEnabledFor(logging.INFO):
        said = {"step": step, **{name: value for name, value in facts.items() if value not in (None, "")}}
        logger.info(" ".join(f"{name}={_quoted(value)}" for name, value in said.items()), extra={"facts": said})


class JsonFormatter(logging.Formatter):
    """An object a line: when, how bad, who, what, and the facts of a step by their names."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        at = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
        facts = getattr(record, "facts", None)
        line = {"at": at.isoformat(), "level": record.levelname, "logger": record.name}
        line |= {name: str(value) for name, value in facts.items()} if facts else {"message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _quoted(value: object) -> str:
    text = str(value)
    is_plain = text.isprintable() and not any(character in text for character in ' "=')
    return text if is_plain else json.dumps(text)
