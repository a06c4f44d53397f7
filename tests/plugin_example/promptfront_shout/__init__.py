"""A promptfront mutator as a package of its own: the instruction in capitals."""

from dataclasses import replace

from promptfront.search.contracts import Gene, MutationContext, Prompt


class Shout:
    """Writes the instruction in capitals."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its instruction in capitals."""
        return replace(prompt, instruction=prompt.instruction.upper())
