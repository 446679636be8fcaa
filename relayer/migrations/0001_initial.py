import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import openvpp.core.fields
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("custody", "0002_append_only"),
        ("customers", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Bundle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain_id", models.PositiveBigIntegerField()),
                ("nonce", models.PositiveBigIntegerField(null=True)),
                (
                    "call_data",
                    models.BinaryField(help_text="Of `handleOps`; every transaction of the bundle carries it."),
                ),
                ("authorizations", models.BinaryField(help_text="Of EIP-7702, packed, one after another.", null=True)),
                ("gas_limit", models.PositiveBigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Signed, not in a block"),
                            ("mined", "In a block"),
                            ("final", "Final"),
                            ("lost", "Its nonce went to another transaction"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                (
                    "nonce_passed_at_block",
                    models.PositiveBigIntegerField(
                        help_text="Head at which the nonce was seen used although none of our transactions was found.",
                        null=True,
                    ),
                ),
                (
                    "transaction_hash",
                    openvpp.core.fields.HashField(editable=True, help_text="The transaction that landed.", null=True),
                ),
                ("has_reverted", models.BooleanField(default=False, help_text="It landed and executed nothing.")),
                ("block_number", models.PositiveBigIntegerField(null=True)),
                ("block_hash", openvpp.core.fields.HashField(editable=True, null=True)),
                ("gas_used", models.PositiveBigIntegerField(null=True)),
                ("gas_price_wei", openvpp.core.fields.Uint256Field(null=True)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SponsorshipCursor",
            fields=[
                ("chain_id", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("block_number", models.PositiveBigIntegerField()),
                (
                    "block_at",
                    models.DateTimeField(help_text="The block's own time: what ends before it can never land."),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("application", models.CharField(help_text="Who calls with it.", max_length=100)),
                ("identifier", models.CharField(editable=False, max_length=12, unique=True)),
                ("digest", models.BinaryField(help_text="SHA-256 of the secret, which is 32 random bytes.")),
                ("scopes", models.JSONField(help_text='Of "operations:send", "operations:read", "sponsor".')),
                ("requests_per_minute", models.PositiveIntegerField(default=600)),
                ("operations_per_day", models.PositiveIntegerField(default=10000, help_text="Sent, by UTC day.")),
                (
                    "sponsored_per_day",
                    models.PositiveIntegerField(default=1000, help_text="Sponsorships signed, by UTC day."),
                ),
                ("created_at", models.DateTimeField(editable=False)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                (
                    "utility",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="customers.utility"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BundleTransaction",
            fields=[
                ("hash", openvpp.core.fields.HashField(editable=True, primary_key=True, serialize=False)),
                ("raw", models.BinaryField(help_text="The signed transaction.")),
                ("max_fee_per_gas_wei", openvpp.core.fields.Uint256Field()),
                ("max_priority_fee_per_gas_wei", openvpp.core.fields.Uint256Field()),
                ("created_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(help_text="When a node last took it.", null=True)),
                (
                    "bundle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="transactions", to="relayer.bundle"
                    ),
                ),
            ],
            options={
                "ordering": ["created_at"],
            },
        ),
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("value", models.DecimalField(decimal_places=6, default=0, max_digits=40)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("name", "label"), name="counter_once_per_label")],
            },
        ),
        migrations.CreateModel(
            name="ProgramWallet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("program", models.UUIDField()),
                ("wallet", openvpp.core.fields.AddressField(db_index=True, editable=True)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("program", "wallet"), name="program_wallet_once")],
            },
        ),
        migrations.CreateModel(
            name="RecentCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("minute", models.DateTimeField()),
                ("count", models.PositiveIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("name", "minute", "label"), name="recent_count_once_per_minute")
                ],
            },
        ),
        migrations.CreateModel(
            name="RelayerKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain_id", models.PositiveBigIntegerField()),
                ("address", openvpp.core.fields.AddressField(editable=True, unique=True)),
                ("leased_by", models.CharField(blank=True, max_length=64)),
                ("leased_until", models.DateTimeField(null=True)),
                ("is_enabled", models.BooleanField(default=True)),
                (
                    "draining_since",
                    models.DateTimeField(
                        help_text="From then on it sends no new bundle; with its last open one it is disabled.",
                        null=True,
                    ),
                ),
                (
                    "key",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="custody.sealedkey"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="bundle",
            name="relayer_key",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="bundles", to="relayer.relayerkey"
            ),
        ),
        migrations.CreateModel(
            name="Reputation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain_id", models.PositiveBigIntegerField()),
                (
                    "entity",
                    openvpp.core.fields.AddressField(
                        editable=True, help_text="A paymaster or factory that is not ours."
                    ),
                ),
                ("seen", models.PositiveIntegerField(default=0)),
                ("included", models.PositiveIntegerField(default=0)),
                ("counted_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("chain_id", "entity"), name="reputation_once_per_entity")
                ],
            },
        ),
        migrations.CreateModel(
            name="Sponsorship",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("chain_id", models.PositiveBigIntegerField()),
                (
                    "payer",
                    models.CharField(
                        choices=[
                            ("program", "A program"),
                            ("utility", "The utility"),
                            ("customer", "The customer, in a token"),
                        ],
                        max_length=10,
                    ),
                ),
                ("program", models.UUIDField(null=True)),
                ("reason", models.CharField(help_text="Why this party pays.", max_length=200)),
                ("sender", openvpp.core.fields.AddressField(editable=True, help_text="The wallet.")),
                (
                    "user_operation_hash",
                    openvpp.core.fields.HashField(
                        editable=True, help_text="The only operation it can pay for.", null=True, unique=True
                    ),
                ),
                (
                    "budgets",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), help_text="Ids of the gas budgets it counts in.", size=None
                    ),
                ),
                ("reserved_wei", openvpp.core.fields.Uint256Field(help_text="Most that it can cost.")),
                ("cost_wei", openvpp.core.fields.Uint256Field(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reserved", "Reserved"),
                            ("settled", "Settled by its receipt"),
                            ("released", "Released, it can never land"),
                        ],
                        default="reserved",
                        max_length=10,
                    ),
                ),
                ("valid_until", models.DateTimeField(help_text="No block after this instant can carry it.")),
                ("made_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "api_key",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="relayer.apikey"
                    ),
                ),
                (
                    "utility",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="customers.utility"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FeeQuote",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("chain_id", models.PositiveBigIntegerField()),
                ("sender", openvpp.core.fields.AddressField(editable=True, help_text="The wallet.")),
                ("intent", models.JSONField(help_text="What it was quoted for; the operation must be exactly this.")),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("ovpp", "Customer, in $OVPP"),
                            ("stablecoin", "Customer, in the stablecoin"),
                            ("utility", "Utility"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "fee_token",
                    openvpp.core.fields.AddressField(
                        editable=True, help_text="Null when the utility absorbs the fee.", null=True
                    ),
                ),
                ("fee_units", openvpp.core.fields.Uint256Field()),
                ("gas_limit", models.PositiveBigIntegerField()),
                ("max_fee_per_gas_wei", openvpp.core.fields.Uint256Field()),
                ("max_priority_fee_per_gas_wei", openvpp.core.fields.Uint256Field()),
                (
                    "gas_cost_wei",
                    openvpp.core.fields.Uint256Field(help_text="Most that the operation may cost the relayer."),
                ),
                ("reason", models.CharField(help_text="Why this party pays.", max_length=200)),
                (
                    "margin_percent",
                    models.PositiveSmallIntegerField(default=0, help_text="What the fee adds to the expected cost."),
                ),
                (
                    "fee_wei",
                    openvpp.core.fields.Uint256Field(
                        default=0, help_text="What the fee was worth in the chain's coin when it was quoted."
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "utility",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="customers.utility"
                    ),
                ),
                (
                    "sponsorship",
                    models.OneToOneField(
                        help_text="What is reserved for it, and what it cost.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="quote",
                        to="relayer.sponsorship",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SponsorshipPolicy",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                (
                    "program",
                    models.UUIDField(help_text="The program that pays; without one the utility does.", null=True),
                ),
                (
                    "wallet",
                    openvpp.core.fields.AddressField(
                        editable=True, help_text="The only wallet that it pays for.", null=True
                    ),
                ),
                (
                    "method",
                    models.CharField(
                        blank=True,
                        help_text="All that it pays for: bill_payment, a selector, or address:selector.",
                        max_length=53,
                    ),
                ),
                (
                    "period",
                    models.CharField(
                        choices=[("day", "A day"), ("month", "A month"), ("whole", "All of its time")], max_length=10
                    ),
                ),
                (
                    "is_local",
                    models.BooleanField(
                        default=False, help_text="Days and months are those of the utility's zone, not UTC."
                    ),
                ),
                ("is_each", models.BooleanField(default=False, help_text="Each wallet has the limits for itself.")),
                ("limit_wei", openvpp.core.fields.Uint256Field(null=True)),
                ("limit_count", models.PositiveIntegerField(null=True)),
                ("is_enabled", models.BooleanField(default=True)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(null=True)),
                ("made_at", models.DateTimeField()),
                (
                    "utility",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="customers.utility"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "sponsorship policies",
            },
        ),
        migrations.CreateModel(
            name="GasBudget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(help_text="When the next period begins, if one does.", null=True)),
                (
                    "wallet",
                    openvpp.core.fields.AddressField(
                        editable=True, help_text="The zero address where all wallets share it."
                    ),
                ),
                ("limit_wei", openvpp.core.fields.Uint256Field(null=True)),
                ("limit_count", models.PositiveIntegerField(null=True)),
                ("reserved_wei", openvpp.core.fields.Uint256Field(default=0)),
                ("reserved_count", models.PositiveIntegerField(default=0)),
                ("settled_wei", openvpp.core.fields.Uint256Field(default=0)),
                ("settled_count", models.PositiveIntegerField(default=0)),
                (
                    "told_percent",
                    models.PositiveSmallIntegerField(default=0, help_text="Up to which mark staff were told."),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="budgets",
                        to="relayer.sponsorshippolicy",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TokenPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain_id", models.PositiveBigIntegerField()),
                (
                    "token",
                    openvpp.core.fields.AddressField(editable=True, help_text="Zero address for the native coin."),
                ),
                ("price_usd", models.DecimalField(decimal_places=12, help_text="Of one whole token.", max_digits=30)),
                ("observed_at", models.DateTimeField()),
                ("source", models.CharField(max_length=100)),
                (
                    "held_price_usd",
                    models.DecimalField(
                        decimal_places=12,
                        help_text="What was said since, and is not believed yet.",
                        max_digits=30,
                        null=True,
                    ),
                ),
                ("held_at", models.DateTimeField(null=True)),
                ("held_reason", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("chain_id", "token"), name="price_once_per_token"),
                    models.CheckConstraint(condition=models.Q(("price_usd__gt", 0)), name="price_is_positive"),
                ],
            },
        ),
        migrations.CreateModel(
            name="UserOperation",
            fields=[
                ("hash", openvpp.core.fields.HashField(editable=True, primary_key=True, serialize=False)),
                ("chain_id", models.PositiveBigIntegerField()),
                ("entry_point", openvpp.core.fields.AddressField(editable=True)),
                (
                    "validation",
                    models.CharField(
                        choices=[
                            ("ours", "Signed here, for an account of ours"),
                            ("fast", "An account of ours, known by its code"),
                            ("traced", "Rules of ERC-7562 looked for in a trace"),
                            ("simulated", "Simulated, without a trace"),
                        ],
                        default="ours",
                        max_length=10,
                    ),
                ),
                (
                    "marks",
                    models.JSONField(
                        help_text="What was read of its contracts' code; read again for the bundle.", null=True
                    ),
                ),
                ("sender", openvpp.core.fields.AddressField(db_index=True, editable=True)),
                ("nonce", openvpp.core.fields.Uint256Field()),
                ("init_code", models.BinaryField()),
                (
                    "authorization",
                    models.BinaryField(help_text="Of EIP-7702, as `delegations.Authorization` packs it.", null=True),
                ),
                ("call_data", models.BinaryField()),
                ("verification_gas_limit", models.PositiveBigIntegerField()),
                ("call_gas_limit", models.PositiveBigIntegerField()),
                ("pre_verification_gas", models.PositiveBigIntegerField()),
                ("max_fee_per_gas_wei", openvpp.core.fields.Uint256Field()),
                ("max_priority_fee_per_gas_wei", openvpp.core.fields.Uint256Field()),
                ("paymaster_and_data", models.BinaryField()),
                ("signature", models.BinaryField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("bundled", "In a bundle"),
                            ("mined", "Mined"),
                            ("succeeded", "Final, succeeded"),
                            ("failed", "Final, failed"),
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("failure", models.CharField(blank=True, max_length=500)),
                ("gas_cost_wei", openvpp.core.fields.Uint256Field(null=True)),
                (
                    "broadcast_at",
                    models.DateTimeField(
                        help_text="When it may first have been seen by others; from then on only the chain ends it.",
                        null=True,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0, help_text="How often a relay has taken it up.")),
                ("leased_by", models.CharField(blank=True, max_length=64)),
                ("leased_until", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(help_text="After this instant the chain refuses it.")),
                ("created_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "api_key",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="relayer.apikey",
                    ),
                ),
                (
                    "bundle",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="user_operations",
                        to="relayer.bundle",
                    ),
                ),
                (
                    "quote",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="user_operation",
                        to="relayer.feequote",
                    ),
                ),
                (
                    "utility",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="customers.utility",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StaffAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry", "Operation tried at once"),
                            ("drop", "Operation dropped"),
                            ("pause", "Utility paused"),
                            ("resume", "Utility resumed"),
                            ("drain", "Key drained"),
                            ("bring_back", "Key brought back"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(max_length=300)),
                ("made_at", models.DateTimeField(db_index=True)),
                (
                    "made_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "relayer_key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="staff_actions",
                        to="relayer.relayerkey",
                    ),
                ),
                (
                    "utility",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="customers.utility"
                    ),
                ),
                (
                    "user_operation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="staff_actions",
                        to="relayer.useroperation",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OperationNews",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("bundled", "In a bundle"),
                            ("mined", "Mined"),
                            ("succeeded", "Final, succeeded"),
                            ("failed", "Final, failed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("made_at", models.DateTimeField()),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("not_before", models.DateTimeField(help_text="Its taker failed; it is told again then.", null=True)),
                (
                    "user_operation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="relayer.useroperation"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "operation news",
            },
        ),
        migrations.CreateModel(
            name="UserOperationReceipt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("has_succeeded", models.BooleanField()),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("transaction_hash", openvpp.core.fields.HashField(editable=True)),
                ("block_number", models.PositiveBigIntegerField()),
                ("block_hash", openvpp.core.fields.HashField(editable=True)),
                ("gas_used", models.PositiveBigIntegerField()),
                ("gas_cost_wei", openvpp.core.fields.Uint256Field()),
                ("logs", models.JSONField(help_text="The logs of this operation alone, as the node gave them.")),
                (
                    "user_operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="receipt", to="relayer.useroperation"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UserOperationTransition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("bundled", "In a bundle"),
                            ("mined", "Mined"),
                            ("succeeded", "Final, succeeded"),
                            ("failed", "Final, failed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("made_at", models.DateTimeField()),
                (
                    "bundle",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="relayer.bundle",
                    ),
                ),
                (
                    "user_operation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="history", to="relayer.useroperation"
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="UtilityPause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=300)),
                ("paused_at", models.DateTimeField()),
                ("resumed_at", models.DateTimeField(null=True)),
                (
                    "paused_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "utility",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="customers.utility"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ApiKeyUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "quota",
                    models.CharField(
                        choices=[("requests", "Requests"), ("operations", "Operations"), ("sponsored", "Sponsorships")],
                        max_length=10,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("count", models.PositiveIntegerField()),
                (
                    "api_key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="usage", to="relayer.apikey"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("api_key", "quota", "starts_at"), name="usage_once_per_window")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="bundle",
            index=models.Index(
                condition=models.Q(("state__in", ["pending", "mined"])), fields=["chain_id"], name="bundle_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="bundle",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["pending", "mined"])),
                fields=("relayer_key", "nonce"),
                name="bundle_open_once_per_nonce",
            ),
        ),
        migrations.AddConstraint(
            model_name="bundle",
            constraint=models.UniqueConstraint(
                condition=models.Q(("relayer_key__isnull", True), ("state__in", ["mined", "final"])),
                fields=("chain_id", "transaction_hash"),
                name="bundle_of_stranger_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="bundle",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["pending", "lost"]),
                    models.Q(
                        ("block_hash__isnull", False),
                        ("block_number__isnull", False),
                        ("transaction_hash__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="bundle_mined_has_block",
            ),
        ),
        migrations.AddIndex(
            model_name="sponsorship",
            index=models.Index(
                condition=models.Q(("state", "reserved")),
                fields=["chain_id", "valid_until"],
                name="sponsorship_reserved",
            ),
        ),
        migrations.AddIndex(
            model_name="sponsorship",
            index=models.Index(fields=["utility", "made_at"], name="sponsorship_of_utility"),
        ),
        migrations.AddConstraint(
            model_name="sponsorship",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "settled"), _negated=True),
                    models.Q(("cost_wei__isnull", False), ("cost_wei__lte", models.F("reserved_wei"))),
                    _connector="OR",
                ),
                name="sponsorship_costs_what_was_reserved",
            ),
        ),
        migrations.AddConstraint(
            model_name="feequote",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("created_at"))), name="quote_period_is_forward"
            ),
        ),
        migrations.AddConstraint(
            model_name="feequote",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("fee_token__isnull", True), ("fee_units", 0), ("mode", "utility")),
                    models.Q(models.Q(("mode", "utility"), _negated=True), ("fee_token__isnull", False)),
                    _connector="OR",
                ),
                name="quote_token_fits_mode",
            ),
        ),
        migrations.AddConstraint(
            model_name="sponsorshippolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__isnull", True), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                name="sponsorship_is_forward",
            ),
        ),
        migrations.AddConstraint(
            model_name="sponsorshippolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(("limit_wei__isnull", False), ("limit_count__isnull", False), _connector="OR"),
                name="sponsorship_is_limited",
            ),
        ),
        migrations.AddConstraint(
            model_name="gasbudget",
            constraint=models.UniqueConstraint(
                fields=("policy", "starts_at", "wallet"), name="gas_budget_once_per_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="gasbudget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("limit_wei__isnull", True),
                    (
                        "limit_wei__gte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("reserved_wei"), "+", models.F("settled_wei")
                        ),
                    ),
                    _connector="OR",
                ),
                name="gas_budget_within_wei",
            ),
        ),
        migrations.AddConstraint(
            model_name="gasbudget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("limit_count__isnull", True),
                    (
                        "limit_count__gte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("reserved_count"), "+", models.F("settled_count")
                        ),
                    ),
                    _connector="OR",
                ),
                name="gas_budget_within_count",
            ),
        ),
        migrations.AddConstraint(
            model_name="gasbudget",
            constraint=models.CheckConstraint(
                condition=models.Q(("reserved_wei__gte", 0), ("settled_wei__gte", 0)), name="gas_budget_is_not_negative"
            ),
        ),
        migrations.AddIndex(
            model_name="useroperation",
            index=models.Index(
                condition=models.Q(("state", "queued")), fields=["chain_id", "created_at"], name="user_operation_queue"
            ),
        ),
        migrations.AddIndex(
            model_name="useroperation",
            index=models.Index(
                condition=models.Q(("state", "bundled")), fields=["chain_id", "sender"], name="user_operation_bundled"
            ),
        ),
        migrations.AddIndex(
            model_name="useroperation",
            index=models.Index(fields=["created_at", "hash"], name="user_operation_newest"),
        ),
        migrations.AddIndex(
            model_name="useroperation",
            index=models.Index(fields=["utility", "created_at", "hash"], name="user_operation_of_utility"),
        ),
        migrations.AddIndex(
            model_name="useroperation",
            index=models.Index(
                condition=models.Q(("api_key__isnull", False)),
                fields=["api_key", "created_at", "hash"],
                name="user_operation_of_application",
            ),
        ),
        migrations.AddIndex(
            model_name="useroperation",
            index=models.Index(
                condition=models.Q(("state", "failed")), fields=["created_at", "hash"], name="user_operation_failed"
            ),
        ),
        migrations.AddConstraint(
            model_name="staffaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind__in", ["retry", "drop"]), ("user_operation__isnull", False), ("utility__isnull", False)
                    ),
                    models.Q(("kind__in", ["pause", "resume"]), ("utility__isnull", False)),
                    models.Q(("kind__in", ["drain", "bring_back"]), ("relayer_key__isnull", False)),
                    _connector="OR",
                ),
                name="staff_action_names_its_object",
            ),
        ),
        migrations.AddConstraint(
            model_name="staffaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="staff_action_has_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="utilitypause",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resumed_at__isnull", True)), fields=("utility",), name="utility_paused_once"
            ),
        ),
    ]
