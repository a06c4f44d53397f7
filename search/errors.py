"""What can go wrong, as one tree.

PromptfrontError            anything promptfront reports as a sentence; exit code 2
├── InputError              the user's data, options, files or plugins are not usable
├── BackendError            a model could not be loaded, reached, or gave unusable numbers
└── VerificationError       an exported prompt does not reproduce its numbers; exit code 1
"""


class PromptfrontError(Exception):
    """A problem stated in one sentence: what was expected, what was found, what to do."""

    exit_code = 2


class InputError(PromptfrontError):
    """The user's data, options, files or plugins cannot be used as they are."""


class BackendError(PromptfrontError):
    """A model could not be loaded or reached, or it returned unusable numbers."""


class VerificationError(PromptfrontError):
    """An exported prompt does not reproduce the numbers it was exported with."""

    exit_code = 1
