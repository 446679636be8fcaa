"""Commands that only reckon: neither a database nor a secret is asked for, and none is reached."""

import os
import secrets

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(32))
os.environ.setdefault("DATABASE_URL", "postgresql://localhost/none")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:6379/0")

from openvpp.settings.base import *
