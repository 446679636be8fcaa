"""Whether deploy, migrate and seed have anything to do: they take most of a start, and mostly for nothing."""

import hashlib
import pathlib

import psycopg

from openvpp.stack import layout, plan, reach

SUFFIXES = {".py", ".json", ".xml"}
WHAT_STEPS_READ = (
    *("openvpp", "contracts", "customers", "custody", "relayer", "notifications"),
    *("wallets", "meters", "ders", "billing", "programs"),
)
NOT_READ = {"node_modules", "out", "cache", "test", "__pycache__"}


def is_done(stack: plan.Plan) -> bool:
    """Whether this code did its steps on this database and this chain before, and both still know of it."""
    known = layout.read_json(_file(stack))
    return bool(known) and known == _state(stack)


def remember(stack: plan.Plan) -> None:
    layout.write_json(_file(stack), _state(stack) or {})


def _file(stack: plan.Plan) -> pathlib.Path:
    return stack.paths.var / "prepared.json"


def _state(stack: plan.Plan) -> dict[str, object] | None:
    run_file = layout.read_json(stack.paths.run_file)
    contracts = run_file.get("contracts")
    paymaster = contracts.get("paymaster") if isinstance(contracts, dict) else None
    node = stack.environment["CHAIN_RPC_URL"]
    try:
        genesis = reach.call(node, "eth_getBlockByNumber", "0x0", False)  # noqa: FBT003, JSON-RPC
        code = reach.call(node, "eth_getCode", paymaster, "latest") if paymaster else "0x"
        with psycopg.connect(stack.environment["DATABASE_URL"], connect_timeout=5) as connection:
            row = connection.execute("SELECT count(*), max(applied)::text FROM django_migrations").fetchone()
    except (OSError, ValueError, psycopg.Error):
        return None
    return {
        "sources": _digest_of_sources(),
        "base_url": stack.environment["BASE_URL"],
        "provider_url": stack.environment["PROVIDER_URL"],
        "genesis": genesis.get("hash") if isinstance(genesis, dict) else None,
        "contracts": hashlib.sha256(str(code).encode()).hexdigest(),
        "migrations": list(row or ()),
        "is_seeded": "people" in run_file,
    }


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for name in WHAT_STEPS_READ:
        for path in sorted((layout.ROOT / name).rglob("*")):
            inside = path.relative_to(layout.ROOT)
            if path.suffix in SUFFIXES and not NOT_READ & set(inside.parts):
                digest.update(f"{inside}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
