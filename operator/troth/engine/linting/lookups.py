"""Follows look-ups in values: fields with a known name, and fields whose name is only known when it is rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from jinja2 import nodes

from troth.api.strict import close_match
from troth.engine.linting.comparing import enumerated, origin_of
from troth.engine.linting.following import Following
from troth.engine.linting.scope import Key, Scope, key_of
from troth.engine.linting.shapes import NOT_EVERY, TEXT, UNKNOWN, Shape, union
from troth.engine.rendering.inputs import path_text


class Lookups(Following):
    """Follows ``a.b``, ``a['b']``, ``a[b]`` and slices."""

    def _getattr(self, node: nodes.Getattr, scope: Scope, forgiving: bool) -> Shape:
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name == "values" and name not in scope.own and "values" in scope.names:
                self.value_field(node.attr)
                return self._field(scope.names[name], node.attr, node, scope, forgiving)
            if name in scope.modules:
                return scope.modules[name].names.get(node.attr, UNKNOWN)
        owner = self.expr(node.node, scope, forgiving=forgiving)
        return self._field(owner, node.attr, node, scope, forgiving)

    def _getitem(self, node: nodes.Getitem, scope: Scope, forgiving: bool) -> Shape:
        if isinstance(node.node, nodes.Name) and node.node.name == "values" and isinstance(node.arg, nodes.Const):
            return self._getattr(
                nodes.Getattr(node.node, str(node.arg.value), "load", lineno=node.lineno), scope, forgiving
            )
        owner = self.expr(node.node, scope, forgiving=forgiving)
        if isinstance(node.arg, nodes.Slice):
            for part in (node.arg.start, node.arg.stop, node.arg.step):
                if part is not None:
                    self.use(part, scope)
            return replace(owner, values=None, fields={} if owner.only("list") else owner.fields)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._field(owner, node.arg.value, node, scope, forgiving)
        index = self.use(node.arg, scope)
        index = replace(index, values=scope.possible(key_of(node.arg), index.values))
        if owner.only("list"):
            place = str(index.values[0]) if index.values and len(index.values) == 1 else ""
            found = owner.fields.get(place) or owner.items or UNKNOWN
            return self._known(replace(found, missing=owner.missing or found.missing), key_of(node), scope)
        if owner.only("text"):
            return replace(TEXT, missing=owner.missing, paths=owner.paths)
        if owner.is_map:
            return self._member(owner, index, node, scope, forgiving)
        return Shape(missing=owner.missing, paths=owner.paths)

    def _member(self, owner: Shape, index: Shape, node: nodes.Getitem, scope: Scope, forgiving: bool) -> Shape:
        """Returns the shape of a field whose name is only known when it is rendered."""
        if index.values is None:
            found = [*owner.fields.values(), *([owner.rest] if owner.rest is not None else [])]
            shape = union(*found) if found else UNKNOWN
            return replace(shape, missing=owner.missing, paths=shape.paths | owner.paths)
        names = [str(value) for value in index.values if value is not None]
        lacking = [name for name in names if name not in owner.fields]
        if lacking and owner.rest is None and not forgiving and not scope.knows(key_of(node)):
            table = path_text(key) if (key := key_of(node.node)) else "the map"
            reading = path_text(key) if (key := key_of(node.arg)) else "the key"
            listed = enumerated(lacking)
            self.remark(
                "T105",
                node,
                f"{table} has no entry for {listed}, which {origin_of(index, reading)} may be",
                f"add {listed} to {table}",
                severity="error",
            )
        found = [owner.fields[name] for name in names if name in owner.fields]
        if lacking and owner.rest is not None:
            found.append(owner.rest)
        shape = union(*found) if found else UNKNOWN
        return self._known(replace(shape, missing=owner.missing or shape.missing), key_of(node), scope)

    def _field(self, owner: Shape, name: str, node: nodes.Node, scope: Scope, forgiving: bool) -> Shape:
        key = key_of(node)
        if owner.kinds is None:
            self.mark(owner, whole=True)  # what it leads to is not known
            return self._known(Shape(missing=owner.missing, paths=owner.paths), key, scope)
        if "map" not in owner.kinds:
            if not owner.kinds or owner.only("null"):
                return self._known(Shape(missing=owner.missing or "it is null"), key, scope)
            if not (forgiving and self.in_macro):
                what = path_text(key[:-1]) if key and len(key) > 1 else "it"
                self.remark(
                    "T101", node, f"{what} is {owner.words}, and has no field {name!r}", "read the value itself"
                )
            self.mark(owner, whole=True)
            return UNKNOWN
        found = owner.fields.get(name) or owner.rest
        if found is not None and found.missing.startswith(NOT_EVERY):
            found = self._here(node, scope).fields.get(name) or found
        if found is None:
            self.mark(owner, whole=False)
            if not scope.knows(key) and not (forgiving and (self.in_macro or not owner.declared)):
                self._unknown_field(owner, name, node, key)
            return UNKNOWN
        missing = owner.missing or owner.hollow or found.missing
        if "null" in owner.kinds and not missing:
            missing = f"{path_text(key[:-1]) if key and len(key) > 1 else 'it'} may be null"
        return self._known(replace(found, missing=missing), key, scope)

    def _here(self, node: nodes.Node, scope: Scope) -> Shape:
        """Follows the origin of a name again with the facts that hold here, if the names in it have not changed."""
        name = getattr(node, "node", None)
        origin = scope.origins.get(name.name) if isinstance(name, nodes.Name) else None
        if origin is None or any(part.name in scope.own for part in _names_in(origin)):
            return UNKNOWN
        with self.quiet():
            return self.expr(origin, scope)

    def _unknown_field(self, owner: Shape, name: str, node: nodes.Node, key: Key | None, items: str = "") -> None:
        """Reports that there is no such field; ``items`` names the list whose items lack it, or is empty."""
        what = path_text(key[:-1]) if key and len(key) > 1 else "the map"
        meant = close_match(name, owner.fields)
        fix = (
            f"did you mean {meant}?" if meant else f"available: {enumerated(owner.fields)}" if owner.fields else ""
        )
        if owner.declared and items:
            message = f"the items of {items} have no {name!r}: the API server drops it"
            self.remark("T101", node, message, _or_declare(fix))
        elif owner.declared:
            message = f"the API has no {what}.{name}: the API server drops it"
            self.remark("T101", node, message, _or_declare(fix))
        else:
            self.remark("T101", node, f"{what} has no {name!r}", fix or "it is empty")


def _names_in(node: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(node, nodes.Name):
        yield node
    yield from node.find_all(nodes.Name)


def _or_declare(fix: str) -> str:
    if not fix:
        return "declare it in the API"
    return f"{fix} Or declare it in the API" if fix.endswith("?") else f"{fix}; or declare it in the API"
