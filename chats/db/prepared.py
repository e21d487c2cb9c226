"""Querysets compiled once and run many times.

Most of the cost of a small query in Django is compiling the queryset to SQL. On the hot
paths each queryset is compiled once. The ORM still writes the SQL, for either database;
only the values change from call to call.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models import Field, Model, QuerySet
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators
from django.db.models.sql import InsertQuery, Query, UpdateQuery


class Param(Expression):
    """A named placeholder for a value, wherever a queryset takes an expression."""

    def __init__(self, name: str, field: Field):
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler, connection) -> tuple[str, list]:
        return "%s", [self]

    def adapt(self, value: Any) -> Any:
        """Return the value in the form that the database's driver expects."""
        return self.output_field.get_db_prep_value(value, connection)


class Keys(Param):
    """A placeholder for a list of primary keys, for use with ``pk__in``.

    The SQL gets them as one value: an array on PostgreSQL, a JSON list on SQLite.
    """

    def as_sql(self, compiler, connection) -> tuple[str, list]:
        if connection.vendor == "postgresql":
            # A subquery hides the length of the array. Otherwise PostgreSQL would make
            # a new plan for each length, which costs more than running the statement.
            array = f"{self.output_field.db_type(connection)}[]"
            return f"(SELECT unnest((SELECT %s::{array})))", [self]
        return "(SELECT value FROM json_each(%s))", [self]

    def adapt(self, value: Iterable[Any]) -> Any:
        keys = [super(Keys, self).adapt(key) for key in value]
        return keys if connection.vendor == "postgresql" else json.dumps(keys)


class Compiled(NamedTuple):
    sql: str
    params: tuple
    converters: dict[int, tuple[list[Callable], Expression]]
    names: tuple[str, ...]
    is_native: bool  # the driver takes plain Params unadapted, as with psycopg
    build: Callable[[Sequence], Model] | None = None  # makes an instance of a row


class Prepared:
    """A statement built by ``build()``, compiled at its first use.

    ``build`` takes no arguments. It returns a queryset, or a query made by ``update``
    or ``insert`` below. It is called once, when the database is known. Values that
    change from call to call must be Params: a time computed in ``build`` stays fixed.

    ``of`` is a function like ``build``, for a query of the same model. The first
    ``limit`` rows of that query take the place of the model's table, so only they are
    joined and sorted. Without it PostgreSQL, which plans the statement without its
    values, may expect a range to hold one or two rows, and then read and sort a whole
    conversation for one page.
    """

    def __init__(self, build: Callable[[], Any], of: Callable[[], Any] | None = None):
        self._build, self._of = build, of
        self._compiled: Compiled | None = None

    def rows(self, limit: int | None = None, **values: Any) -> list[dict[str, Any]]:
        """Run the query; return at most ``limit`` rows, as ``QuerySet.values()``."""
        compiled = self._compiled or self._compile()
        sql, params = compiled.sql, _bind(compiled, values | {"limit": limit})
        if limit is not None and not self._of:
            sql, params = f"{sql} LIMIT %s", [*params, limit]
        names = compiled.names
        return [
            dict(zip(names, row, strict=True))
            for row in self._fetch(compiled, sql, params)
        ]

    def instance(self, **values: Any) -> Model | None:
        """Run a query of model instances; return the first one, or None."""
        compiled = self._compiled or self._compile()
        found = self._fetch(compiled, compiled.sql, _bind(compiled, values))
        return compiled.build(found[0]) if found else None

    def run(self, **values: Any) -> int:
        """Run an update; return the number of rows it matched."""
        compiled = self._compiled or self._compile()
        params = _bind(compiled, values)
        return execute(compiled.sql, params, lambda cursor: cursor.rowcount)

    def store(self, instance: Model) -> None:
        """Insert the instance, like ``save(force_insert=True)``, but without
        ``pre_save()``: fields such as those with ``auto_now`` are stored as they are.
        """
        compiled = self._compiled or self._compile()
        params = _bind(compiled, columns(instance))
        given = execute(compiled.sql, params, _returned) or ()
        for name, value in zip(compiled.names, given, strict=True):
            setattr(instance, name, value)
        instance._state.adding = False
        instance._state.db = connection.alias

    def _fetch(self, compiled: Compiled, sql: str, params: list) -> list[Sequence]:
        found = execute(sql, params, lambda cursor: cursor.fetchall())
        if compiled.converters:
            return [_convert(row, compiled.converters) for row in found]
        return found

    def _compile(self) -> Compiled:
        built = self._build()
        query = built.query if isinstance(built, QuerySet) else built
        compiler = query.get_compiler(connection=connection)
        converters, names, build = {}, (), None
        if isinstance(query, InsertQuery):
            # Only a key generated by the database: the instance has all other values.
            fields = query.get_meta().db_returning_fields
            compiler.returning_fields = [f for f in fields if f.primary_key]
            names = tuple(field.attname for field in compiler.returning_fields)
            [(sql, params)] = compiler.as_sql()
        else:
            sql, params = compiler.as_sql()
        if self._of:
            sql, params = _narrowed(sql, params, self._of())
        if isinstance(built, QuerySet):
            selected = [column for column, _, _ in compiler.select]
            converters = compiler.get_converters(selected)
            # In the order of the SELECT, where annotations may be between columns.
            names = tuple(query.selected or ())
            names = names or tuple(f.attname for f in query.model._meta.concrete_fields)
            build = compiler.klass_info and _builder(compiler)
        is_native = connection.vendor == "postgresql"
        self._compiled = Compiled(
            sql, tuple(params), converters, names, is_native, build
        )
        return self._compiled


class PreparedSQL(Prepared):
    """A statement in handwritten SQL, for what the ORM cannot express.

    ``sql`` has a statement for each database vendor, ``params`` the values in the order
    of its placeholders, ``fields`` a field for each column it returns, in their order.
    """

    def __init__(
        self, sql: dict[str, str], params: list, fields: dict[str, Field] | None = None
    ):
        self._sql, self._params, self._fields = sql, tuple(params), fields or {}
        self._compiled = None

    def _compile(self) -> Compiled:
        compiler = Query(None).get_compiler(connection=connection)
        columns = [field.get_col("") for field in self._fields.values()]
        self._compiled = Compiled(
            sql=self._sql[connection.vendor],
            params=self._params,
            converters=compiler.get_converters(columns),
            names=tuple(self._fields),
            is_native=connection.vendor == "postgresql",
        )
        return self._compiled


def update(queryset: QuerySet, **values: Any) -> UpdateQuery:
    """Return the query of ``queryset.update(**values)`` without running it."""
    query = queryset.query.chain(UpdateQuery)
    query.add_update_values(values)
    return query


def insert(model: type[Model]) -> InsertQuery:
    """Return the query that inserts a row, with a Param for each column."""
    fields = [
        field
        for field in model._meta.concrete_fields
        if not isinstance(field, models.AutoField)
    ]
    row = model(**{field.attname: Param(field.attname, field) for field in fields})
    query = InsertQuery(model)
    query.insert_values(fields, [row])
    return query


def columns(instance: Model) -> dict[str, Any]:
    """Return the values of an instance's columns, named as the Params of ``insert``."""
    return {
        field.attname: getattr(instance, field.attname)
        for field in instance._meta.concrete_fields
    }


def _narrowed(sql: str, params: Sequence, rows: QuerySet) -> tuple[str, list]:
    """Return the query's SQL, with the first of ``rows`` instead of its table."""
    table = connection.ops.quote_name(rows.model._meta.db_table)
    inner, within = rows.query.get_compiler(connection=connection).as_sql()
    before, after = sql.split(f" FROM {table} ")
    place, limit = before.count("%s"), Param("limit", models.IntegerField())
    return (
        f"{before} FROM ({inner} LIMIT %s) {table} {after}",
        [*params[:place], *within, limit, *params[place:]],
    )


def execute(sql: str, params: list, read: Callable[[Any], Any]) -> Any:
    """Run a prepared statement; return the result of ``read(cursor)``.

    This uses the driver's own cursor, because creating Django's costs as much as a
    small query. Django's cursor is used where queries are logged or wrapped.
    """
    wrapper = connections[DEFAULT_DB_ALIAS]
    if wrapper.queries_logged or wrapper.execute_wrappers:
        with wrapper.cursor() as cursor:
            cursor.execute(sql, params)
            return read(cursor)
    if wrapper.connection is None:
        wrapper.ensure_connection()
    wrapper.validate_no_broken_transaction()
    with wrapper.wrap_database_errors:
        if wrapper.vendor == "sqlite":
            sql = sql.replace("%s", "?").replace("%%", "%")
            return read(wrapper.connection.execute(sql, params))
        return read(wrapper.kept_cursor.execute(sql, params, prepare=True))


def _returned(cursor: Any) -> tuple | None:
    return cursor.fetchone() if cursor.description else None


def _bind(compiled: Compiled, values: dict[str, Any]) -> list:
    bound = []
    for param in compiled.params:
        if compiled.is_native and type(param) is Param:
            bound.append(values[param.name])
        elif isinstance(param, Param):
            bound.append(param.adapt(values[param.name]))
        else:
            bound.append(param)
    return bound


def _builder(compiler: Any) -> Callable[[Sequence], Model]:
    """Return a function that makes an instance of a row, with its related objects and
    annotations, as ``django.db.models.query.ModelIterable`` does."""
    info, alias = compiler.klass_info, compiler.connection.alias
    first, last = info["select_fields"][0], info["select_fields"][-1]
    own = slice(first, last + 1)
    names = [column.target.attname for column, _, _ in compiler.select[own]]
    populators = get_related_populators(info, compiler.select, alias)
    annotations = compiler.annotation_col_map or {}

    def build(row: Sequence) -> Model:
        found = info["model"].from_db(alias, names, row[own])
        for populator in populators:
            populator.populate(row, found)
        for name, position in annotations.items():
            setattr(found, name, row[position])
        return found

    return build


def _convert(row: tuple, converters: dict) -> list:
    row = list(row)
    for position, (functions, expression) in converters.items():
        for function in functions:
            row[position] = function(row[position], expression, connection)
    return row
