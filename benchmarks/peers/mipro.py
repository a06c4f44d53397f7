"""DSPy's MIPROv2, on a program of one Predict."""

from __future__ import annotations

from contextlib import suppress
from statistics import fmean
from typing import TYPE_CHECKING, Any

from peers.run import MANY, SHOTS, Run, RunEnded, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from search_arena import Arena

    from promptfront.search.contracts import Prompt

MINIBATCH = 35
"""MIPROv2's default."""
CANDIDATES = 6
"""MIPROv2's demonstration sets and instructions in its setting "light"."""


def mipro(arena: Arena) -> None:
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
    target = _target(run)

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
        name: [
            dspy.Example(**{"text": text_of(e), target: e.target}).with_inputs("text")
            for e in examples
        ]
        for name, examples in (("trainset", run.train), ("valset", run.dev))
    }
    optimizer = BatchedMIPROv2(
        metric=lambda example, prediction, _=None: example[target] == prediction[target],
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


def _target(run: Run) -> str:
    return "label" if run.arena.task.labels else "answer"


def _dspy_prompt(run: Run, predict: Any) -> Prompt:  # noqa: ANN401
    shown = [run.rows[demo.text] for demo in predict.demos]
    prompt: Prompt = run.prompt(predict.signature.instructions, shown)
    return prompt


def _dspy_program(run: Run) -> Any:  # noqa: ANN401
    import dspy

    class Predict(dspy.Predict):  # type: ignore[misc,unused-ignore]
        # Named as its base class is, or MIPROv2 would show this code to the proposer as the
        # program's.
        def forward(self, **inputs: str) -> Any:  # noqa: ANN401
            row = run.rows[inputs["text"]]
            right = run.score(_dspy_prompt(run, self), [row])[0]
            return self._forward_postprocess(
                [{_target(run): row.target if right else ""}], self.signature, **inputs
            )

    class Classify(dspy.Module):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.predict = Predict(
                dspy.Signature(f"text -> {_target(run)}", run.arena.instructions[0])
            )

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
