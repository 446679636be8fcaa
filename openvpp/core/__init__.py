"""Shared kernel: what every storey may stand on and what knows none of them."""
