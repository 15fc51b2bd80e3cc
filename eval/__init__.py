"""Evaluation on labelled questions; labels never reach a reward from here."""

from selfrl.eval.evaluation import evaluate
from selfrl.eval.metrics import maj_at_k, pass_at_k
from selfrl.eval.pairing import compare
from selfrl.eval.settings import Settings
from selfrl.eval.task import Task, load_tasks

__all__ = ["Settings", "Task", "compare", "evaluate", "load_tasks", "maj_at_k", "pass_at_k"]
