"""Paraphrase pairs: another wording and scenario, the same numbers and answer."""
