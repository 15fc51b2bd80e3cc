"""Recipes: a YAML file each, run by `selfrl train`."""
