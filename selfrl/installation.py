"""How this installation gets what it lacks: selfrl's name is not ours on a package index yet."""

from __future__ import annotations

import importlib.metadata
import json
import urllib.parse
from pathlib import Path
from typing import Any


def mend(extra: str | None = None) -> str:
    """The command that installs one of selfrl's extras, or what selfrl itself needs, the way selfrl was installed.

    From a clone it names the clone, from a wheel or an address that; without a record of either, which only an
    installation by name leaves, the name.

    Example:
        >>> mend("eval").startswith("pip install ") and mend("eval").rstrip("'").endswith("[eval]")
        True
    """
    return command(Path(__file__).parents[1], _origin(), extra)


def command(root: Path, origin: dict[str, Any] | None, extra: str | None) -> str:
    """[`mend`] for a place and an origin.

    Args:
        root: folder that holds the package.
        origin: what pip wrote down as `direct_url.json` (PEP 610); None if nothing.
        extra: its name, or None for none.

    Example:
        >>> command(Path("/env/site-packages"), {"url": "file:///tmp/my%20clone", "dir_info": {}}, "eval")
        "pip install '/tmp/my clone[eval]'"
        >>> command(Path("/env/site-packages"), {"url": "https://host/selfrl.git", "vcs_info": {"vcs": "git"}}, "eval")
        "pip install 'selfrl[eval] @ git+https://host/selfrl.git'"
        >>> command(Path("/env/site-packages"), None, "eval")
        "pip install 'selfrl[eval]'"
    """
    wanted = f"[{extra}]" if extra else ""
    if (root / "pyproject.toml").is_file():
        return f"pip install -e '{root}{wanted}'"
    if origin is None:
        return f"pip install 'selfrl{wanted}'"
    url = urllib.parse.urlsplit(origin["url"])
    if url.scheme == "file":
        editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
        return f"pip install {editable}'{urllib.parse.unquote(url.path)}{wanted}'"
    vcs = origin.get("vcs_info")
    address = f"{vcs['vcs']}+{origin['url']}" if vcs else origin["url"]
    commit = f"@{vcs['commit_id']}" if vcs and "commit_id" in vcs else ""
    return f"pip install 'selfrl{wanted} @ {address}{commit}'"


def _origin() -> dict[str, Any] | None:
    try:
        text = importlib.metadata.distribution("selfrl").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    return None if text is None else json.loads(text)
