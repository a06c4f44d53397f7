"""promptolution 2.3.0: CAPO and EvoPromptGA, with their defaults."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from peers.run import MANY, Run, RunEnded, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from search_arena import Arena

    from promptfront.search.contracts import Example, Prompt

BLOCK = 30
"""Rows of a block in CAPO, its default."""
EVOLVED_ROWS = 50
"""Dev rows EvoPrompt scores every prompt on: the smallest dev set of its paper.

A whole one would be spent in one generation.
"""


def capo(arena: Arena) -> None:
    """Promptolution's CAPO, with its defaults.

    Its defaults: 4 crossovers a step, up to 5 shots, blocks of 30 dev rows in order, up to 10 of
    them, paired t-test at alpha 0.2, length penalty 0.05. The population is the arena's
    instructions. Shots come from train and carry no reasoning. Lengths are counted in words, as
    CAPO does without a tokenizer. It returns what its race ranks first, by mean over the blocks a
    prompt was scored on; if not even one race is over when the budget is, the best of that race so
    far.
    """
    import pandas as pd
    from promptolution.optimizers.capo import CAPO  # type: ignore[import-not-found,unused-ignore]

    run = Run(arena)
    shots = pd.DataFrame({"x": [text_of(e) for e in run.train], "y": [e.target for e in run.train]})
    _evolve(run, CAPO, run.dev, "sequential_block", create_fs_reasoning=False, df_few_shots=shots)


def evoprompt_ga(arena: Arena) -> None:
    """Promptolution's EvoPromptGA, with its defaults: wheel selection, a child an instruction.

    The population is the arena's instructions. Every prompt is scored on the same `EVOLVED_ROWS`
    dev rows. It returns the best of all by these rows' mean; prompts of a generation that the
    budget cuts short count where they were scored.
    """
    from promptolution.optimizers.evoprompt_ga import EvoPromptGA  # type: ignore[import-not-found,unused-ignore]

    run = Run(arena)
    _evolve(run, EvoPromptGA, run.dev[:EVOLVED_ROWS], "full")


def _evolve(
    run: Run,
    optimizer: Callable[..., Any],
    rows: Sequence[Example],
    strategy: str,
    **options: object,
) -> None:
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


def _description(arena: Arena) -> str:
    labels = f" The labels are: {', '.join(arena.task.labels)}." if arena.task.labels else ""
    return f"{arena.instructions[0]}{labels}"


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
        task_description=_description(run.arena),
        n_subsamples=min(BLOCK, len(texts)),
        eval_strategy=strategy,
        seed=run.arena.seed,
        metric=lambda gold, answer: float(gold == answer),
    )
