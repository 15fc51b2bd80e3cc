"""Evaluation on labelled questions; labels never reach a reward from here."""

from selfrl.eval.sampled import SampledAccuracy, sample_completions, sampled_accuracy

__all__ = ["SampledAccuracy", "sample_completions", "sampled_accuracy"]
