"""A directed mutator in a file: `optimize --task topic --mutator fit_words.py:FitWords`."""

from promptfront.mutators.verbalizers import FitVerbalizers
from promptfront.search.contracts import Direction, Gene, MutationContext, Prompt, Usage


class FitWords:
    """Fits words to labels as the built-in mutator does, and declares of itself what that does."""

    gene: Gene = "structure"
    usage = Usage(
        needs_unshown_rows=True,
        direction=Direction(
            base="front", fewest_labels=2, once_a_batch=True, reads_next_tokens=True
        ),
    )

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with words in the place of its labels' texts."""
        return FitVerbalizers().mutate(prompt, context)
