"""A database or a Redis that is gone for a while."""

import time

from tests.drills import field as fields
from tests.drills import ground as grounds

# These are the faults themselves: how long each is away.
REDIS_GONE_S = 60
POSTGRES_GONE_S = 1


def postgres_restart(field: fields.Field) -> None:
    """PostgreSQL is restarted, without warning."""
    ground = field.ground
    with field.relays():
        loading = field.town.start(field.made)
        field.wait_for_bundle()
        ground.postgres.kill()
        time.sleep(POSTGRES_GONE_S)
        ground.postgres.start()
        grounds.wait_for_service(ground.postgres_service)
        loading.join()
        field.finish()


def redis_gone(field: fields.Field) -> None:
    """Redis is gone for a minute."""
    ground = field.ground
    ground.redis.kill()
    try:
        with field.relays():
            loading = field.town.start(field.made)
            time.sleep(REDIS_GONE_S)
            ground.redis.start()
            grounds.wait_for_service(ground.redis_service)
            loading.join()
            field.finish()
    finally:
        if ground.redis.process is None or ground.redis.process.poll() is not None:
            ground.redis.start()
