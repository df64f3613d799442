"""YAML as it is read here: what has more than one reading, or stands twice, is an error."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import yaml
from pydantic import JsonValue

from workflow_src.configuration.lines import Loc
from workflow_src.configuration.scalars import Doubt, Reading, Yaml, doubt, doubt_as_text, is_code
from workflow_src.configuration.validation_errors import as_argument, as_flow, as_yaml, dotted
from workflow_src.errors import UserError

_STR, _MERGE, _VALUE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "merge", "value"))


class TextPlace(NamedTuple):
    """Where a text stands: a file, or a key of --config."""

    place: str
    key: str | None = None  # of --config

    def where(self, *lines: int) -> str:
        """The place; of a file with the lines, counted from 0."""
        if self.key is not None or not lines:
            return self.place
        said = " and ".join(str(line + 1) for line in lines)
        return f"{self.place}, line{'s' * (len(lines) > 1)} {said}"

    def path(self, path: Loc) -> Loc:
        """A path below the text, from the top of the configuration."""
        return path if self.key is None else (self.key, *path)

    def remedy(self, path: Loc, value: Yaml) -> str:
        """What to write so that `value` stands at `path`; of --config a whole argument."""
        if self.key is None:
            return as_yaml(path, value)
        for step in reversed(path):
            value = {str(step): value}
        return as_argument(self.key, value)


class _Loader(yaml.SafeLoader):
    """Remembers which words stand without quotes; refuses tags, which only hide such a word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.words: set[int] = set()  # by id: nodes live as long as their document

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", _STR):
            what = f"the tag {tag}; write the value without it"
            assert isinstance(event.start_mark, yaml.Mark)
            raise yaml.composer.ComposerError(None, None, what, event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.ScalarEvent) and event.tag is None and event.implicit[0]:
            self.words.add(id(node))
        return node


class _Found(NamedTuple):
    """A word that is asked about, and the part of the text that is shown with it mended."""

    word: yaml.Node
    path: Loc
    doubt: Doubt
    part: yaml.Node
    part_path: Loc


def parse(text: str, origin: TextPlace) -> JsonValue:
    """The values that `text` holds.

    Raises UserError for a word of several readings and for a key that stands twice,
    ``yaml.YAMLError`` for a text that is no YAML.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        asked = list(_Search(loader).below(root, (), root, ()))
        if asked:
            raise _ask(loader, asked, text, origin)
        _refuse_repeated(loader, root, (), origin, set())
        values: JsonValue = loader.construct_document(root)
        return values
    finally:
        loader.dispose()


# ------------------------------------------------------------------------------- doubts


class _Search:
    """Goes through a document once, whatever its aliases say."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._seen: set[int] = set()

    def below(
        self, node: yaml.Node, path: Loc, part: yaml.Node, part_path: Loc
    ) -> Iterator[_Found]:
        """The words at and below `node`; `part` is what a remedy shows: a list is shown whole."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        in_list = any(isinstance(step, int) for step in path)
        if not in_list:
            part, part_path = node, path
        if isinstance(node, yaml.ScalarNode):
            found = _doubt_of(self._loader, node)
            if found is not None:
                yield _Found(node, path, found, part, part_path)
        elif isinstance(node, yaml.SequenceNode):
            for i, inner in enumerate(node.value):
                yield from self.below(inner, (*path, i), part, part_path)
        elif isinstance(node, yaml.MappingNode):
            for key, inner in node.value:
                if key.tag == _MERGE:  # what is merged stands in the mapping itself
                    for one in inner.value if isinstance(inner, yaml.SequenceNode) else [inner]:
                        yield from self.below(one, path, part, part_path)
                    continue
                at = (*path, str(key.value))
                found = _doubt_of(self._loader, key, is_key=True)
                if found is not None:
                    yield _Found(key, at, found, part, part_path)
                yield from self.below(inner, at, part, part_path)


def _doubt_of(loader: _Loader, node: yaml.Node, *, is_key: bool = False) -> Doubt | None:
    """Why a word is asked about; a key is text, so that its digits count."""
    if id(node) not in loader.words:
        return None
    word = str(node.value)
    if not is_key:
        return doubt(word)
    if is_code(word):
        return None
    found = doubt(word) or doubt_as_text(word)
    return found and found._replace(readings=(word,))


def _ask(loader: _Loader, asked: list[_Found], text: str, origin: TextPlace) -> UserError:
    first, line = asked[0], asked[0].word.start_mark.line

    def remedy(reading: Reading) -> str:
        part = _mended(loader, first.part, first.doubt.readings.index(reading))
        return origin.remedy(first.part_path, part)

    where = f"{origin.where(line)}, key `{dotted(origin.path(first.path))}`"
    found = text.splitlines()[line].strip()
    return two_readings(
        str(first.word.value), first.doubt, where, found, remedy, more=len(asked) - 1
    )


def two_readings(
    word: str,
    doubt: Doubt,
    where: str,
    found: str,
    remedy: Callable[[Reading], str],
    more: int = 0,
) -> UserError:
    """What is said of a word that is asked about; `remedy` writes it by one of its readings."""
    tail = f" ({more} more after this one)" if more else ""
    kinds = [f"   # {_kind(reading)}" * (len(doubt.readings) > 1) for reading in doubt.readings]
    return UserError(
        f"`{word}` without quotes has more than one reading: {doubt.why}.{tail}",
        where=where,
        found=found,
        expected=" or ".join(map(as_flow, doubt.readings)),
        remedy="\nor\n".join(
            remedy(reading) + kind for reading, kind in zip(doubt.readings, kinds, strict=True)
        ),
    )


def _kind(value: Reading) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"


def _mended(loader: _Loader, node: yaml.Node, reading: int) -> Yaml:
    """The values of `node`, each word that is asked about by one of its readings."""
    if isinstance(node, yaml.SequenceNode):
        return [_mended(loader, inner, reading) for inner in node.value]
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)  # what `<<` merges stands in it
        return {
            _read(loader, key, reading, is_key=True): _mended(loader, inner, reading)
            for key, inner in node.value
        }
    word: Reading = _read(loader, node, reading)
    return word


def _read(loader: _Loader, node: yaml.Node, reading: int, *, is_key: bool = False) -> Any:
    # A key may be a number, and a date: what YAML makes of a word.
    found = _doubt_of(loader, node, is_key=is_key)
    if found is None:
        return loader.construct_object(node)
    return found.readings[min(reading, len(found.readings) - 1)]


# ------------------------------------------------------------------------------- repeated keys


def _refuse_repeated(
    loader: _Loader, node: yaml.Node, path: Loc, origin: TextPlace, seen: set[int]
) -> None:
    """A key that stands twice in one mapping, `1` and `'1'` too: YAML would keep the last."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, inner in enumerate(node.value):
            _refuse_repeated(loader, inner, (*path, i), origin, seen)
    elif isinstance(node, yaml.MappingNode):
        before: dict[Hashable, yaml.Node] = {}
        for key, inner in node.value:
            at = (*path, str(key.value))
            for same in _same_keys(loader, key):
                if same in before and before[same] is not key:
                    raise _twice(before[same], key, at, origin)
                before[same] = key
            _refuse_repeated(loader, inner, at, origin, seen)


def _same_keys(loader: _Loader, key: yaml.Node) -> tuple[Hashable, ...]:
    """What no second key of the mapping may be equal to: the value, and its text."""
    if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
        return ()
    value = key.value if key.tag == _VALUE else loader.construct_object(key)
    return value, str(value)


def _twice(first: yaml.Node, second: yaml.Node, path: Loc, origin: TextPlace) -> UserError:
    lines = [first.start_mark.line, second.start_mark.line]
    apart = origin.key is None and lines[0] != lines[1]
    other = "" if first.value == second.value else f" (as `{first.value}` and `{second.value}`)"
    return UserError(
        f"The key `{dotted(origin.path(path))}` stands twice{other}.",
        where=origin.where(*(lines if apart else lines[:1])),
        remedy=f"remove line {lines[1] + 1} or line {lines[0] + 1}"
        if apart
        else f"remove one of the two `{second.value}:`",
    )
