"""A mutator in a file: `optimize --task sentiment --mutator polite.py:Polite`."""

from dataclasses import replace

from promptfront.search.contracts import Gene, MutationContext, Prompt


class Polite:
    """Asks nicely, in one of two ways."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a polite instruction."""
        word = context.rng.choice(["Please", "Kindly"])
        return replace(prompt, instruction=f"{word}: {prompt.instruction}")
