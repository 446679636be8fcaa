"""OpenVPP: the payment and orchestration layer under a utility's mobile app."""
