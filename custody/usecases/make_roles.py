"""Two roles of the database with only the rights that they need: the signer's, and everybody else's (the web's).

The signer reads keys, consents, policies and freezes, and writes keys and its log; nothing of bills, meters or people's
sign-ins. The web reads and writes everything else, may disable a key and record a consent, and can neither read a
sealed secret nor write the signatures' log.
"""

import dataclasses

from django import db as django_db
from psycopg import sql

from openvpp.core import db

SEALED = ("custody_sealedkey", "custody_sealedsecret", "custody_signaturelog", "custody_consent")
SIGNER_READS = (
    *SEALED,
    "controls_changerequest",
    "controls_spendingpolicy",
    "controls_freeze",
    "customers_utility",
    "customers_customer",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role that signs in with a password."""

    name: str
    password: str = dataclasses.field(repr=False)


@db.transaction
def make_roles(*, signer: Role, web: Role) -> None:
    """Make both roles, or give them the rights that they need now; run as the owner of the tables, after `migrate`."""
    with django_db.connection.cursor() as cursor:
        for role in (signer, web):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role.name])
            verb = "ALTER" if cursor.fetchone() else "CREATE"
            _run(cursor, verb + " ROLE {} LOGIN PASSWORD {}", sql.Identifier(role.name), sql.Literal(role.password))
            _run(cursor, "GRANT USAGE ON SCHEMA public TO {}", sql.Identifier(role.name))
        _let_web(cursor, sql.Identifier(web.name))
        _let_sign(cursor, sql.Identifier(signer.name))


def _let_web(cursor: object, web: sql.Identifier) -> None:
    _run(cursor, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}", web)
    _run(cursor, "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {}", web)
    for table in SEALED:
        _run(cursor, "REVOKE ALL ON {} FROM {}", sql.Identifier(table), web)
    for table in ("custody_sealedkey", "custody_signaturelog", "custody_consent"):
        _run(cursor, "GRANT SELECT ON {} TO {}", sql.Identifier(table), web)
    _run(cursor, "GRANT UPDATE (disabled_at) ON custody_sealedkey TO {}", web)
    _run(cursor, "GRANT INSERT ON custody_consent TO {}", web)
    # Partitions of meter days are made as months begin.
    _run(cursor, "GRANT CREATE ON SCHEMA public TO {}", web)
    for table in _partitioned(cursor):
        _run(cursor, "ALTER TABLE {} OWNER TO {}", sql.Identifier(table), web)


def _let_sign(cursor: object, signer: sql.Identifier) -> None:
    for table in SIGNER_READS:
        _run(cursor, "GRANT SELECT ON {} TO {}", sql.Identifier(table), signer)
    for table in ("custody_sealedkey", "custody_sealedsecret"):
        _run(cursor, "GRANT INSERT, UPDATE ON {} TO {}", sql.Identifier(table), signer)
    _run(cursor, "GRANT INSERT ON custody_signaturelog TO {}", signer)
    for sequence in ("custody_sealedkey_id_seq", "custody_signaturelog_id_seq"):
        _run(cursor, "GRANT USAGE ON {} TO {}", sql.Identifier(sequence), signer)


def _partitioned(cursor: object) -> list[str]:
    found = """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND (c.relkind = 'p' OR (c.relispartition AND c.relkind = 'r')) ORDER BY 1
    """
    cursor.execute(found)  # type: ignore[attr-defined] # Django's cursors have no common type
    return [name for (name,) in cursor.fetchall()]  # type: ignore[attr-defined]


def _run(cursor: object, statement: str, *parts: sql.Composable) -> None:
    cursor.execute(sql.SQL(statement).format(*parts))  # type: ignore[attr-defined]
