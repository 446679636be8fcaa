"""What runs in the stack: the embedded services that are wanted, the steps, the processes and their environment."""

import dataclasses
import os
import pathlib
import signal
import sys
from collections.abc import Iterator, Mapping

from openvpp.stack import embedded, errors, layout, process, reach

WEB_PORT = 8000
LOCAL_CHAIN_ID = 31337
HIGHEST_PORT = 65535
# Light ones that take a revoked key off the chain, whatever was killed.
FIRST = frozenset({"signer", "relay", "revoker"})
OWNERS_STEPS = frozenset({"migrate", "roles"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One stack, decided: nothing of it is started yet."""

    paths: layout.Layout
    web_port: int
    services: Mapping[str, embedded.Postgres | embedded.Redis | embedded.Chain]
    environment: Mapping[str, str]
    deployer: Mapping[str, str]  # for the steps alone
    signer: Mapping[str, str]  # for the signer alone: what opens sealed keys
    owner: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of the tables, for the steps that make them
    roles: tuple[str, ...] = ()  # what `make_roles` is told, where the database is ours

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def service_program(self, name: str) -> process.Program:
        service = self.services[name]
        return process.Program(
            name=name,
            command=service.command,
            environment=self.environment,
            stop_signal=service.stop_signal,
            goes_first=True,
        )

    def step(self, name: str, *arguments: str) -> process.Program:
        """A command that runs to its end before the processes start."""
        environment = {**self.environment, **self.deployer, **(self.owner if name in OWNERS_STEPS else {})}
        return process.Program(name=name, command=[sys.executable, *arguments], environment=environment)

    def processes(self) -> Iterator[process.Program]:
        """The processes in the order in which they start; they stop in the reverse order."""
        manage = [sys.executable, "manage.py"]
        celery = [sys.executable, "-m", "celery", "--app", "openvpp.celery", "--quiet"]
        commands = {
            "signer": [*manage, "signer"],
            "provider": [*manage, "simulated_provider"],
            "web": [
                *[sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1"],
                *["--port", str(self.web_port), "--workers", "1", "--respawn-failed-workers"],
                *["--workers-kill-timeout", "5", "--log-level", "warning", "openvpp.asgi:application"],
            ],
            "worker": [
                *celery,
                *["worker", "--queues", "default", "--concurrency", "2", "--loglevel", "warning"],
                *["--hostname", "worker@stack", "--without-gossip", "--without-mingle"],
            ],
            "beat": [
                *[*celery, "beat", "--loglevel", "warning", "--pidfile", ""],
                *["--schedule", str(self.paths.var / "beat-schedule")],
            ],
            "relay": [*manage, "relay"],
            "revoker": [*manage, "revoker"],
            "tell": [*manage, "tell"],
        }
        for name, command in commands.items():
            environment = {**self.environment, **self.signer} if name == "signer" else self.environment
            yield process.Program(
                name=name,
                command=command,
                environment=environment,
                stop_signal=signal.SIGTERM,
                stop_within_s=8,
                goes_first=name in FIRST,
            )


def make(*, var: pathlib.Path, variables: Mapping[str, str], web_port: int | None = None) -> Plan:
    """Decide what to start from the person's environment `variables`.

    :raises UnableToRunError: a given part cannot be reached, or the port is taken.
    """
    paths = layout.Layout(var=var)
    port = web_port or _port(variables.get("PORT") or str(WEB_PORT))
    if reach.is_taken(port) or not layout.is_free(port):
        raise errors.UnableToRunError(
            f"Port {port} is taken by another program: stop it, or choose another port with `make run PORT={port + 1}`."
        )
    paths.make()
    ports = layout.Ports(path=paths.ports_file)
    services: dict[str, embedded.Postgres | embedded.Redis | embedded.Chain] = {}
    given: dict[str, str] = {}
    owner: dict[str, str] = {}
    signer = secret_files(paths, variables, {"KEK_FILE": "key-encryption-key"})
    roles: list[str] = []
    if url := variables.get("DATABASE_URL"):
        reach.check_database(url)
        given["DATABASE_URL"] = url
    else:
        password = layout.read_secret(layout.secret_file(paths.secrets, "postgres-password"))
        postgres = embedded.Postgres(directory=paths.postgres, port=ports.port("postgres"), password=password)
        services["postgres"] = postgres
        owner["DATABASE_URL"] = postgres.url()
        for role in ("signer", "web"):
            secret = layout.secret_file(paths.secrets, f"postgres-{role}-password")
            url = postgres.url(user=f"openvpp_{role}", password=layout.read_secret(secret))
            (signer if role == "signer" else given)["DATABASE_URL"] = url
            roles += [f"--{role}-password-file", str(secret)]
    if url := variables.get("REDIS_URL"):
        reach.check_redis(url)
        given["REDIS_URL"] = url
    else:
        password = layout.read_secret(layout.secret_file(paths.secrets, "redis-password"))
        redis = embedded.Redis(directory=paths.redis, port=ports.port("redis"), password=password)
        services["redis"] = redis
        given["REDIS_URL"] = redis.url
    if url := variables.get("CHAIN_RPC_URL"):
        given |= {"CHAIN_RPC_URL": url, "CHAIN_ID": str(reach.chain_id(url))}
    else:
        chain = embedded.Chain(state=paths.chain_state, port=ports.port("chain"), chain_id=LOCAL_CHAIN_ID)
        services["chain"] = chain
        given |= {"CHAIN_RPC_URL": chain.url, "CHAIN_ID": str(LOCAL_CHAIN_ID)}
    return Plan(
        paths=paths,
        web_port=port,
        services=services,
        environment=process_environment(paths=paths, ports=ports, web_port=port, variables=variables, given=given),
        deployer=secret_files(paths, variables, {"DEPLOYER_KEY_FILE": "deployer-key"}),
        signer=signer,
        owner=owner,
        roles=tuple(roles),
    )


def process_environment(
    *,
    paths: layout.Layout,
    ports: layout.Ports,
    web_port: int,
    variables: Mapping[str, str],
    given: Mapping[str, str],
) -> dict[str, str]:
    """The environment of every process; what the person set already wins."""
    signer_port, provider_port = ports.port("signer"), ports.port("provider")
    defaults = {
        "DJANGO_SETTINGS_MODULE": "openvpp.settings.local",
        "OPENVPP_VAR_DIR": str(paths.var),
        "OPENVPP_DEPLOYMENTS_DIR": str(paths.deployments),
        "BASE_URL": f"http://127.0.0.1:{web_port}",
        "SIGNER_URL": f"http://127.0.0.1:{signer_port}",
        "PROVIDER_URL": f"http://127.0.0.1:{provider_port}",
    }
    defaults |= secret_files(
        paths,
        variables,
        {
            "SECRET_KEY_FILE": "django-secret-key",
            "SIGNER_TOKEN_FILE": "signer-token",
            "PROVIDER_SECRET_FILE": "provider-secret",
        },
    )
    if "OIDC_PRIVATE_KEY" not in variables and "OIDC_PRIVATE_KEY_FILE" not in variables:
        defaults["OIDC_PRIVATE_KEY_FILE"] = str(layout.ec_key_file(paths.secrets, "oidc-p256-key"))
    own = {
        "PORT": str(web_port),
        "PYTHONUNBUFFERED": "1",
        # Celery's about root and WhiteNoise's about files that are not collected: both are meant here.
        "PYTHONWARNINGS": variables.get("PYTHONWARNINGS") or "ignore::UserWarning",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(layout.ROOT), variables.get("PYTHONPATH", "")])),
        "PATH": os.pathsep.join([str(pathlib.Path(sys.executable).parent), variables.get("PATH", os.defpath)]),
    }
    chosen = {**defaults, **{name: value for name, value in variables.items() if name in defaults and value}, **given}
    layout.write_json(paths.environment_file, chosen)
    return {**{name: value for name, value in variables.items() if value}, **chosen, **own}


def standing_environment(*, var: pathlib.Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of the stack that was started last, for a command beside it.

    :raises UnableToRunError: none was started yet.
    """
    chosen = layout.read_json(layout.Layout(var=var).environment_file)
    if not chosen:
        raise errors.UnableToRunError("No stack was started in this directory yet: start one with `make run`.")
    return {**variables, **{name: str(value) for name, value in chosen.items()}}


def secret_files(paths: layout.Layout, variables: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The files of the secrets that the person did not give, by the variable that names each."""
    return {
        name: str(layout.secret_file(paths.secrets, file_name))
        for name, file_name in wanted.items()
        if name not in variables and name.removesuffix("_FILE") not in variables
    }


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= HIGHEST_PORT:
        raise errors.UnableToRunError(f"PORT={text} is not a port: give a number from 1 to {HIGHEST_PORT}.")
    return int(text)
