"""Settings by concern: base, chain, oauth, upcalls; and one module for each place it runs."""
