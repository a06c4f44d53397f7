"""The engines that `benchmarks/engine.py` compares, each run in a process and a Python of its own.

    python benchmarks/engine_peers.py NAME MODEL_FOLDER

Every line of stdin is one job: requests as token ids (and, for ours, as text). Every line of the protocol's stdout is its answer:
seconds, log-likelihoods, and what the engine says of itself. All peers read token ids, so none pays for a tokenizer; ours does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Tokens = tuple[int, ...]
Request = dict[str, Any]
"""``prompt`` and ``continuations`` as token ids, ``text`` and ``answers`` as strings, ``prefix``: leading tokens shared by the candidate."""
Scores = list[list[float]]
PADDED_BATCH, EXPANDED_BATCH = 16, 50


def contexts(requests: list[Request]) -> dict[Tokens, set[int]]:
    """Return every context whose next token is wanted, candidate after candidate, each once."""
    wanted: dict[Tokens, set[int]] = {}
    for request in requests:
        for continuation in request["continuations"]:
            for i, token in enumerate(continuation):
                wanted.setdefault((*request["prompt"], *continuation[:i]), set()).add(token)
    return wanted


def chain(requests: list[Request], found: dict[Tokens, dict[int, float]]) -> Scores:
    """Return the log-likelihood of each continuation from those of its tokens."""
    return [
        [sum(found[(*r["prompt"], *c[:i])][token] for i, token in enumerate(c)) for c in r["continuations"]]
        for r in requests
    ]


def ours(folder: str) -> Callable[[list[Request]], Scores]:
    """Promptfront's Hugging Face backend, tokenizer included."""
    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Request as Asked

    backend = HFBackend(folder)

    def score(requests: list[Request]) -> Scores:
        asked = [Asked(r["text"], tuple(r["answers"])) for r in requests]
        return [list(scores) for scores in backend.loglikelihoods(asked)]

    score.computed = lambda: backend._engine.computed_tokens  # type: ignore[attr-defined]
    score.forget = backend._engine.forget  # type: ignore[attr-defined]
    return score


def padded(folder: str) -> Callable[[list[Request]], Scores]:
    """Full prompts in padded batches through transformers, by length; the head runs at the wanted positions only."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def score(requests: list[Request]) -> Scores:
        wanted = contexts(requests)
        found: dict[Tokens, dict[int, float]] = {}
        for batch in batches(sorted(wanted, key=len), PADDED_BATCH):
            ids, mask = right_padded(batch)
            hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            last = hidden[torch.arange(len(batch)), mask.sum(1) - 1]
            found |= read(model.lm_head(last), batch, wanted)
        return chain(requests, found)

    return score


def expanded(folder: str) -> Callable[[list[Request]], Scores]:
    """Compute the candidate's prefix once, and its keys and values are expanded for each padded batch of the rest."""
    import copy

    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def score(requests: list[Request]) -> Scores:
        found: dict[Tokens, dict[int, float]] = {}
        for prefix, run in groupby(requests, key=lambda r: tuple(r["prompt"][: r["prefix"]])):
            wanted = contexts(list(run))
            kept = model.model(input_ids=torch.tensor([prefix]), use_cache=True).past_key_values
            for batch in batches(sorted(wanted, key=len), EXPANDED_BATCH):
                ids, mask = right_padded([tokens[len(prefix) :] for tokens in batch])
                cache = copy.deepcopy(kept)
                cache.batch_repeat_interleave(len(batch))
                whole = torch.cat([torch.ones(len(batch), len(prefix), dtype=mask.dtype), mask], 1)
                hidden = model.model(input_ids=ids, attention_mask=whole, past_key_values=cache).last_hidden_state
                last = hidden[torch.arange(len(batch)), mask.sum(1) - 1]
                found |= read(model.lm_head(last), batch, wanted)
        return chain(requests, found)

    return score


def lm_eval(folder: str) -> Callable[[list[Request]], Scores]:
    """lm-evaluation-harness' `hf` model and its log-likelihoods, with its own batching and cache of one-token answers."""
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found,unused-ignore]

    model = HFLM(pretrained=folder, device="cpu", dtype="float32", batch_size=PADDED_BATCH)

    def score(requests: list[Request]) -> Scores:
        asked = [(("", ""), list(r["prompt"]), list(c)) for r in requests for c in r["continuations"]]
        found = iter(model._loglikelihood_tokens(asked, disable_tqdm=True))
        return [[next(found)[0] for _ in r["continuations"]] for r in requests]

    return score


def vllm(folder: str) -> Callable[[list[Request]], Scores]:
    """Run vLLM in process: one token, the labels' log-probabilities, prefix caching, requests candidate after candidate."""
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "4", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found,unused-ignore]

    model = LLM(
        folder,
        dtype="float32",
        enforce_eager=True,
        enable_prefix_caching=True,
        max_model_len=2048,
        max_num_seqs=256,
        max_num_batched_tokens=4096,
        seed=0,
    )

    def score(requests: list[Request]) -> Scores:
        wanted = contexts(requests)
        settings = [
            SamplingParams(max_tokens=1, temperature=0, logprob_token_ids=sorted(w), detokenize=False)
            for w in wanted.values()
        ]
        prompts = [{"prompt_token_ids": list(context)} for context in wanted]
        outputs = model.generate(prompts, settings, use_tqdm=False)
        found = {
            context: {token: output.outputs[0].logprobs[0][token].logprob for token in tokens}
            for (context, tokens), output in zip(wanted.items(), outputs, strict=True)
        }
        return chain(requests, found)

    score.forget = model.reset_prefix_cache  # type: ignore[attr-defined]
    return score


def batches(items: list[Tokens], size: int) -> list[list[Tokens]]:
    """Return the items, ``size`` at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def right_padded(batch: list[Tokens]) -> tuple[Any, Any]:
    """Return token ids and attention mask."""
    import torch

    width = max(map(len, batch))
    ids = torch.tensor([[*tokens, *[0] * (width - len(tokens))] for tokens in batch])
    mask = torch.tensor([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in batch])
    return ids, mask


def read(logits: Any, batch: list[Tokens], wanted: dict[Tokens, set[int]]) -> dict[Tokens, dict[int, float]]:  # noqa: ANN401
    """Return the log-probabilities that are wanted after each context of a batch."""
    logs = logits.log_softmax(-1)
    return {context: {t: float(logs[i, t]) for t in wanted[context]} for i, context in enumerate(batch)}


def peak_gemm(_: str) -> Callable[[list[Request]], Scores]:
    """Not an engine: the machine's float32 matrix product, in FLOP/s, measured for three seconds."""
    import torch

    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)

    def score(_: list[Request]) -> Scores:
        started, products = time.perf_counter(), 0
        while time.perf_counter() - started < 3:
            torch.mm(a, b)
            products += 1
        return [[products * 2 * 2048**3 / (time.perf_counter() - started)]]

    return score


ENGINES = {
    "ours": ours,
    "padded": padded,
    "expanded": expanded,
    "lm-eval": lm_eval,
    "vllm": vllm,
    "gemm": peak_gemm,
}


def main() -> None:
    """Serve jobs until stdin ends."""
    name, folder = sys.argv[1:3]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    score = ENGINES[name](folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        calls: list[list[Request]] = json.loads(line)
        getattr(score, "forget", lambda: None)()
        before = getattr(score, "computed", lambda: 0)()
        started = time.perf_counter()
        scores = [row for call in calls for row in score(call)]
        answer = {
            "seconds": time.perf_counter() - started,
            "scores": scores,
            "computed": getattr(score, "computed", lambda: 0)() - before,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
