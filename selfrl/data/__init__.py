"""Data: loading, paraphrase pairs, and the packaged tiny model with its problems."""
