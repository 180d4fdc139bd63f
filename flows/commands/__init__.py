"""The commands: one module a group, each with ``register(app)``; nothing heavy is imported before a command runs."""
