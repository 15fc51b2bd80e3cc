"""One protocol, three back ends: transformers, vLLM in process, any OpenAI-compatible endpoint."""

from selfrl.generation.load import load_generator
from selfrl.generation.protocol import Generation, Generator, Message, Prompt, Sampling, seed_of

__all__ = ["Generation", "Generator", "Message", "Prompt", "Sampling", "load_generator", "seed_of"]
