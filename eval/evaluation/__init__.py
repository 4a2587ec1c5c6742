"""Evaluation: a checkpoint, a policy or predictions over tasks and seeds, graded, as a run that the gate reads."""

from .config import EvalConfig, load_eval_config
from .evaluate import Evaluation, evaluate
from .subject import Subject, subject_of

__all__ = ["EvalConfig", "Evaluation", "Subject", "evaluate", "load_eval_config", "subject_of"]
