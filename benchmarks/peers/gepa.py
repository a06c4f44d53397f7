"""GEPA, on one component: the instruction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from peers.run import MANY, Run, RunEnded, text_of

if TYPE_CHECKING:
    from search_arena import Arena

    from promptfront.search.contracts import Example


def gepa(arena: Arena) -> None:
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


def _gepa_adapter(run: Run) -> Any:  # noqa: ANN401
    from gepa import EvaluationBatch, GEPAAdapter  # type: ignore[import-not-found,unused-ignore]

    class ArenaAdapter(GEPAAdapter):  # type: ignore[misc,unused-ignore]
        def evaluate(
            self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False
        ) -> Any:  # noqa: ANN401
            prompt = run.prompt(candidate["instruction"])
            scores = run.score(prompt, batch)
            replies = [answer.reply for answer in run.arena.answers(prompt, batch)]
            traces = list(zip(batch, scores, replies, strict=True)) if capture_traces else None
            return EvaluationBatch(outputs=scores, scores=scores, trajectories=traces)

        def make_reflective_dataset(self, _: object, batch: Any, components: list[str]) -> Any:  # noqa: ANN401
            records = [
                {
                    "Inputs": text_of(row),
                    "Generated Outputs": reply,
                    "Feedback": "Right." if right else f"Wrong, the right answer is {row.target}.",
                }
                for row, right, reply in batch.trajectories
            ]
            return dict.fromkeys(components, records)

    return ArenaAdapter()
