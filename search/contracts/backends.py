"""The requests to a backend, and the Protocols that it may implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from .data import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import Unscored


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
    """A prompt and the continuations to score.

    A continuation is scored exactly as given, so in plain layouts it begins with its own space.

    Parameters
    ----------
    prompt, continuations
        The texts.
    whole
        Whether a continuation must be the whole answer. If its tokens begin those of another ("1"
        and "10"), its probability is that of not continuing as the other.
    stop
        Texts that end an answer, besides the model's end token; only `GreedyReader` uses them.
    """

    prompt: Text
    continuations: tuple[str, ...]
    whole: bool = False
    stop: tuple[str, ...] = ()


class Form(NamedTuple):
    """The form that decoding enforces on a reply.

    A regular expression, a JSON schema (empty: any JSON), or a JSON list of choices.
    """

    kind: Literal["regex", "json", "choice"]
    pattern: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt and how to complete it: greedily, with at most ``max_tokens`` tokens.

    The completion ends before the first of ``stop``. Only a `FormWriter` enforces ``form``. If
    ``samples`` is above 1, that many completions are drawn at random.
    """

    prompt: Text
    max_tokens: int
    stop: tuple[str, ...] = ()
    form: Form | None = None
    samples: int = 1


class Backend(Protocol):
    """A language model. Its methods take batches and return one result per request, in order.

    Further abilities have their own Protocols: `GreedyReader`, `NextTokenReader`, `TokenReader`,
    `Dated`, `FormWriter`, `Remote`.
    """

    @property
    def model(self) -> str:
        """The model as the user named it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies all that affects scores: weights, tokenizer, chat template, dtype, device."""
        ...

    @property
    def revision(self) -> str:
        """The model's published revision (a commit or version); empty if it has none."""
        ...

    @property
    def scoring(self) -> str:
        """How log-likelihoods are computed, in words for the plan and the export."""
        ...

    @property
    def max_context(self) -> int:
        """Maximum tokens of a prompt and its continuation together."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it can generate text; a masked model cannot."""
        ...

    def loglikelihoods(
        self, requests: Sequence[LikelihoodRequest]
    ) -> Sequence[tuple[float, ...] | Unscored]:
        """Return log P(continuation | prompt) in nats for each continuation of each request.

        `Unscored` stands for a request without scores.
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
        """Return a completion per prompt, up to the first of ``stop``, or `Unscored`."""
        ...

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        ...

    def close(self) -> None:
        """Free its resources; promptfront calls this at the end on backends that it made."""
        ...


class Greedy(NamedTuple):
    """The log-likelihoods of continuations, and which of them greedy decoding would write.

    ``written`` is the index of the continuation whose tokens are each the most likely in the whole
    vocabulary, and after which the reply ends; None if there is none.
    """

    logs: tuple[float, ...]
    written: int | None


@runtime_checkable
class GreedyReader(Protocol):
    """A backend that can also tell, while scoring, which answer greedy decoding writes."""

    @property
    def reads_greedily(self) -> bool:
        """Whether it can do so with its model."""
        ...

    def greedy(self, requests: Sequence[LikelihoodRequest]) -> Sequence[Greedy | Unscored]:
        """Return the scores of `Backend.loglikelihoods` and the continuation that is written."""
        ...


@runtime_checkable
class NextTokenReader(Protocol):
    """A backend that can also return the words that its model would write next."""

    def next_tokens(self, prompts: Sequence[Text], lead: str, most: int) -> NextTokens:
        """Return up to ``most`` single-token words that likely follow the prompts and ``lead``."""
        ...


class AnswerTokens(NamedTuple):
    """The tokens of an answer, and whether the vocabulary has them all."""

    tokens: tuple[str, ...]
    known: bool


@runtime_checkable
class TokenReader(Protocol):
    """A backend that can also show the tokens of answers.

    promptfront refuses answers that become the same tokens.
    """

    def answer_tokens(self, request: LikelihoodRequest) -> list[AnswerTokens]:
        """Return the tokens of each continuation of a request.

        The list is empty if there is no tokenizer.
        """
        ...


@runtime_checkable
class Remote(Protocol):
    """A backend on another machine, which leaves this one free while it generates.

    Several threads may call it at once.
    """

    @property
    def server(self) -> str:
        """Its address."""
        ...


@runtime_checkable
class Dated(Protocol):
    """A backend that can also fix the date that its model's chat template contains.

    A study keeps its date, so that later runs see the same prompts. The backend's ``fingerprint``
    contains the date only if ``writes_date`` is true.
    """

    date: str
    """The date (YYYY-MM-DD); today by default."""

    @property
    def writes_date(self) -> bool:
        """Whether the chat template contains the date."""
        ...


@runtime_checkable
class FormWriter(Protocol):
    """A backend that can also enforce a form on replies (structured outputs)."""

    @property
    def holds_to_form(self) -> bool:
        """Whether it can do so; some servers cannot."""
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
        """Return one completion per prompt that has the form."""
        ...


class NextTokens(NamedTuple):
    """Single-token words, and their log-probabilities as ``(prompts, words)``."""

    texts: tuple[str, ...]
    logprobs: list[tuple[float, ...]]
