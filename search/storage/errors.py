"""What a database driver raises, as one sentence."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optuna.exceptions import OptunaError
from sqlalchemy.exc import IntegrityError, NoSuchModuleError, SAWarning, SQLAlchemyError

from ..errors import PromptfrontError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def clear_errors(url: str) -> Iterator[None]:
    """Turn what a database driver raises into one sentence."""
    try:
        yield
    except PromptfrontError:
        raise
    except NoSuchModuleError as error:
        raise StorageError(
            f"`storage` {url}: no driver for this kind of database is installed ({error})"
        ) from None
    except ImportError as error:
        raise StorageError(
            f"`storage` {url}: its driver is not installed ({error}); install it with pip"
        ) from None
    except IntegrityError:
        raise
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"`storage` {url}: the database holds a damaged value ({error}); "
            "restore it from a copy, or name another"
        ) from error
    except (
        SQLAlchemyError,
        SAWarning,
        OptunaError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        cause = (error.__cause__ if isinstance(error, OptunaError) else error) or error
        reason = str(getattr(cause, "orig", None) or cause) or type(cause).__name__
        raise StorageError(
            f"`storage` {url}: the database cannot be opened or written "
            f"({reason.splitlines()[0]}); "
            "check that the folder exists, is writable and has free space"
        ) from error
