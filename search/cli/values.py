"""What the words of the command line stand for: options as the public API takes them."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..options import DataOptions, Limits, above_zero

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence

_MAY_BE_EMPTY = ("target_column", "file")
_BACKEND_OPTIONS = (
    "max_batch_tokens",
    "trust_remote_code",
    "device",
    "dtype",
    "base_url",
    "retry_timeout",
    "max_cost",
)


def refuse_empty(options: argparse.Namespace) -> None:
    """Refuse an option that is given and says nothing: `--model "$MODEL"` with MODEL unset.

    Raises
    ------
    InputError
        If there is one.
    """
    for name, value in vars(options).items():
        if isinstance(value, str) and not value.strip() and name not in _MAY_BE_EMPTY:
            raise InputError(
                f"`{name}`: expected a value, found {value!r}; leave the option out for none"
            )


def limits(options: argparse.Namespace) -> Limits:
    """Return when the search ends."""
    return Limits(
        options.budget,
        options.max_evaluations,
        options.max_tokens,
        options.timeout,
        options.max_prompt_tokens,
        options.patience,
    )


def data_options(options: argparse.Namespace) -> DataOptions:
    """Return where the rows come from.

    Raises
    ------
    InputError
        If neither a task nor data are named.
    """
    if not any((options.task, options.data, options.train, options.prompt)):
        raise InputError(
            "expected --task NAME or --data FILE, found neither; "
            "for a first try: optimize --task sentiment --budget 200"
        )
    return DataOptions(
        data=options.data,
        train=options.train,
        dev=options.dev,
        test=options.test,
        input_columns=tuple(options.input_column),
        target_column=options.target_column,
        instructions=tuple(options.instruction),
        choices=choices(options.choices),
        scorer=options.scorer,
        prompts=tuple(options.prompt),
        keep=tuple(options.keep),
    )


def choices(text: str | None) -> tuple[str, ...]:
    """Return the labels in ``a,"b, c"``.

    Raises
    ------
    InputError
        If they are fewer than two, or not different.
    """
    if text is None:
        return ()
    try:
        labels = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise InputError(
            f"--choices: expected labels as in 'a,\"b, c\"', found {text!r} ({error})"
        ) from None
    labels = [label.strip() for label in labels]
    if len(labels) < 2 or not all(labels) or len(set(labels)) < len(labels):
        raise InputError(
            "--choices: expected two or more different labels with commas between them, "
            f"found {text!r}"
        )
    return tuple(labels)


def backend_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked of the backend: its constructor's arguments by name.

    Raises
    ------
    InputError
        If a value is not what its option takes.
    """
    for name in ("max_batch_tokens", "retry_timeout", "max_cost"):
        if (value := getattr(options, name)) is not None:
            above_zero(name, value)
    given = {name: value for name in _BACKEND_OPTIONS if (value := getattr(options, name))}
    if options.price:
        given["price"] = _price("--price", options.price)
    own = (*_BACKEND_OPTIONS, "model", "price")
    return given | _named("--backend-option", options.backend_option, own)


def proposer_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked of the proposer's backend alone.

    Raises
    ------
    InputError
        If a value is not what its option takes.
    """
    given: dict[str, Any] = {}
    if options.proposer_base_url:
        given["base_url"] = options.proposer_base_url
    if options.proposer_max_cost is not None:
        above_zero("proposer_max_cost", options.proposer_max_cost)
        given["max_cost"] = options.proposer_max_cost
    if options.proposer_price:
        given["price"] = _price("--proposer-price", options.proposer_price)
    own = ("model", "base_url", "max_cost", "price")
    return given | _named("--proposer-option", options.proposer_option, own, prefix="proposer_")


def _named(
    flag: str, texts: Sequence[str], own: Collection[str], prefix: str = ""
) -> dict[str, Any]:
    """Return the values in ``NAME=VALUE`` by name, which are read as JSON where they are JSON.

    Those of ``own`` have options of their own, whose names begin with ``prefix``.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"{flag}: expected NAME=VALUE, found {text!r}")
        if name in own:
            raise InputError(f"{flag} {name}: use its own option, `{prefix}{name}`")
        try:
            values[name] = json.loads(value)
        except (ValueError, RecursionError):
            values[name] = value
    return values


def _price(flag: str, text: str) -> list[float]:
    try:
        prices = [float(part) for part in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) != 2 or not all(0 <= price < math.inf for price in prices):
        raise InputError(f"{flag}: expected two numbers such as 0.15,0.6, found {text}")
    return prices
