"""The chain: where it is, when a block is final, how long a quote holds, how old a price may be."""

import datetime
import json

from django.core import exceptions

from openvpp.settings import environment

CHAIN_ID = int(environment.text("CHAIN_ID", "31337"))
# One address of a node, or several, separated by commas or spaces: the first that is healthy is read from, all are told
# of transactions.
CHAIN_RPC_URL = environment.text("CHAIN_RPC_URL", "http://127.0.0.1:8545")
# How many nodes must agree on a block before it counts; 0 for one of one or two, two of more.
CHAIN_QUORUM = int(environment.text("CHAIN_QUORUM", "0"))
if len(CHAIN_RPC_URL.replace(",", " ").split()) < CHAIN_QUORUM:
    raise exceptions.ImproperlyConfigured("CHAIN_QUORUM asks for more nodes than CHAIN_RPC_URL names.")
# How many blocks behind the others a node may be and still be read from.
CHAIN_RPC_MOST_BEHIND = int(environment.text("CHAIN_RPC_MOST_BEHIND", "3"))
# A node that shows nobody a transaction before its block; bundles go to it alone for so long, then to all.
CHAIN_PRIVATE_RPC_URL = environment.text("CHAIN_PRIVATE_RPC_URL", "")
CHAIN_PRIVATE_FOR = datetime.timedelta(seconds=int(environment.text("CHAIN_PRIVATE_SECONDS", "45")))
# Blocks on top of a receipt's block before its effects are booked.
CHAIN_CONFIRMATIONS = int(environment.text("CHAIN_CONFIRMATIONS", "2"))
FEE_QUOTE_LIFETIME = datetime.timedelta(seconds=120)
# Of a feed's answer; feeds that speak once an hour need more than the ten minutes that suit the local chain's.
PRICE_MAX_AGE = datetime.timedelta(seconds=int(environment.text("PRICE_MAX_AGE_SECONDS", "600")))
# A feed that leaps further than this at once is not believed while the price before is fresh.
PRICE_MAX_LEAP_PERCENT = 30
# Sources of one price that lie further apart than this are not believed, none of them.
PRICE_MAX_DEVIATION_PERCENT = 5
# Where prices come from, as JSON: {"native" | "ovpp" | "stablecoin" | address: [source, …]}, the preferred one first
# (relayer/adapters/price_sources.py). A token that is not named goes by the feed of the chain's deployment.
PRICE_SOURCES: dict[str, list[dict[str, str]]] = json.loads(environment.text("PRICE_SOURCES", "{}"))
# Least tip for whoever makes the block, in wei per unit of gas: what is offered on a chain where nobody tips.
CHAIN_LEAST_TIP_WEI = int(environment.text("CHAIN_LEAST_TIP_WEI", "1000000"))
# Most that a transaction offers per unit of gas, in wei; above it bundles wait. 0 for no cap.
CHAIN_MOST_FEE_WEI = int(environment.text("CHAIN_MOST_FEE_WEI", str(500 * 10**9)))
# On a rollup: the contract that tells the fee of carrying bytes to the parent chain, by `getL1Fee(bytes)`.
CHAIN_DATA_FEE_ORACLE = environment.text("CHAIN_DATA_FEE_ORACLE", "")
# A relayer key below the one is filled up to the other, a paymaster's deposit likewise; in wei.
REFILL_KEY_BELOW_WEI = int(environment.text("REFILL_KEY_BELOW_WEI", str(10**18)))
REFILL_KEY_TO_WEI = int(environment.text("REFILL_KEY_TO_WEI", str(3 * 10**18)))
REFILL_DEPOSIT_BELOW_WEI = int(environment.text("REFILL_DEPOSIT_BELOW_WEI", str(2 * 10**18)))
REFILL_DEPOSIT_TO_WEI = int(environment.text("REFILL_DEPOSIT_TO_WEI", str(5 * 10**18)))
# What the refill key may send at once and in 24 hours, gas included; sealed with it when it is made.
REFILL_PER_TRANSFER_WEI = int(environment.text("REFILL_PER_TRANSFER_WEI", str(5 * 10**18)))
REFILL_PER_DAY_WEI = int(environment.text("REFILL_PER_DAY_WEI", str(20 * 10**18)))
# How long a bundle may wait for a block before dearer fees replace it.
CHAIN_REPLACE_AFTER = datetime.timedelta(seconds=15)
# Most gas that the operations of one bundle may be allowed together; well below the gas of a block.
CHAIN_BUNDLE_GAS_LIMIT = int(environment.text("CHAIN_BUNDLE_GAS_LIMIT", "15000000"))
# Most, in wei, that the chain lets a utility's gas budget spend on one operation and on one UTC day.
GAS_PER_OPERATION_WEI = int(environment.text("GAS_PER_OPERATION_WEI", str(10**17)))
GAS_PER_DAY_WEI = int(environment.text("GAS_PER_DAY_WEI", str(25 * 10**17)))
# The budget of a program that has its own within the utility's.
GAS_PER_PROGRAM_WEI = int(environment.text("GAS_PER_PROGRAM_WEI", str(10**18)))
# How long a process may go by sponsorship policies that it read before; limits are always those of the rows.
SPONSORSHIP_MAX_AGE_S = 5
# What a fee quote adds to the expected cost, for gas that rises until the operation is sent.
FEE_MARGIN_PERCENT = 20
# Whether the validation of accounts that are not ours is traced for what ERC-7562 forbids; off, it is only simulated.
RELAYER_TRACES = environment.text("RELAYER_TRACES", "on") == "on"
# What a paymaster or factory of somebody else must have at stake at the EntryPoint to count as staked (ERC-7562).
RELAYER_LEAST_STAKE_WEI = int(environment.text("RELAYER_LEAST_STAKE_WEI", str(10**17)))
RELAYER_LEAST_DELAY_S = 86_400
# `debug_bundler_*` (ERC-7769), which let any key clear the pool and stop relays: for tests of the bundler alone.
RELAYER_DEBUG_METHODS = False
