"""One machine, one command: the services that ``overbank up`` starts, watches over and stops."""
