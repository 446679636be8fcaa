"""Python's side of the contracts: calldata, hashes, digests, events and refusals, with no network and no Django.

Addresses are 20 bytes, hashes 32, references 16, signatures 65 (r, s, v). Amounts are integers in base units.
"""
