"""Secrets: whatever form they take, they are masked."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from promptfront.search.errors import InputError
from promptfront.search.secrets import MASK, hide, hide_in_url, mask


@pytest.mark.parametrize(
    "secret",
    ["sk-pl@nted/key", "sk planted key\n", "sk-\u201cplanted\u201d-密钥", "p'l\"anted\\key"],
)
def test_a_secret_is_masked_in_every_form(secret: str) -> None:
    """As it is, stripped, as its repr, and URL-encoded, in whatever stands around it."""
    hide(secret)
    forms = (
        secret,
        secret.strip(),
        repr(secret),
        repr(secret.encode()),
        quote(secret, safe=""),
        quote_plus(secret),
    )
    for form in forms:
        shown = mask(f"before {form} after")
        assert MASK in shown
        assert "planted" not in shown
        assert "pl%40nted" not in shown
        assert "anted" not in shown
        assert shown.startswith("before ")
        assert shown.endswith(" after")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:plantedpw@host/db",
        "postgresql+psycopg://u:planted%70w@host:5432/db?sslmode=require",
        "https://host/v1?api_key=plantedpw&model=x",
        "https://host/v1?x-token=plantedpw",
        "https://host/v1?model=x&key=planted+pw/1%2F2",
    ],
)
def test_the_secret_of_a_url_is_masked(url: str) -> None:
    """Its password, and what its query names like a secret; the rest of it stays readable."""
    hide_in_url(url)
    assert "planted" not in mask(f"--storage {url}: no")
    assert "host" in mask(url)


def test_a_value_is_masked_as_it_is_written_and_as_it_is_meant() -> None:
    """A query may be encoded as no encoder of ours would.

    Long values are hidden where nothing else is known of them.
    """
    hide_in_url("https://host/v1?key=pw+one/1&code=pw%20two,2&v=3", longest_shown=4)
    assert mask("pw+one/1 pw one/1 pw%20two,2 pw two,2 v=3") == " ".join([MASK] * 4) + " v=3"


def test_errors_are_masked_where_they_are_made() -> None:
    """No message of ours can show what is hidden.

    Short and empty secrets mask no ordinary words.
    """
    hide("plantedpw")
    hide("")
    hide(None)
    hide("abc")
    assert str(InputError("no driver for plantedpw in abc")) == f"no driver for {MASK} in abc"
    hide_in_url("http://[broken")
    assert mask("nothing to hide") == "nothing to hide"
