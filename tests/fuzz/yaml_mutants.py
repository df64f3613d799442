"""Changes of a text of YAML: most turn what is typed into what a parser may take for another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from .draw import Draw
from .typed import number_of

WORDS = (
    *("010", "007", "08", "0", "-0", "00", "0x1F", "0o17", "0b11", "1_1", "1_000", "1e3", "1E3"),
    *("1.10", "1.0", "1.", ".5", "+1", "1e400", "12:30", "20:00", "1:30:00", "2024-05-01"),
    *("2024-05-01 12:00:00", "yes", "No", "on", "OFF", "y", "N", "true", "False", "null", "~"),
    *("Null", ".nan", "nan", ".inf", "-.inf", "inf", "25,600", "25.600,0", "1 000", "=", "012345"),
    *("99999999999999999999", "0.1000", "1.0e3", "-5", "0.0", "١٢", "１２", "0x", "1__0", "_1"),
)


@dataclass(frozen=True)
class Mutant:
    """A text after its change; `harmless` ones mean what they meant, and must be accepted."""

    text: str
    about: str
    harmless: bool = False
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Leaf:
    """A scalar, whether it is a key, and the key that it stands under."""

    node: yaml.ScalarNode
    is_key: bool
    under: str


def leaves(node: yaml.Node | None, under: str = "") -> Iterator[Leaf]:
    """All scalars of a text, keys and values, in order."""
    if isinstance(node, yaml.ScalarNode):
        yield Leaf(node, False, under)
    elif isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            yield from leaves(inner, under)
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            yield Leaf(key, True, under)
            yield from leaves(inner, str(key.value))


def _leaf(draw: Draw, text: str, wanted: Callable[[Leaf], bool]) -> Leaf | None:
    """One of the scalars on one line that are wanted."""
    found = [
        leaf
        for leaf in leaves(yaml.compose(text))
        if leaf.node.start_mark.line == leaf.node.end_mark.line and wanted(leaf)
    ]
    return draw.choice(found) if found else None


def _put(text: str, node: yaml.Node, new: str) -> str:
    return text[: node.start_mark.index] + new + text[node.end_mark.index :]


def _said(leaf: Leaf, new: str) -> str:
    kind = "key" if leaf.is_key else "value"
    return f"the {kind} {leaf.node.value!r} of `{leaf.under}` typed as {new}"


# -- values ----------------------------------------------------------------------------------------


def unquoted(draw: Draw, text: str) -> Mutant | None:
    leaf = _leaf(draw, text, lambda it: it.node.style in ("'", '"') and "{" not in it.node.value)
    if leaf is None:
        return None
    return Mutant(_put(text, leaf.node, leaf.node.value), _said(leaf, leaf.node.value))


def quoted(draw: Draw, text: str) -> Mutant | None:
    leaf = _leaf(draw, text, lambda it: it.node.style is None and it.node.value != "")
    if leaf is None:
        return None
    new = draw.one('"{}"', "'{}'").format(leaf.node.value)
    is_text = number_of(leaf.node.value) is None and leaf.node.value not in ("true", "false")
    harmless = (is_text or leaf.is_key) and "'" not in leaf.node.value
    return Mutant(_put(text, leaf.node, new), _said(leaf, new), harmless=harmless)


SPELLINGS: dict[str, Callable[[float], str]] = {
    "leading zero": lambda x: f"0{x:g}",
    "hexadecimal": lambda x: hex(int(abs(x))),
    "octal": lambda x: f"0o{int(abs(x)):o}",
    "binary": lambda x: bin(int(abs(x))),
    "grouped": lambda x: f"{x:_.6g}" if x < 1000 else f"{int(x):_}",
    "sexagesimal": lambda x: f"{int(abs(x)) // 60 + 1}:{int(abs(x)) % 60:02d}",
    "exponent": lambda x: f"{x:e}".replace(".000000", "").replace("e+0", "e"),
    "exponent with point": lambda x: f"{x:.6e}",
    "point": lambda x: f"{x:.1f}",
    "zeros": lambda x: f"{x:.4f}",
    "sign": lambda x: f"+{x:g}",
    "decimal comma": lambda x: f"{x:.2f}".replace(".", ","),
    "thousands": lambda x: f"{x:,.1f}",
    "unit": lambda x: f"{x:g} Hz",
    "negative": lambda x: f"-{x:g}",
    "not a number": lambda _: ".nan",
    "infinite": lambda _: ".inf",
    "too large": lambda _: "1e400",
    "kilo": lambda x: f"{x / 1000:g}k",
    "quoted zeros": lambda x: f'"0{x:g}"',
}


def respelt(draw: Draw, text: str) -> Mutant | None:
    """A number in another spelling."""
    leaf = _leaf(
        draw,
        text,
        lambda it: not it.is_key and it.node.style is None and number_of(it.node.value) is not None,
    )
    if leaf is None:
        return None
    kind = draw.choice(list(SPELLINGS))
    new = SPELLINGS[kind](number_of(leaf.node.value) or 0.0)
    return Mutant(_put(text, leaf.node, new), f"{kind}: {_said(leaf, new)}")


def word(draw: Draw, text: str) -> Mutant | None:
    """A name that looks like a number, a truth, a date or nothing, without quotes."""
    leaf = _leaf(draw, text, lambda it: not it.is_key)
    if leaf is None:
        return None
    new = draw.choice(WORDS)
    return Mutant(_put(text, leaf.node, new), _said(leaf, new))


def word_in_names(draw: Draw, text: str) -> Mutant | None:
    """The same where text is looked up or selected: lists of units, and keys of `values`."""
    leaf = _leaf(draw, text, lambda it: it.under in _NAMED)
    if leaf is None:
        return None
    new = draw.choice(WORDS)
    return Mutant(_put(text, leaf.node, new), _said(leaf, new))


_NAMED = ("unit_id", "size", "day", "speed_rpm", "values", "ends_in_failure", "seeds", "modules")


def unit_list(draw: Draw, text: str) -> Mutant | None:
    """A whole list of names without quotes."""
    node = yaml.compose(text)
    lists = [inner for inner in _sequences(node) if all(_is_scalar(v) for v in inner.value)]
    flow = [inner for inner in lists if inner.flow_style]
    if not flow:
        return None
    chosen = draw.choice(flow)
    new = "[" + ", ".join(draw.sample(WORDS[:30], draw.randint(1, 3))) + "]"
    return Mutant(_put(text, chosen, new), f"a list typed as {new}")


def _sequences(node: yaml.Node | None) -> Iterator[yaml.SequenceNode]:
    if isinstance(node, yaml.SequenceNode):
        yield node
        for inner in node.value:
            yield from _sequences(inner)
    elif isinstance(node, yaml.MappingNode):
        for _, inner in node.value:
            yield from _sequences(inner)


def _is_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def other_type(draw: Draw, text: str) -> Mutant | None:
    leaf = _leaf(draw, text, lambda it: not it.is_key)
    if leaf is None:
        return None
    old = text[leaf.node.start_mark.index : leaf.node.end_mark.index]
    new = draw.one(f"[{old}]", f"{{a: {old}}}", "[]", "{}", "true", "3", "text", "", "[[1]]")
    return Mutant(_put(text, leaf.node, new), _said(leaf, new))


def tagged(draw: Draw, text: str) -> Mutant | None:
    leaf = _leaf(draw, text, lambda it: not it.is_key)
    if leaf is None:
        return None
    old = text[leaf.node.start_mark.index : leaf.node.end_mark.index]
    mark = draw.one(
        "!!str ", "!!int ", "!!float ", "!!bool ", "!!python/name:os.system ", "!x ", "&a "
    )
    return Mutant(_put(text, leaf.node, mark + old), _said(leaf, mark + old))


# -- keys ------------------------------------------------------------------------------------------


def misspelt(draw: Draw, text: str) -> Mutant | None:
    leaf = _leaf(draw, text, lambda it: it.is_key and len(it.node.value) > 2)
    if leaf is None:
        return None
    key = leaf.node.value
    place = draw.randrange(len(key) - 1)
    new = draw.one(
        key[:place] + key[place + 1 :],
        key[:place] + key[place + 1] + key[place] + key[place + 2 :],
        key[: place + 1] + key[place:],
        key.upper(),
        key.capitalize(),
        key.replace("_", "-"),
        key.replace("_", " "),
        key + "s",
        key + " ",
    )
    return Mutant(_put(text, leaf.node, new), _said(leaf, new))


def repeated(draw: Draw, text: str) -> Mutant | None:
    """A key stands twice, as it is or in another spelling of the same."""
    node = yaml.compose(text)
    pairs = [pair for mapping in _mappings(node) for pair in mapping.value if _one_line(pair)]
    if not pairs:
        return None
    key, value = draw.choice(pairs)
    old = text[key.start_mark.index : key.end_mark.index]
    again = draw.one(old, f'"{key.value}"', f"'{key.value}'")
    own = text[value.start_mark.index : value.end_mark.index]
    first = f"{again}: {draw.one(own, '1', 'other')}"
    start = key.start_mark
    inside = text[: start.index].rpartition("\n")[2].strip(" -") != ""
    gap = ", " if inside else "\n" + " " * start.column
    new = text[: start.index] + first + gap + text[start.index :]
    return Mutant(new, f"the key {old} twice: {first}")


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, inner in node.value:
            yield from _mappings(inner)
    elif isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            yield from _mappings(inner)


def _one_line(pair: tuple[yaml.Node, yaml.Node]) -> bool:
    key, value = pair
    return key.start_mark.line == value.end_mark.line and _is_scalar(value)


def removed(draw: Draw, text: str) -> Mutant | None:
    lines = text.split("\n")
    places = [n for n, line in enumerate(lines) if re.match(r" *[\w-]+: \S", line)]
    if not places:
        return None
    place = draw.choice(places)
    return Mutant("\n".join(lines[:place] + lines[place + 1 :]), f"without {lines[place]!r}")


# -- text ------------------------------------------------------------------------------------------


def slip(draw: Draw, text: str) -> Mutant | None:
    """A sign too many, too few, or another."""
    place = draw.randrange(len(text) - 1)
    sign = draw.choice(":-{}[]\"'#,&*!|>%@` \t0_xe.")
    new = draw.one(
        text[:place] + text[place + 1 :],
        text[:place] + sign + text[place:],
        text[:place] + sign + text[place + 1 :],
    )
    near = text[max(0, place - 15) : place + 15]
    return Mutant(new, f"a slip near {near!r} (sign {place})")


def ended(draw: Draw, text: str) -> Mutant | None:
    return Mutant(text[: draw.randrange(len(text))], "a text that was cut short")


def tabs(draw: Draw, text: str) -> Mutant | None:
    kind = draw.one("indent", "after a colon", "at an end", "no space")
    rules = {
        "indent": (r"\n  ", "\n\t"),
        "after a colon": (r": (?=\S)", ":\t"),
        "at an end": r"\n",
        "no space": (r"(?<=\w): (?=\w)", ":"),
    }
    rule = rules[kind]
    pattern, new = rule if isinstance(rule, tuple) else (rule, "\t\n")
    places = list(re.finditer(pattern, text))
    if not places:
        return None
    match = draw.choice(places)
    return Mutant(text[: match.start()] + new + text[match.end() :], f"tabs: {kind}")


def harmless(draw: Draw, text: str) -> Mutant | None:
    """Comments, empty lines, ends of lines, JSON: all mean what they meant."""
    kind = draw.one("comments", "empty lines", "CRLF", "start", "no end", "JSON", "spaces")
    lines = text.split("\n")
    folded = re.search(r"[|>]-?\n", text) is not None
    changed = {
        "comments": "# a comment\n" + text + "\n# the end\n",
        "empty lines": text if folded else "\n\n".join(lines),
        "CRLF": text.replace("\n", "\r\n"),
        "start": "---\n" + text,
        "no end": text.rstrip("\n"),
        "JSON": json.dumps(yaml.safe_load(text), ensure_ascii=draw.random() < 0.5, default=str),
        "spaces": text if folded else "\n".join(line + "  " for line in lines),
    }
    return Mutant(changed[kind], f"harmless: {kind}", harmless=True)


def encoded(draw: Draw, text: str) -> Mutant | None:
    kind = draw.one("utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "zero bytes", "two")
    if kind == "zero bytes":
        return Mutant(text[:40] + "\0" + text[40:], "a zero byte")
    if kind == "two":
        return Mutant(text + "\n---\nstudy: other\n", "two documents")
    marked = text if kind.startswith("utf") else text + "# µm, ü\n"
    return Mutant(marked.encode(kind, "replace").decode(kind), f"encoded as {kind}", encoding=kind)


KINDS: dict[str, Callable[[Draw, str], Mutant | None]] = {
    "yaml: quotes dropped": unquoted,
    "yaml: quotes added": quoted,
    "yaml: number respelt": respelt,
    "yaml: number respelt, again": respelt,
    "yaml: word as value": word,
    "yaml: word among names": word_in_names,
    "yaml: word among names, again": word_in_names,
    "yaml: list of names": unit_list,
    "yaml: other type": other_type,
    "yaml: tag": tagged,
    "yaml: key misspelt": misspelt,
    "yaml: key twice": repeated,
    "yaml: key removed": removed,
    "yaml: slip": slip,
    "yaml: cut short": ended,
    "yaml: tabs": tabs,
    "yaml: harmless": harmless,
    "yaml: encoding": encoded,
}
