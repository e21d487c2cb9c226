"""Rendering of responses from plain rows, by a plan derived from a serializer.

A row is a dict of ``QuerySet.values(*columns)``. Rendering rows costs a fraction of
what nested serializers with model instances cost.
"""

from collections.abc import Callable, Iterable
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Model
from rest_framework import serializers
from rest_framework.utils.model_meta import get_field_info

from chats.web.exceptions import NotFound

Row = dict[str, Any]
CURSOR = "last_read_seq"  # the column with the reader's read cursor
# Takes keys and the reader's id (None: for everyone); returns the rows of each key.
Load = Callable[[list, UUID | None], dict[Any, list[Row]]]


class Part(NamedTuple):
    """A list of related rows, loaded once for all rows of a response."""

    load: Load
    when: str = ""  # the column that is null or 0 if there are no related rows
    is_required: bool = False  # whether to hide rows without any from a reader


class RowListSerializer(serializers.ListSerializer):
    """A list that is rendered as a whole."""

    def to_representation(self, data: Iterable[Row]) -> list[Row]:
        return self.child.render(data, self.child.reader_id)


class RowSerializer(serializers.ModelSerializer):
    """The representation of a resource in responses, declared once.

    Its fields determine the columns to read, the plan that renders a row, and the
    schema. A field shows the column of its ``source``; a nested RowSerializer shows a
    related row. ``Meta`` may also have:

    * ``computed``: by field, a function and the column it takes;
    * ``of_reader``: by field, for a value that differs by reader: a function, and the
      columns it takes after the reader's id and read cursor. Representations for
      everyone, such as events, omit these fields;
    * ``parts``: by field, a ``Part``;
    * ``base``: the relation whose row has the fields of the base class;
    * ``keys``: columns to read that are not shown;
    * ``once_by``: a unique column. A row that appears several times in a response is
      then rendered once.
    """

    class Meta:
        list_serializer_class = RowListSerializer

    @classmethod
    def columns(cls, *, for_reader: bool = False) -> tuple[str, ...]:
        """Return the columns to read; for a reader, from a ``visible_to`` queryset."""
        return plan_of(cls, for_reader=for_reader).columns

    @classmethod
    def render(cls, rows: Iterable[Row], reader_id: UUID | None = None) -> list[Row]:
        """Return the rows rendered for a reader, or for everyone if there is none."""
        plan, rows = plan_of(cls, for_reader=reader_id is not None), list(rows)
        answer = Answer(reader_id)
        for place in plan.places:
            rows = place.fill(rows, answer)
        return [plan.render(row, answer) for row in rows]

    @classmethod
    def render_one(cls, instance: Row | Model, reader_id: UUID | None = None) -> Row:
        """Render one instance; raise NotFound if a required part is missing."""
        if isinstance(instance, Model):
            instance = row_of(instance, cls.columns(for_reader=reader_id is not None))
        rendered = cls.render([instance], reader_id)
        if not rendered:
            raise NotFound
        return rendered[0]

    def build_field(self, field_name: str, info: Any, model_class: type[Model], *rest):
        """Build the fields of the base class from the model of the base relation."""
        relation = getattr(self.Meta, "base", "")
        if relation and field_name in type(self).__base__.Meta.fields:
            model_class = model_class._meta.get_field(relation).related_model
            info = get_field_info(model_class)
        return super().build_field(field_name, info, model_class, *rest)

    @property
    def reader_id(self) -> UUID | None:
        """The id of the requesting user, if the representation differs by reader."""
        return self.context["request"].user.pk if of_reader(type(self)) else None

    def to_representation(self, instance: Row | Model) -> Row:
        return self.render_one(instance, self.reader_id)


def row_of(instance: Model, columns: Iterable[str]) -> Row:
    """Return the row of an instance whose related objects are loaded.

    Values that the instance does not have, such as a cursor not loaded, are None.
    """
    row = {}
    for column in columns:
        value: Any = instance
        for name in column.split("__"):
            value = getattr(value, name, None)
        row[column] = value
    return row


class Answer:
    """The state of one response while it is rendered."""

    def __init__(self, reader_id: UUID | None):
        self.reader_id = reader_id
        self.known: dict[Any, Row] = {}  # rendered rows, by ``once_by``
        self.parts: dict[Load, dict[Any, list[Row]]] = {}  # rendered, by their keys


Render = Callable[[Row, Answer], Any]


class Place(NamedTuple):
    """A part at its place in a representation."""

    key: str  # the column by which the part is loaded
    part: Part
    plan: "Plan"

    def fill(self, rows: list[Row], answer: Answer) -> list[Row]:
        """Load and render the part for all rows; return the rows to keep."""
        when = self.part.when or self.key
        keys = [row[self.key] for row in rows if row[when]]
        found = self.part.load(keys, answer.reader_id) if keys else {}
        for place in self.plan.places:  # parts of the part
            place.fill([item for items in found.values() for item in items], answer)
        answer.parts.setdefault(self.part.load, {}).update(
            {
                key: [self.plan.render(item, answer) for item in items]
                for key, items in found.items()
            }
        )
        if not self.part.is_required or answer.reader_id is None:
            return rows
        return [row for row in rows if row[self.key] in found]

    def make(self, row: Row, answer: Answer) -> list[Row]:
        return answer.parts[self.part.load].get(row[self.key], [])


class Plan:
    """The plan for rendering rows whose columns begin with a prefix."""

    def __init__(self, answer: type[RowSerializer], prefix: str, *, for_reader: bool):
        self.meta, self.prefix, self.for_reader = answer.Meta, prefix, for_reader
        self.places: list[Place] = []
        self._columns = [prefix + name for name in getattr(self.meta, "keys", ())]
        self._plain: list[tuple[str, str]] = []
        self._made: list[tuple[str, Render]] = []
        fields, inherited, base = answer().fields, (), None
        if relation := getattr(self.meta, "base", ""):
            inherited = answer.__base__.Meta.fields
            base = self._related(answer.__base__, relation)
        for name in self.meta.fields:
            if name not in inherited:
                self._add(name, fields[name])
        self.render = _renderer(self._plain, self._made, base)
        if once_by := getattr(self.meta, "once_by", ""):
            self.render = _once(self.render, self._column(once_by))
        self.columns = tuple(dict.fromkeys(self._columns))

    # --- From fields ------------------------------------------------------------

    def _add(self, name: str, field: serializers.Field) -> None:
        computed, of_reader, parts = (
            getattr(self.meta, kind, {}) for kind in ("computed", "of_reader", "parts")
        )
        if name in computed:
            self._made.append((name, self._computed(*computed[name])))
        elif name in of_reader:
            if self.for_reader:
                self._made.append((name, self._of_reader(*of_reader[name])))
        elif name in parts:
            self._made.append((name, self._part(parts[name], field)))
        elif isinstance(field, RowSerializer):
            self._made.append((name, self._nested(field)))
        else:
            self._plain.append((name, self._column(field.source)))

    def _column(self, name: str) -> str:
        self._columns.append(self.prefix + name)
        return self.prefix + name

    def _computed(self, function: Callable, name: str) -> Render:
        column = self._column(name)
        return lambda row, answer: function(row[column])

    def _of_reader(self, function: Callable, *names: str) -> Render:
        self._columns.append(CURSOR)
        columns = (CURSOR, *map(self._column, names))
        if len(columns) == 1:
            return lambda row, answer: function(answer.reader_id, row[CURSOR])
        values = itemgetter(*columns)
        return lambda row, answer: function(answer.reader_id, *values(row))

    def _part(self, part: Part, field: serializers.ListSerializer) -> Render:
        key = self._column(self.meta.model._meta.pk.attname)
        if part.when:
            part = part._replace(when=self._column(part.when))
        plan = plan_of(type(field.child), for_reader=self.for_reader)
        place = Place(key, part, plan)
        self.places.append(place)
        return place.make

    def _nested(self, field: RowSerializer) -> Render:
        render = self._related(type(field), field.source)
        if not field.allow_null:
            return render
        key = self._column(f"{field.source}_id")
        return lambda row, answer: None if row[key] is None else render(row, answer)

    def _related(self, answer: type[RowSerializer], relation: str) -> Render:
        prefix = f"{self.prefix}{relation}__"
        plan = Plan(answer, prefix, for_reader=self.for_reader)
        self._columns += plan.columns
        self.places += plan.places
        return plan.render


def _renderer(
    plain: list[tuple[str, str]], made: list[tuple[str, Render]], base: Render | None
) -> Render:
    """Return the function that renders a row; a method would cost a fifth more."""

    def render(row: Row, answer: Answer) -> Row:
        rendered = base(row, answer).copy() if base else {}
        for name, column in plain:
            rendered[name] = row[column]
        for name, make in made:
            rendered[name] = make(row, answer)
        return rendered

    return render


def _once(render: Render, column: str) -> Render:
    """Return a function that renders a row once in a response, and then reuses it."""

    def render_once(row: Row, answer: Answer) -> Row:
        known, key = answer.known, row[column]
        rendered = known.get(key)
        if rendered is None:
            rendered = known[key] = render(row, answer)
        return rendered

    return render_once


@cache
def plan_of(answer: type[RowSerializer], *, for_reader: bool) -> Plan:
    return Plan(answer, "", for_reader=for_reader)


def shared_fields(answer: type[RowSerializer]) -> tuple[str, ...]:
    """Return the fields of a representation that are the same for every reader."""
    return tuple(name for name in answer.Meta.fields if name not in of_reader(answer))


def of_reader(answer: type) -> dict[str, tuple]:
    """Return the fields of a representation that differ by reader."""
    return getattr(getattr(answer, "Meta", None), "of_reader", {})
