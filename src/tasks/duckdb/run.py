"""Runs SQL on DuckDB: reads request.json, writes result.json and the rows of each statement as lines of JSON."""

import datetime
import decimal
import json
import math
import re
import sys
import warnings

# The library warns of its own future, which is no concern of the flow's.
warnings.simplefilter("ignore")

import duckdb

BATCH = 10_000
# White space and comments.
GAP = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
INSTALL = re.compile(
    GAP + r"(?P<force>FORCE\s+)?INSTALL\s+['\"]?(?P<name>\w+)['\"]?(?:\s+FROM\s+['\"]?core['\"]?)?;?" + GAP + ";?" + GAP,
    re.IGNORECASE | re.DOTALL,
)


def plain(value):
    """A value as JSON has it; what JSON lacks becomes text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, decimal.Decimal):
        number = float(value)
        return number if decimal.Decimal(repr(number)) == value else str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    return str(value)


def is_needless(connection, text):
    """Whether the statement installs an extension that is there: DuckDB would ask the internet for it all the same."""
    install = INSTALL.fullmatch(text)
    if not install:
        return False
    # What is built in has no other version to be forced.
    there = "install_mode = 'STATICALLY_LINKED'" if install["force"] else "installed"
    known = f"SELECT bool_or({there}) FROM duckdb_extensions() WHERE extension_name = $1 OR list_contains(aliases, $1)"
    return bool(connection.execute(known, [install["name"].lower()]).fetchone()[0])


def keep(result, request, number):
    """Writes the rows, as many as are wanted, and counts them."""
    names = [column[0] for column in result.description]
    most = 1 if request["fetch"] == "FETCH_ONE" else sys.maxsize
    file, size = f"{request['rows']}-{number}.ndjson", 0
    with open(file, "w", encoding="utf-8") as rows:
        while batch := result.fetchmany(BATCH):
            for row in batch[: max(0, most - size)]:
                rows.write(json.dumps(dict(zip(names, map(plain, row))), ensure_ascii=False) + "\n")
            size += len(batch)
            if request["fetch"] == "FETCH" and size > request["most_fetched"]:
                raise OverflowError(f"the SQL returns more than {request['most_fetched']} rows")
    return {"file": file, "size": size}


def run(request, result):
    connection = duckdb.connect(request["database"])
    statements = connection.extract_statements(request["sql"])
    result["of"] = len(statements)
    kinds = [statement.type for statement in statements]
    # A text that has transactions of its own is left to them.
    together = request["transaction"] and len(statements) > 1 and duckdb.StatementType.TRANSACTION not in kinds
    if together:
        connection.begin()
    for number, statement in enumerate(statements, 1):
        result["statement"] = number
        if is_needless(connection, statement.query):
            continue
        given = connection.execute(statement)
        expected, names = statement.expected_result_type, [column[0] for column in given.description or []]
        if duckdb.ExpectedResultType.QUERY_RESULT not in expected or names == ["Success"]:
            continue
        if duckdb.ExpectedResultType.CHANGED_ROWS in expected and names == ["Count"]:
            result["affected"] += max(0, (given.fetchone() or [0])[0])
        elif request["fetch"] != "NONE":
            result["outputs"].append(keep(given, request, number))
    if together:
        connection.commit()
    connection.close()


def main(folder):
    with open(f"{folder}/request.json", encoding="utf-8") as file:
        request = json.load(file)
    result = {"version": duckdb.__version__, "of": 0, "statement": 0, "affected": 0, "outputs": [], "error": None}
    try:
        run(request, result)
    except (duckdb.Error, OverflowError) as error:
        result["error"] = {"kind": type(error).__name__, "message": str(error)}
    with open(f"{folder}/result.json", "w", encoding="utf-8") as file:
        json.dump(result, file)


main(sys.argv[1])
