"""The development stack: every service and process of OpenVPP on one machine, under one supervisor."""
