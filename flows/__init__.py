"""Flows compose tasks; nothing here touches a pixel."""
