"""Pure sums of programs: eligibility, shares, baselines, what a performance earns."""
