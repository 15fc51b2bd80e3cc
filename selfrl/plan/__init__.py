"""What a recipe takes: memory a GPU and time a step, before anything runs."""
