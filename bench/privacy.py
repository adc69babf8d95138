"""Keeps what is published free of what names its owner: one mechanism for every text of a record.

What is private is known in two ways: by value, as far as this machine tells (`bench.private_values`), and by shape,
whoever's it is (`bench.private_shapes`). Scrubbing twice changes nothing, and takes time linear in the text.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

from pydantic import BaseModel

from bench.private_shapes import MASK, looks_secret, without_private_shapes
from bench.private_values import find_host_names, find_places, find_secrets, find_user_names
from results.record import RunRecord

LONGEST_TEXT = 4000
MOST_ROUNDS = 10

EXACT = frozenset(
    [
        "run_id",
        "created_at",
        "provenance",
        "status",
        "place.suite_id",
        "place.role",
        "case.digest",
        "case.specification",
        "case.precision",
        "case.peak_dtype",
        "measurement.start_up.cache",
        "environment.host_id",
        "environment.boot_id",
        "achievable.dtype",
        "achievable.measured_at",
        "environment.packages_sha256",
        "environment.source_commit",
        "environment.source_sha256",
        "gates.outcome",
    ]
)
"""Fields of a record that nobody's text gets into: hashes, random identifiers, times, fixed words, and the canonical
workload, whose sha256 is the digest and which names nothing but the data that fairchip ships."""

_VERSION_FIELD = re.compile(r"^environment\.packages\.|(?:version|driver)$")
_VERSION = re.compile(r"(?:[a-z]+ )?\d+(?:\.\d+)*+(?:[+-][0-9a-z]{1,20})?")

_TERMINAL_ORDERS = re.compile(r"\x1b\[[0-9;?]*+[ -/]*+[@-~]|[\x00-\x08\x0e-\x1f\x7f]")
_PART = r"/++[^\s/:\"'<>|,;()\[\]{}]++"
_SHORT_MARK = r"(?:~|<tmp>|<here>|<path>)"
_PATH = re.compile(
    # what stands for a folder that is public, or for no folder, keeps what follows it
    rf"<(?:fairchip|site-packages|stdlib|cache|user|host|masked|address|email|uuid|mac)>(?:{_PART})*+"
    # in quotes a path may hold spaces
    rf"|(?<=\"){_SHORT_MARK}?/[^\"\n/]++/[^\"\n]++(?=\")|(?<='){_SHORT_MARK}?/[^'\n/]++/[^'\n]++(?=')"
    rf"|{_SHORT_MARK}(?:{_PART})++"
    rf"|(?:(?<![\w./:])|(?<=:)(?!//)|(?<=file://)|(?<=-[A-Z])|(?<=\\n))(?:{_PART}){{2,}}+"
)
_KEPT_WHOLE = re.compile(r"<(?!tmp>|here>|path>)|/(?:proc|sys)/|/dev/(?:nvidia|neuron|kfd|dri|accel)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubber:
    """What is private here, read once, and the way to take it out of texts."""

    secrets: Iterable[str] = field(default_factory=find_secrets)
    users: Iterable[str] = field(default_factory=find_user_names)
    hosts: Iterable[str] = field(default_factory=find_host_names)
    places: Mapping[str, str] = field(default_factory=find_places)
    short_paths: bool = True
    """Whether of a path outside the public places only the last part is kept."""

    @classmethod
    def keeping_paths(cls) -> Self:
        """For what its owner reads first: paths stay whole, but the home is ``~``."""
        home = {folder: mark for folder, mark in find_places().items() if mark == "~"}
        return cls(places=home, short_paths=False)

    def text(self, text: str) -> str:
        """The text with everything private replaced, and without colours and other orders to a terminal.

        Repeated until nothing changes: what one rule leaves may be what an earlier one looks for. A text that goes on
        changing is masked as a whole.
        """
        for _ in range(MOST_ROUNDS):
            before, text = text, self._once(text)
            if text == before:
                return text
        return MASK

    def tail(self, text: str) -> str:
        """The end of the scrubbed text, at most 4000 characters: what a field of a record may hold."""
        text = self.text(text)
        while len(text) > LONGEST_TEXT:
            text = self.text(text[-LONGEST_TEXT:])
        return text

    def content(self, content: Any, path: str = "") -> Any:
        """A record, or the part of one that is at the dotted ``path``, with every text in it scrubbed."""
        if isinstance(content, str) and not (_VERSION_FIELD.search(path) and _VERSION.fullmatch(content)):
            return self.tail(content)
        if isinstance(content, BaseModel):
            names = type(content).model_fields
            return content.model_copy(update={name: self._field(content, name, path) for name in names})
        if is_dataclass(content) and not isinstance(content, type):
            return replace(content, **{f.name: self._field(content, f.name, path) for f in fields(content)})
        if isinstance(content, dict):
            return {self.tail(key): self._entry(key, value, path) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return type(content)(self.content(item, path) for item in content)
        return content

    def _field(self, model: object, name: str, path: str) -> Any:
        path, value = _below(path, name), getattr(model, name)
        return value if path in EXACT else self.content(value, path)

    def _entry(self, key: str, value: Any, path: str) -> Any:
        """The value of a free key; a secret's name is enough to hide it, whatever it looks like."""
        hidden = looks_secret(key) and isinstance(value, str | int | float) and not isinstance(value, bool)
        return MASK if hidden else self.content(value, _below(path, key))

    def _once(self, text: str) -> str:
        text = _TERMINAL_ORDERS.sub("", text.replace("\r", "\n"))
        for secret in self.secrets:
            text = _without(text, secret, MASK, inside_words=not (secret.isalpha() or secret.isdigit()))
        text = _without_places(text, self.places)
        text = without_private_shapes(text)
        if self.short_paths:
            text = _PATH.sub(_short_path, text)
        for user in self.users:
            text = _without(text, user, "<user>")
        for host in self.hosts:
            text = _without(text, host, "<host>", suffix=r"(?:\.[a-zA-Z0-9-]++)*")
        return text


def scrubbed_record(record: RunRecord) -> RunRecord:
    """The record without anything that names its owner: every text in it, keys included, but for `EXACT`."""
    clean = Scrubber().content(record)
    assert isinstance(clean, RunRecord)
    return clean


def scrubbed(text: str) -> str:
    """The end of a text, at most 4000 characters, with everything private replaced."""
    return Scrubber().tail(text)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _without_places(text: str, places: Mapping[str, str]) -> str:
    """The text with the mark of every place, longest first, also of one that follows another without a gap."""
    known = "|".join(re.escape(place) for place in places if place in text)
    if not known:
        return text
    return re.sub(
        rf"(?<![\w.])(?:{known})+(?![\w-]|\.\w)",
        lambda found: re.sub(known, lambda place: places[place[0]], found[0]),
        text,
    )


def _without(text: str, private: str, shown: str, *, inside_words: bool = False, suffix: str = "") -> str:
    """The text with a value replaced: everywhere, or only where it is a word, also after a newline in a repr."""
    if private not in text:
        return text
    if inside_words:
        return text.replace(private, shown)
    return re.sub(rf"(?:(?<![^\W_])|(?<=\\[nrt])){re.escape(private)}{suffix}(?![^\W_])", shown, text)


def _short_path(found: "re.Match[str]") -> str:
    """``<path>/file.py``: tracebacks stay readable, folders stay private. Devices are the same everywhere."""
    path = found[0]
    if _KEPT_WHOLE.match(path):
        return path
    mark = path.partition("/")[0] or "<path>"
    return f"{mark}/{path.rstrip('/').rpartition('/')[2]}"
