"""Watching an area: which passes are new, which are complete, which have changed, and what has been done about them.

The decisions are pure (`decide`); what must outlive a crash is in one SQLite file (`register`).
"""

from pipeline_lib.options.gate import PublishIf
from pipeline_lib.watch.decide import Decision, decide
from pipeline_lib.watch.records import KnownPass, PassState, Watch
from pipeline_lib.watch.register import Register

__all__ = ["Decision", "KnownPass", "PassState", "PublishIf", "Register", "Watch", "decide"]
