"""Peer optimizers, each the real package, driven through its extension points in the arena.

Whatever a package would send to its proposer goes to `Arena.generate`, and whatever it would score
to `Arena.score`; what it proposes, keeps and drops stays its own decision. A peer holds the prompt
that it would return itself. Its run ends with the budget, after `TIME_LIMIT_S`, or when
`STALLED_CALLS` calls in a row have scored nothing new. Instructions are cut to
`INSTRUCTION_TOKENS`, and demonstrations come from train rows of up to `DEMONSTRATION_TOKENS`.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from statistics import fmean
from typing import TYPE_CHECKING, Any

from search_arena import BudgetSpentError

from promptfront.search.contracts import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from search_arena import Arena

    from promptfront.search.contracts import Example, Prompt

TIME_LIMIT_S = 400.0
STALLED_CALLS = 60
INSTRUCTION_TOKENS = 200
DEMONSTRATION_TOKENS = 100
ASKED_TOKENS = 2000
"""What the proposer reads of a request."""
REPLY_TOKENS = 120
"""The longest reply that the proposer writes."""
SHOTS = 4
RANDOM_SHOTS = (0, 2, 4, 8)
BLOCK = 30
"""Rows of a block in CAPO, its default."""
EVOLVED_ROWS = 50
"""Dev rows EvoPrompt scores every prompt on: the smallest dev set of its paper.

A whole one would be spent in one generation.
"""
MINIBATCH = 35
"""MIPROv2's default."""
CANDIDATES = 6
"""MIPROv2's demonstration sets and instructions in its setting "light"."""
MANY = 1_000_000
"""Steps to ask for where the budget is what ends a run."""


class RunEnded(BaseException):
    """The budget, the time or the peer's ideas are used up.

    Not an `Exception`: the peers catch those and go on.
    """


class Run:
    """One peer's run: the arena with the limits above, and the prompt the peer would return.

    That is the first instruction at first.

    Attributes
    ----------
    train
        The rows for demonstrations.
    rows
        Every train and dev row by its text, for packages that know texts only.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.dev = arena.task.dev
        tokens = arena.evaluator.tokens.of_examples(arena.task.train)
        self.train = [
            e for e, n in zip(arena.task.train, tokens, strict=True) if n <= DEMONSTRATION_TOKENS
        ]
        self.rows = {text_of(example): example for example in (*self.train, *self.dev)}
        self._stalled = 0
        self._end = time.perf_counter() + TIME_LIMIT_S
        self.hold(arena.prompt(arena.instructions[0]), 0.0)

    def prompt(self, instruction: str, demonstrations: Sequence[Example] = ()) -> Prompt:
        """Return the arena's prompt, with an instruction that fits."""
        short = self.arena.evaluator.backend.truncate(instruction.strip(), INSTRUCTION_TOKENS)
        prompt: Prompt = self.arena.prompt(short, demonstrations)
        return prompt

    def score(self, prompt: Prompt, examples: Sequence[Example]) -> list[float]:
        """Return 1.0 or 0.0 for each example: whether the most likely label is the right one."""
        before = self.arena.spent
        self._check()
        try:
            values: list[float] = self.arena.score([prompt], examples)[0]
        except BudgetSpentError:
            raise RunEnded from None
        self._stalled = 0 if self.arena.spent > before else self._stalled + 1
        return values

    def write(self, requests: Sequence[str], system: str = "") -> list[str]:
        """Return the proposer's reply to each request."""
        self._check()
        self._stalled += 1
        lead = (Message("system", system),) if system else ()
        short = [
            self.arena.evaluator.backend.truncate(request, ASKED_TOKENS) for request in requests
        ]
        replies: list[str] = self.arena.generate(
            [(*lead, Message("user", text)) for text in short], max_tokens=REPLY_TOKENS
        )
        return replies

    def hold(self, prompt: Prompt, quality: float) -> None:
        """Take the prompt as the one to return."""
        self.best, self.quality = prompt, quality
        self.arena.hold(prompt, quality)

    def offer(self, prompt: Prompt, quality: float) -> None:
        """Hold the prompt if it is better than the one held."""
        if quality > self.quality:
            self.hold(prompt, quality)

    def _check(self) -> None:
        if self._stalled >= STALLED_CALLS or time.perf_counter() > self._end:
            raise RunEnded


def text_of(example: Example) -> str:
    """Return an example's input as the packages see it."""
    return "\n".join(text for _, text in example.inputs)


def initial(arena: Arena) -> Prompt:
    """Baseline: the best of the initial instructions, each on all dev rows."""
    return _best_of(Run(arena), (arena.prompt(instruction) for instruction in arena.instructions))


def random_demonstrations(arena: Arena) -> Prompt:
    """Baseline: the first instruction with random sets of 4 demonstrations, on all dev rows."""
    run, rng = Run(arena), random.Random(arena.seed)
    return _best_of(
        run, (run.prompt(arena.instructions[0], _draw(run, rng, SHOTS)) for _ in range(MANY))
    )


def random_search(arena: Arena) -> Prompt:
    """Baseline: a random initial instruction with 0, 2, 4 or 8 random demonstrations."""
    run, rng = Run(arena), random.Random(arena.seed)
    return _best_of(
        run,
        (
            run.prompt(rng.choice(arena.instructions), _draw(run, rng, rng.choice(RANDOM_SHOTS)))
            for _ in range(MANY)
        ),
    )


def _draw(run: Run, rng: random.Random, k: int) -> list[Example]:
    return rng.sample(run.train, min(k, len(run.train)))


def _best_of(run: Run, prompts: Iterable[Prompt]) -> Prompt:
    with suppress(RunEnded):
        for prompt in prompts:
            run.offer(prompt, fmean(run.score(prompt, run.dev)))
    return run.best


def capo(arena: Arena) -> Prompt:
    """Promptolution's CAPO, with its defaults.

    Its defaults: 4 crossovers a step, up to 5 shots, blocks of 30 dev rows in order, up to 10 of
    them, paired t-test at alpha 0.2, length penalty 0.05. The population is the arena's
    instructions. Shots come from train and carry no reasoning, which scoring by likelihood cannot
    produce. Lengths are counted in words, as CAPO does without a tokenizer. It returns what its
    race ranks first, by mean over the blocks a prompt was scored on; if not even one race is over
    when the budget is, the best of that race so far.
    """
    import pandas as pd
    from promptolution.optimizers.capo import CAPO  # type: ignore[import-not-found,unused-ignore]

    run = Run(arena)
    shots = pd.DataFrame({"x": [text_of(e) for e in run.train], "y": [e.target for e in run.train]})
    return _evolve(
        run, CAPO, run.dev, "sequential_block", create_fs_reasoning=False, df_few_shots=shots
    )


def evoprompt_ga(arena: Arena) -> Prompt:
    """Promptolution's EvoPromptGA, with its defaults: wheel selection, a child an instruction.

    The population is the arena's instructions. Every prompt is scored on the same `EVOLVED_ROWS`
    dev rows. It returns the best of all by these rows' mean; prompts of a generation that the
    budget cuts short count where they were scored.
    """
    from promptolution.optimizers.evoprompt_ga import EvoPromptGA  # type: ignore[import-not-found,unused-ignore]

    run = Run(arena)
    return _evolve(run, EvoPromptGA, run.dev[:EVOLVED_ROWS], "full")


def _evolve(
    run: Run,
    optimizer: Callable[..., Any],
    rows: Sequence[Example],
    strategy: str,
    **options: object,
) -> Prompt:
    import numpy as np

    random.seed(run.arena.seed)
    np.random.seed(run.arena.seed)  # noqa: NPY002 (promptolution and pandas draw from the global state)
    known: dict[str, Prompt] = {}
    llm = _promptolution_llm(run)
    with suppress(RunEnded):
        optimizer(
            predictor=_promptolution_predictor(run, llm, known),
            task=_promptolution_task(run, rows, strategy, known),
            meta_llm=llm,
            initial_prompts=list(run.arena.instructions),
            **options,
        ).optimize(MANY)
        raise RuntimeError("promptolution stopped at an error; its log says which")
    return run.best


def _promptolution_llm(run: Run) -> Any:  # noqa: ANN401 (the package has no types here)
    from promptolution.llms.base_llm import BaseLLM  # type: ignore[import-not-found,unused-ignore]

    class ArenaLLM(BaseLLM):  # type: ignore[misc,unused-ignore]
        def _get_response(self, prompts: list[str], system_prompts: list[str]) -> list[str]:
            return run.write(prompts, system_prompts[0]) if prompts else []

    return ArenaLLM()


def _promptolution_predictor(run: Run, llm: object, known: dict[str, Prompt]) -> Any:  # noqa: ANN401
    from promptolution.predictors.base_predictor import BasePredictor  # type: ignore[import-not-found,unused-ignore]

    class ArenaPredictor(BasePredictor):  # type: ignore[misc,unused-ignore]
        def predict(
            self, prompts: list[str], xs: list[str], **_: object
        ) -> tuple[list[str], list[str]]:
            """Return each text's label where the prompt is right, and nothing where it is wrong."""
            answers: list[str] = []
            for prompt, inputs in groupby(zip(prompts, xs, strict=True), key=itemgetter(0)):
                rows = [run.rows[x] for _, x in inputs]
                scores = run.score(known[prompt], rows)
                answers += [
                    row.target.lower() if score else ""
                    for row, score in zip(rows, scores, strict=True)
                ]
            return answers, answers

        def _extract_preds(self, preds: list[str]) -> list[str]:
            return preds

    return ArenaPredictor(llm)


def _promptolution_task(
    run: Run, rows: Sequence[Example], strategy: str, known: dict[str, Prompt]
) -> Any:  # noqa: ANN401
    import pandas as pd
    from promptolution.tasks.classification_tasks import ClassificationTask  # type: ignore[import-not-found,unused-ignore]
    from promptolution.utils.templates import CAPO_FEWSHOT_TEMPLATE  # type: ignore[import-not-found,unused-ignore]

    shots = {
        CAPO_FEWSHOT_TEMPLATE.replace("<input>", text_of(e)).replace("<output>", e.target): e
        for e in run.train
    }
    texts = {text_of(row): row for row in rows}

    class ArenaTask(ClassificationTask):  # type: ignore[misc,unused-ignore]
        raced = False

        def evaluate(
            self,
            prompts: list[Any],
            predictor: object,
            *_: object,
            eval_strategy: str | None = None,
        ) -> Any:  # noqa: ANN401
            """Score the prompts one by one, which spends the budget; hold the optimizer's first."""
            known.update(
                {
                    str(p): run.prompt(p.instruction, [shots[s] for s in p.few_shots])
                    for p in prompts
                }
            )
            if eval_strategy == "evaluated":  # the end of a race
                self.raced = True
                return self._hold_first(prompts, predictor)
            for prompt in prompts:
                mean = super().evaluate([prompt], predictor).agg_scores[0]
                if strategy == "full":
                    run.offer(known[str(prompt)], float(mean))
            if strategy != "full" and not self.raced:
                self._hold_first(prompts, predictor)
            return super().evaluate(prompts, predictor)

        def _hold_first(self, prompts: list[Any], predictor: object) -> Any:  # noqa: ANN401
            result = super().evaluate(prompts, predictor, eval_strategy="evaluated")
            first = int(result.agg_scores.argmax())
            run.hold(known[str(prompts[first])], float(result.agg_scores[first]))
            return result

    return ArenaTask(
        pd.DataFrame({"x": list(texts), "y": [row.target for row in texts.values()]}),
        task_description=(
            f"{run.arena.instructions[0]} The labels are: {', '.join(run.arena.task.labels)}."
        ),
        n_subsamples=min(BLOCK, len(texts)),
        eval_strategy=strategy,
        seed=run.arena.seed,
        metric=lambda gold, answer: float(gold == answer),
    )


def mipro(arena: Arena) -> Prompt:
    """DSPy's MIPROv2 on a program of one Predict that begins with the first instruction.

    auto=None, 6 instructions and 6 demonstration sets, up to 4 bootstrapped and 4 labelled
    demonstrations, minibatches of 35 dev rows with a full evaluation every 5 trials, trials until
    the budget ends. Bootstrapping counts its evaluations. It returns the best of the full
    evaluations. A reply that lacks the markers of DSPy's chat format, which a small proposer does
    not keep to, is taken whole. Other instructions of the arena are not used: MIPROv2 takes one
    program.
    """
    import dspy  # type: ignore[import-not-found,unused-ignore]
    from dspy.teleprompt import MIPROv2  # type: ignore[import-not-found,unused-ignore]

    run = Run(arena)

    class BatchedMIPROv2(MIPROv2):  # type: ignore[misc,unused-ignore]
        """Evaluates a program on its rows in one call, where MIPROv2 would call it row by row."""

        def _optimize_prompt_parameters(
            self,
            program: Any,  # noqa: ANN401
            instructions: Any,  # noqa: ANN401
            demos: Any,  # noqa: ANN401
            _: Any,  # noqa: ANN401
            *rest: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            return super()._optimize_prompt_parameters(
                program, instructions, demos, _dspy_evaluate(run), *rest
            )

    lm = _dspy_lm(run)
    sets = {
        name: [dspy.Example(text=text_of(e), label=e.target).with_inputs("text") for e in examples]
        for name, examples in (("trainset", run.train), ("valset", run.dev))
    }
    optimizer = BatchedMIPROv2(
        metric=lambda example, prediction, _=None: example.label == prediction.label,
        prompt_model=lm,
        task_model=lm,
        auto=None,
        num_candidates=CANDIDATES,
        max_bootstrapped_demos=SHOTS,
        max_labeled_demos=SHOTS,
        num_threads=1,
        seed=arena.seed + 1,  # MIPROv2 takes a seed of 0 for none
    )
    try:
        with suppress(RunEnded), dspy.context(adapter=_dspy_adapter()):
            optimizer.compile(
                _dspy_program(run),
                **sets,
                num_trials=MANY,
                minibatch_size=min(MINIBATCH, len(run.dev)),
            )
    except ValueError as error:
        if "No valid program found" not in str(
            error
        ):  # every combination it has tried is fully evaluated
            raise
    return run.best


def _dspy_prompt(run: Run, predict: Any) -> Prompt:  # noqa: ANN401
    return run.prompt(
        predict.signature.instructions, [run.rows[demo.text] for demo in predict.demos]
    )


def _dspy_program(run: Run) -> Any:  # noqa: ANN401
    import dspy

    class Predict(dspy.Predict):  # type: ignore[misc,unused-ignore]
        # Named as its base class is, or MIPROv2 would show this code to the proposer as the
        # program's.
        def forward(self, **inputs: str) -> Any:  # noqa: ANN401
            row = run.rows[inputs["text"]]
            right = run.score(_dspy_prompt(run, self), [row])[0]
            return self._forward_postprocess(
                [{"label": row.target if right else ""}], self.signature, **inputs
            )

    class Classify(dspy.Module):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.predict = Predict(dspy.Signature("text -> label", run.arena.instructions[0]))

        def forward(self, text: str) -> Any:  # noqa: ANN401
            return self.predict(text=text)

    return Classify()


def _dspy_evaluate(run: Run) -> Callable[..., Any]:
    from dspy.evaluate.evaluate import EvaluationResult  # type: ignore[import-not-found,unused-ignore]

    def evaluate(program: Any, *, devset: Sequence[Any], callback_metadata: dict[str, str]) -> Any:  # noqa: ANN401
        prompt = _dspy_prompt(run, program.predict)
        quality = fmean(run.score(prompt, [run.rows[example.text] for example in devset]))
        if callback_metadata["metric_key"] == "eval_full":
            run.offer(prompt, quality)
        return EvaluationResult(score=round(100 * quality, 2), results=[])

    return evaluate


def _dspy_lm(run: Run) -> Any:  # noqa: ANN401
    import dspy
    from dspy import lm15

    class ArenaEngine:
        def complete(self, request: Any) -> Any:  # noqa: ANN401
            user = "\n\n".join(message.text or "" for message in request.messages)
            reply = run.write([user], request.system or "")[0]
            answer = lm15.Message.assistant([lm15.TextPart(reply)])
            usage = lm15.Usage(input_tokens=0, output_tokens=0, total_tokens=0)
            return lm15.Response(
                id=None, model="arena", message=answer, finish_reason="stop", usage=usage
            )

        def close(self) -> None:
            """Nothing is open."""

    return dspy.LM("arena", engine=ArenaEngine(), cache=False, num_retries=0)


def _dspy_adapter() -> Any:  # noqa: ANN401
    import dspy
    from dspy.utils.exceptions import AdapterParseError  # type: ignore[import-not-found,unused-ignore]

    class LenientAdapter(dspy.ChatAdapter):  # type: ignore[misc,unused-ignore]
        def parse(self, signature: Any, completion: str) -> Any:  # noqa: ANN401
            try:
                return super().parse(signature, completion)
            except AdapterParseError:
                return dict.fromkeys(signature.output_fields, completion.strip())

    return LenientAdapter(use_json_adapter_fallback=False)


def gepa(arena: Arena) -> Prompt:
    """GEPA's `optimize` on one component, the instruction, with its defaults.

    Its defaults: parents from the instance-wise Pareto front, reflection on minibatches of 3 train
    rows, a child is taken if it is strictly better on them, and is then scored on all dev rows. The
    feedback names the right answer. It returns the best mean over the dev rows. The arena ends the
    run, so an evaluation that GEPA repeats costs it nothing.
    """
    import gepa as package  # type: ignore[import-not-found,unused-ignore]

    run = Run(arena)

    class Holder:
        def on_valset_evaluated(self, event: dict[str, Any]) -> None:
            run.offer(run.prompt(event["candidate"]["instruction"]), event["average_score"])

    class Silent:
        def log(self, message: str) -> None:
            """Say nothing."""

    with suppress(RunEnded):
        package.optimize(
            seed_candidate={"instruction": arena.instructions[0]},
            trainset=run.train,
            valset=list(run.dev),
            adapter=_gepa_adapter(run),
            reflection_lm=lambda request: run.write([request])[0],
            max_metric_calls=MANY,
            callbacks=[Holder()],
            logger=Silent(),
            seed=arena.seed,
        )
    return run.best


def _gepa_adapter(run: Run) -> Any:  # noqa: ANN401
    from gepa import EvaluationBatch, GEPAAdapter  # type: ignore[import-not-found,unused-ignore]

    class ArenaAdapter(GEPAAdapter):  # type: ignore[misc,unused-ignore]
        def evaluate(
            self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False
        ) -> Any:  # noqa: ANN401
            scores = run.score(run.prompt(candidate["instruction"]), batch)
            traces = list(zip(batch, scores, strict=True)) if capture_traces else None
            return EvaluationBatch(outputs=scores, scores=scores, trajectories=traces)

        def make_reflective_dataset(self, _: object, batch: Any, components: list[str]) -> Any:  # noqa: ANN401
            records = [
                {
                    "Inputs": text_of(row),
                    "Generated Outputs": row.target if right else "another label",
                    "Feedback": "Right." if right else f"Wrong, the right answer is {row.target}.",
                }
                for row, right in batch.trajectories
            ]
            return dict.fromkeys(components, records)

    return ArenaAdapter()


PEERS: dict[str, Callable[[Arena], Prompt]] = {
    "initial": initial,
    "random_demonstrations": random_demonstrations,
    "random_search": random_search,
    "capo": capo,
    "evoprompt_ga": evoprompt_ga,
    "mipro": mipro,
    "gepa": gepa,
}
