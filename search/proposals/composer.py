"""What comes next: an Optuna sampler recombines alleles of genes, and mutators invent new ones.

Each gene has its alleles, numbered in the order they were written down. A trial is one allele
number per gene, which is what a sampler models well. The sampler works on a copy of the study that
is rebuilt from the finished trials for each batch and seeded by (seed, batch): what it proposes
depends on the history alone, so a run that was killed goes on exactly as it would have.

Constants without a source were set by hand while `benchmarks/search.py` ran; none was tuned alone.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..contracts import usage_of
from ..records.efforts import Effort
from ..records.trials import Trial
from .apply import Mutation
from .bandit import choose_mutator
from .directed import DIRECTED_CANDIDATES, DirectedMutators
from .given import Given
from .metered import Metered
from .sampler import distributions, make_sampler, quiet_optuna, rebuilt_study
from .waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..contracts import MutationContext, Mutator, Prompt, Text
    from ..records.trials import History, Tried

PROPOSER_CALLS = 2
"""Calls of the proposer in a batch: in process, one takes as long as racing a candidate.

The first is mostly for definitions of labels or a reflection. Set by hand.
"""
_RECOMBINED = 0.25
"""How often a new combination of alleles, as sampled, is a candidate without any mutation."""
_SAMPLED_BASE = 0.5
"""How often a mutation starts from what the sampler thinks promising, not from the front."""
_MUTATIONS = (1, 2, 3)
"""Mutations of a candidate ..."""
_MUTATION_WEIGHTS = (6, 3, 1)
"""... and how often it has so many: mostly one, so that its worth is known."""
_ATTEMPTS = 12
"""Mutators asked for one candidate, after which it may be one that was tried before."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one candidate is made from.

    The alleles as ``sampled``, what mutators may look at, the prompts ``seen`` before, the finished
    trials, what each mutator ``wasted``, and those that are not to be asked.
    """

    sampled: Prompt
    context: MutationContext
    seen: Collection[Prompt]
    history: History
    wasted: Mapping[str, int]
    silent: Collection[str]


class Composer:
    """Composes the batches of a study.

    Parameters
    ----------
    mutators
        Name to mutator.
    sampler
        Name of the sampler that recombines alleles.
    seed
        The run's seed.
    make_context
        Returns the context for one candidate from the candidate's own generator.
    favoured
        Names of mutators to try often at first: the user's own.
    first
        Instructions to try before anything else.
    starts
        Whole prompts to try before anything else.
    spent
        Returns the proposer's calls and tokens and the mutators' evaluations so far, and the time.
    proposer_calls
        Returns how many calls of the proposer the next batch may have.
    """

    def __init__(
        self,
        mutators: Mapping[str, Mutator],
        sampler: str,
        seed: int,
        make_context: Callable[[random.Random], MutationContext],
        favoured: Collection[str] = (),
        first: Sequence[str] = (),
        starts: Sequence[Prompt] = (),
        spent: Callable[[], Effort] = Effort,
        proposer_calls: Callable[[], int] = lambda: PROPOSER_CALLS,
    ) -> None:
        make_sampler(sampler, seed)
        self.efforts: dict[str, Effort] = {}
        self._waiting = Waiting(spent)
        self._mutators: dict[str, Mutator] = {
            name: Metered(mutator, self._waiting.spent, partial(self._note, name))
            for name, mutator in mutators.items()
        }
        self._sampler = sampler
        self._seed = seed
        self._make_context = make_context
        self._favoured = frozenset(favoured)
        self._given = Given(self._mutators, tuple(first), tuple(starts))
        self._proposer_calls = proposer_calls
        self._asking = frozenset(name for name, one in mutators.items() if usage_of(one).asks_model)
        self._directed = DirectedMutators(self._mutators)
        directed = self._directed.directions
        trying = {name: one for name, one in self._mutators.items() if name not in directed}
        # A search that has directed mutators alone tries them like any other.
        self._trying = trying or self._mutators

    def compose(
        self, batch: int, size: int, tried: Tried, history: History, *, last: bool = False
    ) -> list[Trial]:
        """Return ``size`` new candidates; ``efforts`` then says what asking each mutator took.

        Those that wait for a proposer on another machine are among the next ones, unless no mutator
        could make others meanwhile.

        Parameters
        ----------
        batch
            The batch's number, which with the run's seed decides everything random.
        size
            How many are wanted.
        tried
            The prompts written down so far; the first is the starting prompt.
        history
            The finished trials.
        last
            Whether there will be no next ones: then all are waited for.
        """
        self.efforts = {}
        calls, choices = _Allowance(self._proposer_calls()), distributions(tried)
        with quiet_optuna():
            seed = _generator(self._seed, batch).getrandbits(31)
            study = rebuilt_study(make_sampler(self._sampler, seed), tried, history)
            context = self._make_context(_generator(self._seed, batch))
            start = next(iter(tried.prompts))
            given = self._given.candidates(context, start, tried.prompts, history)
            proposals = given[: max(1, size // 2)]
            seen = {**tried.prompts} | {one.prompt: None for one in proposals if one.prompt}
            written = [one for one in self._waiting.take_up() if one.prompt not in seen]
            new = {one.prompt or one.error: one for one in written}
            proposals += list(new.values())[: size - len(proposals)]
            others = self._mutators.keys() - self._asking
            undirected_from, index = len(proposals) + DIRECTED_CANDIDATES, len(proposals)
            while len(proposals) < size:
                seen |= {one.prompt: None for one in proposals if one.prompt}
                context = self._make_context(_generator(self._seed, batch, index))
                wanted = _Wanted(
                    tried.prompt(study.ask(choices).params),
                    replace(context, propose=calls.limit(context.propose)),
                    seen,
                    history,
                    tried.wasted + Counter({n: e.wasted for n, e in self.efforts.items()}),
                    frozenset() if calls.left else self._asking,
                )
                make = partial(self._made, wanted, directed=index < undirected_from)
                made = make() if last or not others else self._waiting.begin(make)
                proposals += [made] if made else []
                index += 1
        return proposals

    def _made(self, wanted: _Wanted, *, directed: bool) -> Trial:
        """Return a new candidate, which a directed mutator makes where there is one to do it."""
        if directed and (proposal := self._by_directed(wanted)):
            return proposal
        return self._by_any(wanted)

    def _note(self, name: str, effort: Effort) -> None:
        self.efforts[name] = self.efforts.get(name, Effort()) + effort

    def _by_directed(self, wanted: _Wanted) -> Trial | None:
        """Return what a directed mutator makes, or None where there is none or nothing new."""
        context, history = wanted.context, wanted.history
        left_out = {*wanted.silent, *(self._directed.once_a_batch & self.efforts.keys())}
        name = self._directed.choose(context, history, left_out, wanted.wasted)
        if name is None:
            return None
        base = context.rng.choice(self._directed.bases(name, context, history))
        mutation = Mutation(base)
        for step in self._directed.steps(name, self._mutators, context.rng):
            if not mutation.by(step, self._mutators, context):
                return mutation.proposal()
        if mutation.prompt in wanted.seen or name not in mutation.applied:
            return None
        return mutation.proposal(history.parents(base))

    def _by_any(self, wanted: _Wanted) -> Trial:
        """Recombine or mutate, where mutators are left, until the prompt is a new one."""
        context, history, rng = wanted.context, wanted.history, wanted.context.rng
        trying = {name: one for name, one in self._trying.items() if name not in wanted.silent}
        base = context.fit(wanted.sampled) or context.task.start
        if not trying or (base not in wanted.seen and rng.random() < _RECOMBINED):
            return Trial(base)
        if rng.random() >= _SAMPLED_BASE and context.front:
            base = rng.choice(context.front).prompt
        mutation = Mutation(base)
        mutations = rng.choices(_MUTATIONS, _MUTATION_WEIGHTS)[0]
        for _ in range(_ATTEMPTS):
            name = choose_mutator(trying, self._favoured, history, rng, wanted.wasted)
            if not mutation.by(name, self._mutators, context):
                return mutation.proposal()
            if len(mutation.applied) >= mutations and mutation.prompt not in wanted.seen:
                break
        return mutation.proposal(history.parents(base))


def _generator(*path: int) -> random.Random:
    """Return the generator of a batch or candidate: its place in the study decides all it draws."""
    return random.Random("/".join(map(str, path)))  # noqa: S311 (not cryptography)


class _Allowance:
    """Lets the proposer be called a number of times; after that it has nothing to say."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def limit(
        self, propose: Callable[[Sequence[Text], int], list[str]]
    ) -> Callable[[Sequence[Text], int], list[str]]:
        def limited(prompts: Sequence[Text], max_tokens: int) -> list[str]:
            if not self.left:
                return [""] * len(prompts)
            self.left -= 1
            return propose(prompts, max_tokens)

        return limited
