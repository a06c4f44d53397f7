"""The engines that `benchmarks/engine.py` compares, each run in a process and a Python of its own.

    python benchmarks/engine_peers.py NAME MODEL_FOLDER DTYPE

Every line of stdin is one job: requests as token ids (and, for promptfront's backends, as text).
Every line of the protocol's stdout is its answer: seconds, log-likelihoods, and what the engine
says of itself. The other peers read token ids, so none pays for a tokenizer; promptfront's backends
do. A peer's Python may have no promptfront, so contexts and the chain rule are written here again.
"""

from __future__ import annotations

import copy
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
"""``prompt`` and ``continuations`` as token ids, ``text`` and ``answers`` as strings, ``prefix``:
leading tokens shared by the candidate."""
Scores = list[list[float]]
BATCHES = {"cpu": (16, 50), "cuda": (256, 256)}
"""Sizes of padded batches, and of those that continue an expanded cache."""
LLAMA_PROBS = 1000
"""llama.cpp gives the likeliest tokens only; a label that is not among so many ends the comparison
with an error."""


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
        [
            sum(found[(*r["prompt"], *c[:i])][token] for i, token in enumerate(c))
            for c in r["continuations"]
        ]
        for r in requests
    ]


def ours(folder: str, dtype: str) -> Callable[[list[Request]], Scores]:
    """Promptfront's Hugging Face backend, tokenizer included."""
    from promptfront.backends.hf import HFBackend

    backend = HFBackend(folder, dtype=dtype)
    score = asking(backend)
    score.computed = lambda: backend._engine.computed_tokens  # type: ignore[attr-defined]
    score.forget = backend._engine.forget  # type: ignore[attr-defined]
    return score


def asking(backend: Any) -> Callable[[list[Request]], Scores]:  # noqa: ANN401 (any backend)
    """Return what asks a backend of promptfront, which gets texts."""
    from promptfront.search.contracts import LikelihoodRequest as Asked

    def score(requests: list[Request]) -> Scores:
        asked = [Asked(r["text"], tuple(r["answers"])) for r in requests]
        return [list(scores) for scores in backend.loglikelihoods(asked)]

    return score


def padded(folder: str, dtype: str) -> Callable[[list[Request]], Scores]:
    """Full prompts in padded batches through transformers, by length.

    The head runs at the wanted positions only.
    """
    model = transformers_model(folder, dtype)
    size = BATCHES[device()][0]

    def score(requests: list[Request]) -> Scores:
        return chain(requests, forward(model, contexts(requests), size))

    return score


def expanded(folder: str, dtype: str) -> Callable[[list[Request]], Scores]:
    """Compute the prefix once, and expand its keys and values for each padded batch."""
    import torch

    model = transformers_model(folder, dtype)
    size = BATCHES[device()][1]

    def score(requests: list[Request]) -> Scores:
        found: dict[Tokens, dict[int, float]] = {}
        for prefix, run in groupby(requests, key=lambda r: tuple(r["prompt"][: r["prefix"]])):
            with torch.inference_mode():
                kept = model.model(
                    input_ids=torch.tensor([prefix], device=model.device), use_cache=True
                ).past_key_values
            found |= forward(model, contexts(list(run)), size, len(prefix), kept)
        return chain(requests, found)

    return score


def lm_eval(folder: str, dtype: str) -> Callable[[list[Request]], Scores]:
    """lm-evaluation-harness' `hf` model, with its own batching and cache of answers."""
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-not-found,unused-ignore]

    model = HFLM(pretrained=folder, device=device(), dtype=dtype, batch_size=BATCHES[device()][0])

    def score(requests: list[Request]) -> Scores:
        asked = [
            (("", ""), list(r["prompt"]), list(c)) for r in requests for c in r["continuations"]
        ]
        found = iter(model._loglikelihood_tokens(asked, disable_tqdm=True))
        return [[next(found)[0] for _ in r["continuations"]] for r in requests]

    return score


def vllm(folder: str, dtype: str) -> Callable[[list[Request]], Scores]:
    """Promptfront's vLLM backend, in process.

    One token, the labels' log-probabilities, prefix caching.
    """
    from promptfront.backends.vllm import VLLMBackend

    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")
    backend = VLLMBackend(
        folder, dtype=dtype, max_batch_tokens=4096, max_model_len=2048, max_num_seqs=256
    )
    score = asking(backend)
    score.forget = backend._llm.reset_prefix_cache  # type: ignore[attr-defined]
    return score


def served(*_: str) -> Callable[[list[Request]], Scores]:
    """Promptfront's backend for servers, on a vLLM server at VLLM_URL."""
    from promptfront.backends.openai import OpenAIBackend

    score = asking(OpenAIBackend(base_url=os.environ["VLLM_URL"]))
    score.forget = forget_prefixes  # type: ignore[attr-defined]
    return score


def served_loop(*_: str) -> Callable[[list[Request]], Scores]:
    """Ask the same server in a plain loop of the official client: one context after the other."""
    import openai

    client = openai.OpenAI(base_url=os.environ["VLLM_URL"], api_key="none")
    model = client.models.list().data[0].id

    def ask(context: Tokens, tokens: set[int]) -> dict[int, float]:
        extra = {"logprob_token_ids": sorted(tokens), "return_tokens_as_token_ids": True}
        answer = client.completions.create(
            model=model,
            prompt=list(context),
            max_tokens=1,
            temperature=0,
            logprobs=len(tokens),
            extra_body=extra,
        )
        logprobs: Any = answer.choices[0].logprobs
        listed = logprobs.top_logprobs[0]
        return {token: listed[f"token_id:{token}"] for token in tokens}

    def score(requests: list[Request]) -> Scores:
        return chain(
            requests,
            {context: ask(context, tokens) for context, tokens in contexts(requests).items()},
        )

    score.forget = forget_prefixes  # type: ignore[attr-defined]
    return score


def forget_prefixes() -> None:
    """Empty the prefix cache of the server at VLLM_URL."""
    import urllib.request

    url = os.environ["VLLM_URL"].removesuffix("/v1")
    urllib.request.urlopen(urllib.request.Request(f"{url}/reset_prefix_cache", method="POST"))  # noqa: S310


def llama_cpp(*_: str) -> Callable[[list[Request]], Scores]:
    """Ask a llama.cpp server at LLAMA_CPP_URL.

    One token, the likeliest next tokens, prompt caching, as many requests at once as it has slots.
    """
    import urllib.request
    from concurrent.futures import ThreadPoolExecutor

    url = os.environ["LLAMA_CPP_URL"].rstrip("/")
    slots = json.load(urllib.request.urlopen(f"{url}/props"))["total_slots"]  # noqa: S310

    def ask(context: Tokens) -> dict[int, float]:
        asked = {
            "prompt": context,
            "n_predict": 1,
            "n_probs": LLAMA_PROBS,
            "temperature": 0,
            "cache_prompt": True,
        }
        request = urllib.request.Request(f"{url}/completion", json.dumps(asked).encode())  # noqa: S310
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            likeliest = json.load(answer)["completion_probabilities"][0]["top_logprobs"]
        return {entry["id"]: entry["logprob"] for entry in likeliest}

    def score(requests: list[Request]) -> Scores:
        wanted = contexts(requests)
        with ThreadPoolExecutor(slots) as pool:
            found = dict(zip(wanted, pool.map(ask, wanted), strict=True))
        return chain(requests, found)

    return score


def device() -> str:
    """Return where the engines run: a GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def transformers_model(folder: str, dtype: str) -> Any:  # noqa: ANN401 (transformers publishes no types)
    """Return the model."""
    import torch
    from transformers import AutoModelForCausalLM

    return (
        AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        .to(device())
        .eval()
    )


def forward(
    model: Any,  # noqa: ANN401
    wanted: dict[Tokens, set[int]],
    size: int,
    skip: int = 0,
    kept: Any = None,  # noqa: ANN401
) -> dict[Tokens, dict[int, float]]:
    """Return the wanted log-probabilities, in padded batches by length.

    ``kept`` is the cache of the first ``skip`` tokens.
    """
    import torch

    ordered = sorted(wanted, key=len)
    found: dict[Tokens, dict[int, float]] = {}
    for start in range(0, len(ordered), size):
        batch = ordered[start : start + size]
        rest = [tokens[skip:] for tokens in batch]
        width = max(map(len, rest))
        ids = torch.tensor(
            [[*tokens, *[0] * (width - len(tokens))] for tokens in rest], device=model.device
        )
        mask = torch.tensor(
            [[1] * (skip + len(tokens)) + [0] * (width - len(tokens)) for tokens in rest],
            device=model.device,
        )
        cache = copy.deepcopy(kept)
        if cache is not None:
            cache.batch_repeat_interleave(len(batch))
        with torch.inference_mode():
            hidden = model.model(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state
            logs = (
                model.lm_head(hidden[torch.arange(len(batch)), mask.sum(1) - skip - 1])
                .float()
                .log_softmax(-1)
                .cpu()
            )
        found |= {
            context: {t: float(logs[i, t]) for t in wanted[context]}
            for i, context in enumerate(batch)
        }
    return found


def peak_gemm(_: str, dtype: str) -> Callable[[list[Request]], Scores]:
    """Not an engine: the machine's matrix product, in FLOP/s, measured for three seconds."""
    import torch

    size = {"cpu": 2048, "cuda": 8192}[device()]
    a, b = torch.randn(2, size, size, dtype=getattr(torch, dtype), device=device())

    def score(_requests: list[Request]) -> Scores:
        started, products = time.perf_counter(), 0
        while time.perf_counter() - started < 3:
            for _ in range(8):
                product = torch.mm(a, b)
            float(product[0, 0])  # waits for a GPU
            products += 8
        return [[products * 2 * size**3 / (time.perf_counter() - started)]]

    return score


ENGINES: dict[str, Callable[[str, str], Callable[[list[Request]], Scores]]] = {
    "ours": ours,
    "ours-bfloat16": lambda folder, _: ours(folder, "bfloat16"),
    "ours-int8": lambda folder, _: ours(folder, "int8"),
    "padded": padded,
    "expanded": expanded,
    "lm-eval": lm_eval,
    "vllm": vllm,
    "vllm-server": served,
    "vllm-server-loop": served_loop,
    "llama.cpp": llama_cpp,
    "gemm": peak_gemm,
}


def main() -> None:
    """Serve jobs until stdin ends."""
    name, folder, dtype = sys.argv[1:4]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    score = ENGINES[name](folder, dtype)
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
