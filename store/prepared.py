"""Statements that run with every order: compiled once, and run on the driver's own cursor.

SQLAlchemy prepares each execution anew, which takes ten times as long as SQLite does for the work. What it makes of a
statement stays: the text for either database, each column's conversion both ways, and the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, Select, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any]
Row = Mapping[str, Any]


class Prepared:
    """One statement, or what makes it for a kind of database; the columns of an INSERT or UPDATE are those given.

    Not for lists of values (`IN`), whose text changes with them.
    """

    def __init__(self, statement: Executable | Callable[[Dialect], Executable]) -> None:
        self._statement = statement
        self._forms: dict[tuple[str, ...], _Form] = {}

    def write(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run it; the number of rows touched."""
        return int(self._form(connection, values).run(connection, values).rowcount)

    def insert(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run an INSERT of one row; the number the database gave it."""
        cursor = self._form(connection, values).run(connection, values)
        return int(cursor.fetchall()[0][0] if cursor.description else cursor.lastrowid)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """All rows of a query, by the names of its columns."""
        form = self._form(connection, values)
        return form.converted(form.run(connection, values))

    def _form(self, connection: Connection, values: Mapping[str, Any]) -> _Form:
        dialect = connection.dialect
        key = (dialect.name, *values)
        form = self._forms.get(key)
        if form is None:
            made = self._statement
            statement = made if isinstance(made, Executable) else made(dialect)
            form = self._forms[key] = _Form(statement, dialect, list(values))
        return form


class _Form:
    """A statement as one kind of database takes it."""

    def __init__(self, statement: Executable, dialect: Dialect, given: Sequence[str]) -> None:
        compiled = cast(SQLCompiler, cast(Any, statement).compile(dialect=dialect, column_keys=given))
        self._dialect = dialect
        self._text = str(compiled)
        self._by_place = compiled.positional
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        self._own = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._given = [(name, self._writer(compiled.binds[name].type)) for name in names or ()]
        self._columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._readers: list[tuple[str, Convert | None]] | None = None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> DBAPICursor:
        """The cursor after it; raises what SQLAlchemy does."""
        return execute(connection, self._text, self._parameters(values))

    def converted(self, cursor: DBAPICursor) -> list[Row]:
        """What a query found."""
        if self._readers is None:
            self._readers = [
                (
                    str(column.key),
                    column.type.dialect_impl(self._dialect).result_processor(self._dialect, told[1]),
                )
                for column, told in zip(self._columns, cursor.description, strict=True)
            ]
        return [
            {
                name: value if convert is None else convert(value)
                for (name, convert), value in zip(self._readers, row, strict=True)
            }
            for row in cursor.fetchall()
        ]

    def _writer(self, kind: TypeEngine[Any]) -> Convert | None:
        return kind.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        every = {**self._own, **values} if self._own else values
        try:
            if self._by_place:
                return [
                    every[name] if convert is None else convert(every[name]) for name, convert in self._given
                ]
            return {
                name: every[name] if convert is None else convert(every[name])
                for name, convert in self._given
            }
        except (ValueError, TypeError) as error:
            raise StatementError(str(error), self._text, None, error) from error


def execute(connection: Connection, text: str, parameters: Any = ()) -> DBAPICursor:
    """Run a statement as the driver takes it; raises what SQLAlchemy does."""
    driver, dialect = connection.connection, connection.dialect
    cursor = driver.cursor()
    try:
        cursor.execute(text, parameters)
    except dialect.loaded_dbapi.Error as error:
        if dialect.is_disconnect(error, driver, cursor):
            connection.invalidate(error)
        known = dialect.loaded_dbapi.Error
        raise DBAPIError.instance(text, None, error, known, hide_parameters=True, dialect=dialect) from error
    return cursor


def insert_new(table: Table, dialect: Dialect) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that leaves rows alone which are there already; the rows touched are those that were not."""
    insert = _insert(table, dialect).on_conflict_do_nothing().inline()
    return insert.execution_options(preserve_rowcount=True)


def upsert(
    table: Table,
    taken: Sequence[str],
    dialect: Dialect,
    *,
    also: Mapping[str, ColumnElement[Any]] | None = None,
) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that updates a row which has the same primary key.

    taken: columns that take the new value. also: expressions for further columns.
    """
    insert = _insert(table, dialect)
    new = {name: insert.excluded[name] for name in taken} | dict(also or {})
    keys = [column.name for column in table.primary_key.columns]
    return insert.on_conflict_do_update(index_elements=keys, set_=new)


def _insert(table: Table, dialect: Dialect) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
