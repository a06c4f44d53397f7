"""What comes next: an Optuna sampler recombines the alleles found so far, and mutators invent new ones.

Each gene has its alleles, numbered in the order they were found. A trial is one allele number per gene, which
is what a sampler models well. The sampler works on a copy of the study that is rebuilt from the finished trials for
each batch and seeded by (seed, batch): what it proposes depends on the history alone, so a run that was killed goes
on exactly as it would have.
"""

from __future__ import annotations

import math
import operator
import random
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import create_trial

from ..contracts import (
    GENES,
    Constraint,
    Example,
    MutationContext,
    Mutator,
    Prompt,
    Structure,
    usage_of,
)
from ..errors import InputError, InterruptedCallError, StorageError
from ..prompts.render import zero_shot
from ..records.trials import History, Proposal, Tried

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from optuna.samplers import BaseSampler

    from ..contracts import Direction, Gene, Text

Sampler = Literal["tpe", "nsga2", "gp", "random"]

PROPOSER_CALLS = 1
"""Calls of the proposer in one batch: on the machine that scores, a call costs as much time as racing a candidate."""

_PRIORS: dict[str, tuple[float, float]] = {"demonstrations": (4.0, 1.0)}
"""Demonstrations carry most of what published searches gain (Opsahl-Ong et al. 2024, table 1; Zehle et al. 2025, ablations)."""
_TWINS, _SECOND_LOOKS = 4, 2
OTHERS, DIRECTED = "others", 3
"""All mutators that just try, and how many candidates of a batch may be directed."""
_LEANING, _DOUBT = 4, 0.3
"""How many prompts have most potential, and what is taken off it for being seen on one example alone."""
_ATTEMPTS = 12


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return Optuna's sampler of that name; any whole number is a seed, of which it takes the last 32 bits."""
    try:
        seed = operator.index(seed) % 2**32
    except TypeError:
        raise InputError(f"`seed`: expected a whole number, found {seed!r}") from None
    match name:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=16)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=32)
        case "gp":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # the user asked for it
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=16)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
    raise InputError(f"`sampler`: expected one of {', '.join(get_args(Sampler))}, found {name!r}")


class Space:
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
    """

    def __init__(
        self,
        mutators: Mapping[str, Mutator],
        sampler: str,
        seed: int,
        make_context: Callable[[random.Random], MutationContext],
        favoured: Collection[str] = (),
        first: Sequence[str] = (),
    ) -> None:
        make_sampler(sampler, seed)
        self._mutators = dict(mutators)
        self._sampler = sampler
        self._seed = seed
        self._make_context = make_context
        self._favoured = frozenset(favoured)
        self._first = tuple(first)
        usages = {name: usage_of(mutator) for name, mutator in self._mutators.items()}
        self._directions = {name: use.direction for name, use in usages.items() if use.direction}
        self._rereading = [name for name, use in usages.items() if use.rereads]

    def compose(self, batch: int, size: int, tried: Tried, history: History) -> list[Proposal]:
        """Return ``size`` new candidates.

        Parameters
        ----------
        batch
            The batch's number, which with the run's seed decides everything random.
        tried
            The prompts written down so far; the first is the starting prompt.
        history
            The finished trials.
        """
        seen = dict(tried.prompts)
        proposals: list[Proposal] = []
        proposer, distributions = _Allowance(PROPOSER_CALLS), tried.distributions()
        with quiet_optuna():
            study = self._mirror(batch, tried, history)
            context = self._make_context(random.Random(f"{self._seed}/{batch}"))  # noqa: S311 (not cryptography)
            proposals += self._given(context, next(iter(seen)), seen, history)[: max(1, size // 2)]
            seen |= {proposal.prompt: None for proposal in proposals if proposal.prompt}
            given = len(proposals)
            for index in range(given, size):
                rng = random.Random(f"{self._seed}/{batch}/{index}")  # noqa: S311 (not cryptography)
                base = tried.prompt(study.ask(distributions).params)
                context = self._make_context(rng)
                context = replace(context, propose=proposer.limit(context.propose))
                means = OTHERS
                if index < given + DIRECTED:
                    used = {name for p in proposals for name in p.mutators}
                    means = self._directed(context, history, used)
                proposal = self._aim(means, base, context, seen, history)
                seen |= {proposal.prompt: None} if proposal.prompt else {}
                proposals.append(proposal)
        return proposals

    def _mirror(self, batch: int, tried: Tried, history: History) -> optuna.Study:
        sampler = make_sampler(
            self._sampler,
            random.Random(f"{self._seed}/{batch}").getrandbits(31),  # noqa: S311
        )
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        distributions = tried.distributions()
        for outcome in history.latest:
            numbers = tried.numbers(outcome.prompt) if outcome.prompt else None
            if numbers is not None and outcome.quality is not None and outcome.tokens is not None:
                values = [outcome.quality, float(outcome.tokens)]
                study.add_trial(
                    create_trial(values=values, params=numbers, distributions=distributions)
                )
        return study

    def _propose(
        self, sampled: Prompt, context: MutationContext, seen: Collection[Prompt], history: History
    ) -> Proposal:
        """Recombine or mutate until the prompt is one that was not tried before."""
        rng = context.rng
        if sampled not in seen and rng.random() < 0.25:
            return Proposal(sampled)
        # Half of the mutations start from what the sampler thinks promising, half from a prompt that is on the front.
        base = (
            sampled if rng.random() < 0.5 or not context.front else rng.choice(context.front).prompt
        )
        prompt, applied = base, list[str]()
        wanted = rng.choices((1, 2, 3), (6, 3, 1))[0]
        for _ in range(_ATTEMPTS):
            name = self._choose(context, history)
            try:
                changed = _apply(self._mutators[name], name, prompt, context)
            except _MutatorFailedError as error:
                return Proposal(None, mutators=(*applied, name), error=str(error))
            if changed != prompt:
                prompt, applied = changed, [*applied, name]
            if len(applied) >= wanted and prompt not in seen:
                break
        parents = (history.numbers[base],) if base in history.numbers else ()
        return Proposal(prompt, parents, tuple(applied))

    def _directed(self, context: MutationContext, history: History, used: Collection[str]) -> str:
        """Choose between the directed mutators and the rest, by Thompson sampling on what they were worth so far."""
        labels = len(context.task.labels)
        aimed = [
            name
            for name, direction in self._directions.items()
            if direction.suits(labels)
            and not (direction.once_a_batch and name in used)
            and self._bases(name, direction, context, history)
        ]
        arms = {name: list(self._directions[name].prior) for name in aimed} | {OTHERS: [1.0, 2.0]}
        for outcome in history.latest:
            if outcome.mutators:
                _learn(
                    arms[next((name for name in aimed if name in outcome.mutators), OTHERS)],
                    history.worth(outcome),
                )
        return _best_draw(context.rng, arms)

    def _aim(
        self,
        means: str,
        sampled: Prompt,
        context: MutationContext,
        seen: Collection[Prompt],
        history: History,
    ) -> Proposal:
        """Use a directed mutator; where it finds nothing new, just try."""
        if means == OTHERS:
            return self._propose(sampled, context, seen, history)
        rng, applied, direction = context.rng, list[str](), self._directions[means]
        base = prompt = rng.choice(self._bases(means, direction, context, history))
        other = direction.preceded_by
        precede = other in self._mutators and rng.random() < direction.precede_rate
        for name in (other, means) if precede else (means,):
            try:
                changed = _apply(self._mutators[name], name, prompt, context)
            except _MutatorFailedError as error:
                return Proposal(None, mutators=(*applied, name), error=str(error))
            if changed != prompt:
                prompt, applied = changed, [*applied, name]
        if prompt in seen or means not in applied:
            return self._propose(sampled, context, seen, history)
        return Proposal(
            prompt, (history.numbers[base],) if base in history.numbers else (), tuple(applied)
        )

    def _bases(
        self, name: str, direction: Direction, context: MutationContext, history: History
    ) -> list[Prompt]:
        """Return the prompts that a directed mutator may be given."""
        front = [candidate.prompt for candidate in context.front]
        if direction.base == "potential":
            return _leaning(history) or front
        if direction.reads_next_tokens:
            return _affordable(front, name, self._mutators[name].gene, history)
        return front

    def _choose(self, context: MutationContext, history: History) -> str:
        """Choose a gene, then a mutator of it, by Thompson sampling on what their candidates were worth so far.

        The gene comes first: else a gene would be changed the more often the more mutators it happens to have.
        """
        names = [name for name in self._mutators if name not in self._directions]
        names = names or list(self._mutators)
        arms: dict[str, list[float]] = {name: [1.0, 2.0] for name in names}
        genes: dict[str, list[float]]
        genes = {
            self._mutators[name].gene: list(_PRIORS.get(self._mutators[name].gene, (1.0, 2.0)))
            for name in arms
        }
        for name in self._favoured & set(arms):
            arms[name], genes[self._mutators[name].gene] = [6.0, 1.0], [6.0, 1.0]
        for outcome in history.latest:
            for name in set(outcome.mutators) & set(arms):
                for arm in (arms[name], genes[self._mutators[name].gene]):
                    _learn(arm, history.worth(outcome))
        gene = _best_draw(context.rng, genes)
        return _best_draw(
            context.rng,
            {name: arm for name, arm in arms.items() if self._mutators[name].gene == gene},
        )

    def _given(
        self, context: MutationContext, start: Prompt, seen: Collection[Prompt], history: History
    ) -> list[Proposal]:
        """Return what no sampler has to find: other instructions, calibrated twins, and what left a race too early."""
        others = [replace(start, instruction=text) for text in self._first]
        rereading = {name: self._mutators[name] for name in self._rereading}
        twins = _twins(rereading, context, seen, history)
        return (
            [Proposal(prompt) for prompt in others if prompt not in seen]
            + twins
            + second_looks(history)
        )


def _twins(
    rereading: Mapping[str, Mutator],
    context: MutationContext,
    seen: Collection[Prompt],
    history: History,
) -> list[Proposal]:
    """Return fully evaluated prompts whose scored outputs are only read in another way."""
    twins = list[Proposal]()
    complete = {o.number: o.prompt for o in history.latest if o.complete and o.prompt}
    for name, mutator in rereading.items():
        for number, prompt in complete.items():
            try:
                twin = _apply(mutator, name, prompt, context)
            except _MutatorFailedError as error:
                twins.append(Proposal(None, mutators=(name,), error=str(error)))
                break
            if twin not in seen:
                twins.append(Proposal(twin, (number,), (name,)))
            if len(twins) == _TWINS:
                return twins
    return twins


def second_looks(history: History) -> list[Proposal]:
    """Return prompts that were outpaced by others of their batch, but are estimated better than any evaluated in full.

    They race again with the next batch; only examples that they have not seen cost anything.
    """
    latest = {
        o.prompt: o for o in history.latest if o.prompt
    }  # what failed in its second race gets no third
    best = max((o.quality or 0.0 for o in latest.values() if o.complete), default=1.0)
    waiting = [
        o for o in latest.values() if not o.complete and o.quality is not None and o.quality > best
    ]
    waiting.sort(key=lambda o: -(o.quality or 0.0))
    return [Proposal(o.prompt, (o.number,), rows=o.rows) for o in waiting[:_SECOND_LOOKS]]


def _leaning(history: History) -> list[Prompt]:
    """Return the prompts that would be best without their label bias, before any calibration."""
    # Of many that were scored on few examples the best looks better than it is.
    sure = {
        o.prompt: o.potential - _DOUBT / math.sqrt(o.rows)
        for o in history.latest
        if o.prompt and o.potential is not None
    }
    best = sorted(sure, key=lambda prompt: -sure[prompt])
    # Calibration takes the label_bias away by itself: what is left to level is the prompt without it.
    plain = [
        replace(prompt, structure=replace(prompt.structure, calibration="none")) for prompt in best
    ]
    return list(dict.fromkeys(plain))[:_LEANING]


def _affordable(front: list[Prompt], name: str, gene: Gene, history: History) -> list[Prompt]:
    """Return the prompts after which words were read, or all if nothing was read or what came of it is among them.

    Reading costs more than racing a candidate, so it is done again only where it was worth it.
    """
    read = history.read_by([name])
    made = {getattr(prompt, gene) for prompt in history.made.get(name, ())}
    if not read or any(getattr(prompt, gene) in made for prompt in front):
        return front
    return [prompt for prompt in front if zero_shot(prompt) in read]


def _learn(arm: list[float], worth: float) -> None:
    """Add a trial to an arm's gains and losses."""
    arm[0] += worth
    arm[1] += 1 - worth


def _best_draw(rng: random.Random, arms: Mapping[str, Sequence[float]]) -> str:
    draws = {name: rng.betavariate(gains, losses) for name, (gains, losses) in arms.items()}
    return max(draws, key=lambda name: draws[name])


class _Allowance:
    """Lets the proposer be called a number of times; after that it has nothing to say."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def limit(
        self, propose: Callable[[Sequence[Text], int], list[str]]
    ) -> Callable[[Sequence[Text], int], list[str]]:
        def limited(prompts: Sequence[Text], max_tokens: int) -> list[str]:
            self._calls -= 1
            return propose(prompts, max_tokens) if self._calls >= 0 else [""] * len(prompts)

        return limited


class _MutatorFailedError(Exception):
    """A mutator broke its contract; its candidate is recorded as failed."""


def _apply(mutator: Mutator, name: str, prompt: Prompt, context: MutationContext) -> Prompt:
    try:
        changed: object = mutator.mutate(prompt, context)
    except (InterruptedCallError, StorageError):  # no candidate's fault: no other would fare better
        raise
    except Exception as error:  # (the one boundary to code that is not ours)
        raise _MutatorFailedError(
            f"mutator {name!r} raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(changed, Prompt):
        raise _MutatorFailedError(
            f"mutator {name!r} must return a Prompt, but returned {type(changed).__name__}"
        )
    if not _well_formed(changed):
        raise _MutatorFailedError(
            f"mutator {name!r} returned a Prompt with a gene of the wrong type"
        )
    foreign = [
        gene
        for gene in GENES
        if gene != mutator.gene and getattr(changed, gene) != getattr(prompt, gene)
    ]
    if foreign:
        raise _MutatorFailedError(
            f"mutator {name!r} may change {mutator.gene} only, but changed {', '.join(foreign)}"
        )
    added = set(changed.demonstrations) - set(prompt.demonstrations)
    if added and not added <= set(context.task.train):
        raise _MutatorFailedError(f"mutator {name!r} took a demonstration that is not in train")
    return changed


def _well_formed(prompt: Prompt) -> bool:
    return (
        isinstance(prompt.instruction, str)
        and isinstance(prompt.structure, Structure)
        and isinstance(prompt.demonstrations, tuple)
        and all(isinstance(example, Example) for example in prompt.demonstrations)
        and isinstance(prompt.constraints, tuple)
        and all(isinstance(constraint, Constraint) for constraint in prompt.constraints)
    )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from logging what is only a step of ours."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
