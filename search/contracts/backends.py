"""What a backend is asked, and what it may do besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from .data import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import Unscored


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
    """A prompt and the continuations whose log-likelihoods are wanted.

    A continuation is scored exactly as written, so it carries its own leading space in plain
    layouts.

    Parameters
    ----------
    prompt, continuations
        The texts.
    whole
        Whether a continuation is to be the whole answer: one whose tokens begin another's ("1" and
        "10") has the probability that it is written and does not go on as the other.
    stop
        Texts that end an answer, besides the model's own end; only `GreedyReader` looks at them.
    """

    prompt: Text
    continuations: tuple[str, ...]
    whole: bool = False
    stop: tuple[str, ...] = ()


class Form(NamedTuple):
    """What decoding holds a reply to.

    A regular expression, a JSON schema (empty: any JSON), or a JSON list of choices.
    """

    kind: Literal["regex", "json", "choice"]
    pattern: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt whose most likely completion is wanted, of ``max_tokens`` at most.

    It ends before the first of ``stop``.

    Its ``form`` is for backends that can hold to one (`FormWriter`); others write what they will.
    With more than one of ``samples`` so many completions are wanted, drawn at random.
    """

    prompt: Text
    max_tokens: int
    stop: tuple[str, ...] = ()
    form: Form | None = None
    samples: int = 1


class Backend(Protocol):
    """A language model. Its methods are batched and keep order: one result per request.

    What it may do besides has Protocols of its own: `GreedyReader`, `NextTokenReader`,
    `TokenReader`, `Dated`, `FormWriter`, `Remote`.
    """

    @property
    def model(self) -> str:
        """The model as the user named it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies what decides numbers: weights, tokenizer, chat template, dtype, device."""
        ...

    @property
    def revision(self) -> str:
        """The model's published revision (a commit or version); empty where it has none."""
        ...

    @property
    def scoring(self) -> str:
        """How log-likelihoods are obtained, for the plan and for exports."""
        ...

    @property
    def max_context(self) -> int:
        """The longest prompt and continuation, in tokens."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it can generate; a masked model cannot."""
        ...

    def loglikelihoods(
        self, requests: Sequence[LikelihoodRequest]
    ) -> Sequence[tuple[float, ...] | Unscored]:
        """Return log P(continuation | prompt) in nats of each continuation of each request.

        Or why there is none.
        """
        ...

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
    ) -> Sequence[str | Unscored]:
        """Return a completion per prompt, up to the first of ``stop``, or why there is none."""
        ...

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        ...

    def close(self) -> None:
        """Give back what it holds: called when the run ends, on a backend that promptfront made."""
        ...


class Greedy(NamedTuple):
    """The log-likelihoods of continuations, and which of them is what the model would write.

    ``written`` is the position of the continuation of which each token is the most likely of the
    whole vocabulary, and after which the reply ends; missing where none is that.
    """

    logs: tuple[float, ...]
    written: int | None


@runtime_checkable
class GreedyReader(Protocol):
    """What a backend may do besides: say, while it scores answers, which of them is written."""

    @property
    def reads_greedily(self) -> bool:
        """Whether it can; it depends on the model."""
        ...

    def greedy(self, requests: Sequence[LikelihoodRequest]) -> Sequence[Greedy | Unscored]:
        """Return what `Backend.loglikelihoods` does, and which continuation would be written."""
        ...


@runtime_checkable
class NextTokenReader(Protocol):
    """What a backend may do besides: say which words its model would write next."""

    def next_tokens(self, prompts: Sequence[Text], lead: str, most: int) -> NextTokens:
        """Return the ``most`` likely words of one token that follow the prompts and ``lead``."""
        ...


class AnswerTokens(NamedTuple):
    """How a model reads an answer: its tokens, and whether the vocabulary has them all."""

    tokens: tuple[str, ...]
    known: bool


@runtime_checkable
class TokenReader(Protocol):
    """What a backend may do besides: show how its model reads answers.

    Those that it cannot tell apart are refused.
    """

    def answer_tokens(self, request: LikelihoodRequest) -> list[AnswerTokens]:
        """Return how each continuation of a request is read.

        Nothing where the tokenizer is not at hand.
        """
        ...


@runtime_checkable
class Remote(Protocol):
    """What a backend may be besides: on another machine, so that this one is free while it writes.

    It may be called from several threads at once.
    """

    @property
    def server(self) -> str:
        """Its address."""
        ...


@runtime_checkable
class Dated(Protocol):
    """What a backend may do besides: fix the day that its model's chat template writes.

    A study keeps its day: what is scored on another day is given the same prompts. Only where
    ``writes_date`` is true has the backend's ``fingerprint`` the day in it.
    """

    date: str
    """The day (YYYY-MM-DD); at first today."""

    @property
    def writes_date(self) -> bool:
        """Whether the chat template writes the day."""
        ...


@runtime_checkable
class FormWriter(Protocol):
    """What a backend may do besides: hold replies to a form (structured outputs)."""

    @property
    def holds_to_form(self) -> bool:
        """Whether it can; a server may not."""
        ...

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
        form: Form | None = None,
    ) -> Sequence[str | Unscored]:
        """Return one completion per prompt, each of the form."""
        ...


class NextTokens(NamedTuple):
    """Words of one token, and their log-probabilities after prompts: ``(prompts, words)``."""

    texts: tuple[str, ...]
    logprobs: list[tuple[float, ...]]
