"""`selfrl evolve`: a curriculum that evolves in rounds, and what became of it."""
