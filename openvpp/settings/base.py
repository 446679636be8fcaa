"""What holds everywhere."""

import pathlib

from openvpp.settings import environment, social
from openvpp.settings.chain import *
from openvpp.settings.oauth import *
from openvpp.settings.staff import *
from openvpp.settings.upcalls import *

BASE_DIR = pathlib.Path(__file__).resolve().parent.parent.parent
SECRET_KEY = environment.secret("SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = environment.text("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
BASE_URL = environment.text("BASE_URL", "http://127.0.0.1:8000")
CSRF_TRUSTED_ORIGINS = [BASE_URL]

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "allauth.headless",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "openvpp.core",
    "openvpp.desk",
    "openvpp.seed",
    "openvpp.demo",
    "customers",
    "controls",
    "custody",
    "notifications",
    "relayer",
    "wallets",
    "meters",
    "ders",
    "billing",
    "programs",
    "sharing",
]

# What relay, bundler, signer and revoker load: a third of the memory, and of the time until they are up. Whoever stands
# above hears of their work from rows.
if highest := environment.text("OPENVPP_LEAN_UP_TO", ""):
    INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "openvpp.core"]
    INSTALLED_APPS += ["customers", "controls", "custody", "relayer"]
    if highest == "wallets":
        INSTALLED_APPS += ["oauth2_provider", "wallets"]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "openvpp.middleware.LocaleMiddleware",
    "openvpp.middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "customers.middleware.sign_ins",
    "openvpp.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "openvpp.desk.zone.staff_time_zone",
]

ROOT_URLCONF = "openvpp.urls"
WSGI_APPLICATION = "openvpp.wsgi.application"
ASGI_APPLICATION = "openvpp.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "openvpp" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# A statement that runs for 15 s, a lock waited for 5 s or a transaction idle for 30 s is a fault to show, not to bear.
DATABASES = {"default": environment.database("DATABASE_URL")}
DATABASES["default"]["OPTIONS"]["options"] = (
    "-c statement_timeout=15000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
)
# Only what asks for it is prepared (a meter's month, whose plan costs thrice its run). Behind a pooler that hands the
# server connection on after each transaction and knows no prepared statements (PgBouncer before 1.21): empty.
DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 5 if environment.text("DATABASE_PREPARES", "1") else None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = environment.text("REDIS_URL")
CACHES = {"default": {"BACKEND": "openvpp.core.cache.RedisCache", "LOCATION": REDIS_URL}}
# Hints may be lost, so that they are published to whoever listens, and kept for nobody.
CHANNEL_HOST = {"address": REDIS_URL, "socket_timeout": 15, "socket_connect_timeout": 2}
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [CHANNEL_HOST]}}
}

QUEUE_DEFAULT = "default"
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = QUEUE_DEFAULT
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600, "socket_timeout": 5, "socket_connect_timeout": 2}

AUTH_USER_MODEL = "customers.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SOCIALACCOUNT_PROVIDERS = social.providers()
if "allauth" in INSTALLED_APPS:
    INSTALLED_APPS += [f"allauth.socialaccount.providers.{name}" for name in SOCIALACCOUNT_PROVIDERS]
ACCOUNT_ADAPTER = "customers.api.account_changes.Adapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Mandatory: only a message to the address itself lets signing up answer alike whether or not it has an account.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PREVENT_ENUMERATION = True
HEADLESS_ONLY = False
HEADLESS_CLIENTS = ("app", "browser")
HEADLESS_TOKEN_STRATEGY = "customers.api.app_sessions.Strategy"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ADAPTER = "customers.adapters.second_factors.Adapter"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "openvpp" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "openvpp" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = "openvpp.core.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["wallets.oauth.authentication.AccessToken"],
    "DEFAULT_PERMISSION_CLASSES": ["openvpp.core.scopes.HasScopes"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["openvpp.core.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "openvpp.core.negotiation.ContentNegotiation",
    "DEFAULT_SCHEMA_CLASS": "openvpp.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "openvpp.core.pages.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": [],
    "DEFAULT_THROTTLE_CLASSES": ["openvpp.core.throttling.ScopedRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"claim": "10/hour", "quote": "120/min", "payment": "120/min"},
    "EXCEPTION_HANDLER": "openvpp.core.api.problem_handler",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OpenVPP API",
    "DESCRIPTION": "What a utility's mobile app needs: meter data, bills, payments, programs, notices.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "BillState": "billing.models.Bill.State",
        "BillSource": "billing.models.Bill.Source",
        "PaymentState": "billing.models.Payment.State",
        "FeeMode": "customers.models.FeeMode",
        "OperationState": "wallets.models.Operation.State",
        "OperationKind": "wallets.models.Operation.Kind",
        "GrantState": "wallets.models.SessionKeyGrant.State",
        "NoticeKind": "notifications.models.Notice.Kind",
        "DeviceKind": "ders.models.Device.Kind",
        "DeviceState": "ders.models.Device.State",
        "ProgramKind": "programs.models.Program.Kind",
        "EnrollmentState": "programs.models.Enrollment.State",
        "EventState": "programs.models.Event.State",
        "PayoutState": "programs.models.Payout.State",
        "RowStatus": ["accepted", "rejected"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "openvpp.openapi.add_problems",
    ],
    "SORT_OPERATIONS": True,
}

SIGNER_URL = environment.text("SIGNER_URL", "http://127.0.0.1:8601")
SIGNER_TOKEN = environment.secret("SIGNER_TOKEN", "")

# Where the simulated provider of a development stack listens; real providers have rows with their own addresses.
PROVIDER_URL = environment.text("PROVIDER_URL", "http://127.0.0.1:8602")
# Whether an event may have a window that has begun: only where a simulated provider plays it.
PROGRAMS_ALLOW_PAST_EVENTS = False
# What the secrets shared with device providers are derived from.
PROVIDER_SECRET = environment.secret("PROVIDER_SECRET", "")
# How many whole tokens a program's new treasury may pay in a batch and in 24 hours; two people raise it.
TREASURY_BATCH_CAP = int(environment.text("TREASURY_BATCH_CAP", "10000"))
TREASURY_DAY_CAP = int(environment.text("TREASURY_DAY_CAP", "50000"))
# Who says whether an address is listed. Without a service the sandbox list does: addresses separated by commas.
SCREENING_URL = environment.text("SCREENING_URL", "")
SCREENING_TOKEN = environment.secret("SCREENING_TOKEN", "")
SCREENING_SANDBOX_LIST = tuple(filter(None, environment.text("SCREENING_SANDBOX_LIST", "").split(",")))
# Whether third parties may be told of new data at private addresses and without TLS: only on a developer's machine.
SHARING_MAY_NOTIFY_PRIVATE_ADDRESSES = False
METRICS_TOKEN = environment.secret("METRICS_TOKEN", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "openvpp.core.steps.JsonFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": environment.text("LOG_FORMAT", "line")},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"httpx": {"level": "WARNING"}, "web3": {"level": "WARNING"}},
}
