"""The signer's WSGI application, for the server that `manage.py signer` starts."""

import gc

import django
from django.conf import settings

django.setup()

from custody.adapters import key_files  # noqa: E402 - after Django is set up
from custody.rpc import endpoints  # noqa: E402

application = endpoints.Application(ring=key_files.load_ring_from_environment(), token=settings.SIGNER_TOKEN)

# What is loaded by now stays: walking all of it again would stop every signature for tens of milliseconds.
gc.collect()
gc.freeze()
