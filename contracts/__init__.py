"""The contracts of OpenVPP and their Python side; no Django here."""
