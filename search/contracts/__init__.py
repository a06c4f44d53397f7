"""The types that flow through promptfront and the Protocols a plugin implements.

Read this package first: it imports nothing from the rest of the project and is all a plugin author
needs. Quality is always "higher is better"; cost is always prompt tokens, lower is better.
"""

from .backends import (
    AnswerTokens,
    Backend,
    Dated,
    Form,
    FormWriter,
    GenerateRequest,
    LikelihoodRequest,
    NextTokenReader,
    NextTokens,
    TokenReader,
)
from .data import (
    GENES,
    REASONS,
    RULES,
    Candidate,
    Constraint,
    Example,
    Gene,
    Message,
    Outputs,
    Prompt,
    Reason,
    Rule,
    Structure,
    Task,
    Text,
    Unscored,
)
from .mutators import (
    Direction,
    MutationContext,
    Mutator,
    Usage,
    usage_of,
)
from .scorers import (
    Likelihoods,
    LikelihoodScorer,
    ReplyScorer,
)

__all__ = [
    "GENES",
    "REASONS",
    "RULES",
    "AnswerTokens",
    "Backend",
    "Candidate",
    "Constraint",
    "Dated",
    "Direction",
    "Example",
    "Form",
    "FormWriter",
    "Gene",
    "GenerateRequest",
    "LikelihoodRequest",
    "LikelihoodScorer",
    "Likelihoods",
    "Message",
    "MutationContext",
    "Mutator",
    "NextTokenReader",
    "NextTokens",
    "Outputs",
    "Prompt",
    "Reason",
    "ReplyScorer",
    "Rule",
    "Structure",
    "Task",
    "Text",
    "TokenReader",
    "Unscored",
    "Usage",
    "usage_of",
]
