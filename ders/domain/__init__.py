"""Pure sums and values of devices: signatures of webhooks, telemetry, the simulated device."""
