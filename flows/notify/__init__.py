"""Telling people: Prefect notification blocks that hold the address, and automations that use them."""
