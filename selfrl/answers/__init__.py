"""Model text → answer text → canonical key → vote and grade. Model text is untrusted input throughout."""

from selfrl.answers.canonical import canonical_key
from selfrl.answers.extract import extract
from selfrl.answers.keys import answer_key, read_answer
from selfrl.answers.majority import vote
from selfrl.answers.symbolic import equivalent, merge_keys

__all__ = ["answer_key", "canonical_key", "equivalent", "extract", "merge_keys", "read_answer", "vote"]
