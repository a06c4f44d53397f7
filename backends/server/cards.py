"""Which models a server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ...search.errors import BackendError
from . import answers as server_answers
from .answers import UnusableAnswerError
from .calls import NoListError

if TYPE_CHECKING:
    from .client import Client

_NAMED = 10
"""Names in a message, at most."""


class Card(NamedTuple):
    """A model's name on the server and the tokens it reads, 0 where the server does not say."""

    name: str
    context: int


def find_card(client: Client, model: str | None) -> Card:
    """Return what the server says of a model, by default its only one.

    Where it has no list of models, the model's name has to do.

    Raises
    ------
    BackendError
        If there is no such model, or not one alone.
    """
    cards = _listed(client)
    names = [card.name for card in cards or ()]
    if model is not None and not names:
        return Card(model, 0)
    if cards is None:
        raise BackendError(
            f"{client.name}: the server does not list its models; name one with `model`"
        )
    known = ", ".join(names[:_NAMED])
    if model is None and len(cards) != 1:
        raise BackendError(f"`model`: expected one of the server's {len(cards)} models: {known}")
    if model is not None and model not in names:
        raise BackendError(f"`model` {model}: expected a model that {client.name} serves: {known}")
    return cards[0] if model is None else cards[names.index(model)]


def _listed(client: Client) -> list[Card] | None:
    """Return the models that the server lists; also where /v1 is left out of its address."""
    try:
        return client.models(_cards)
    except NoListError:
        if client.name.endswith("/v1"):
            return None
    try:
        return client.models(_cards, below="/v1")
    except BackendError:
        return None


def _cards(_: None, answer: Any) -> list[Card]:  # noqa: ANN401 (any JSON)
    """Return the models of a list, which some servers send bare."""
    listed = answer if isinstance(answer, list) else server_answers.field(answer, "data")
    if not isinstance(listed, list):
        raise UnusableAnswerError(f"expected a list of models, found {str(answer)[:100]}")
    named = [(card, server_answers.field(card, "id")) for card in listed]
    return [
        Card(str(name), server_answers.count(server_answers.field(card, "max_model_len")))
        for card, name in named
        if isinstance(name, (str, int)) and str(name).strip()
    ]
