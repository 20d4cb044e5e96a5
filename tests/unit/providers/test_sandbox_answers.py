import time
from collections.abc import Mapping

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from shared.providers.sandbox_answers import answer

Schema = dict[str, JsonValue]

INVOICE = """\
# Invoice 2024-001

From: Acme <billing@acme.example>
**Bill to:** Jane Roe
Invoice number: 2024-001
- Invoice date: 3 March 2024
Due date: 02/04/2024
Paid: no
Contact: see https://acme.example/pay or write to help@acme.example
Tags: red, green, blue

| Item | Qty | Unit price | Amount |
| --- | ---: | ---: | ---: |
| Tea, green | 2 | 1,100.00 | 2,200.00 |
| Coffee | 10 | 3.45 | 34.50 |
| **Total** | | | **€2,234.50** |

## Summary

The goods were sent on time. Nothing is broken.

## Risks

- Late payment
- Rising prices
"""


def obj(**properties: JsonValue) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def field(schema: JsonValue, name: str = "x", text: str = INVOICE) -> JsonValue:
    value = answer(obj(**{name: schema}), text)
    assert isinstance(value, dict)
    return value[name]


STRING: Schema = {"type": "string"}
NULLABLE: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": "number"}


@pytest.mark.parametrize(
    ("name", "schema", "value"),
    [
        ("invoice_number", STRING, "2024-001"),
        ("invoiceNumber", STRING, "2024-001"),
        ("InvoiceNo", STRING, "2024-001"),
        ("number", {"type": "string", "title": "Invoice no."}, "2024-001"),
        ("buyer", {"type": "string", "description": "Who pays (Bill to, Sold to)"}, "Jane Roe"),
        ("date", {"type": "string", "format": "date"}, "2024-03-03"),
        ("due_date", {"type": "string", "format": "date"}, "2024-04-02"),
        ("paid", {"type": "boolean"}, False),
        ("total", NUMBER, 2234.5),
        ("total_amount", NUMBER, 2234.5),
        ("total", STRING, "€2,234.50"),
        ("currency", {"type": "string", "pattern": "^[A-Z]{3}$"}, "EUR"),
        ("currency", {"enum": ["USD", "EUR"]}, "EUR"),
        ("kind", {"enum": ["letter", "invoice", "report"]}, "invoice"),
        ("kind", {"enum": ["a", "b"], "description": "a (Brief), b (invoice, bill)"}, "b"),
        ("from", STRING, "Acme <billing@acme.example>"),
        ("from", {"type": "string", "format": "email"}, "billing@acme.example"),
        ("email", STRING, "billing@acme.example"),
        ("website", STRING, "https://acme.example/pay"),
        ("title", STRING, "Invoice 2024-001"),
        ("summary", STRING, "The goods were sent on time. Nothing is broken."),
        ("tags", {"type": "array", "items": STRING}, ["red", "green", "blue"]),
        ("risks", {"type": "array", "items": STRING}, ["Late payment", "Rising prices"]),
    ],
)
def test_values_are_found_where_the_text_says_them(
    name: str, schema: JsonValue, value: JsonValue
) -> None:
    assert field(schema, name) == value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (NULLABLE, None),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, None),
        ({"enum": ["a", None]}, None),
        ({"enum": ["red panda", "other"]}, "other"),
        (STRING, ""),
        ({"type": "string", "minLength": 2}, "--"),
        (NUMBER, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": STRING}, []),
        (obj(inner=STRING), {"inner": ""}),
        ({**obj(inner=STRING), "type": ["object", "null"]}, None),
    ],
)
def test_what_the_text_does_not_say_is_null_or_empty(schema: JsonValue, value: JsonValue) -> None:
    assert field(schema, "zodiac") == value


def test_an_optional_property_that_is_not_said_is_left_out() -> None:
    schema: Schema = {"type": "object", "properties": {"zodiac": STRING, "total": NUMBER}}

    assert answer(schema, INVOICE) == {"total": 2234.5}


def test_rows_of_the_fitting_table_become_objects_and_its_sum_does_not() -> None:
    item = obj(
        item=STRING,
        quantity={"type": "integer", "description": "Qty"},
        amount=NUMBER,
        colour=NULLABLE,
    )

    assert field({"type": "array", "items": item}, "lines") == [
        {"item": "Tea, green", "quantity": 2, "amount": 2200, "colour": None},
        {"item": "Coffee", "quantity": 10, "amount": 34.5, "colour": None},
    ]


def test_a_table_without_the_asked_columns_is_not_taken() -> None:
    item = obj(planet=STRING, moons=NUMBER)

    assert field({"type": "array", "items": item}, "planets") == []


def test_nested_objects_look_for_their_own_name_first() -> None:
    text = "Seller: Acme\nSeller city: Leeds\nBuyer: Jane\nBuyer city: York\n"
    party = obj(name=STRING, city=STRING)

    assert answer(obj(seller=party, buyer=party), text) == {
        "seller": {"name": "Acme", "city": "Leeds"},
        "buyer": {"name": "Jane", "city": "York"},
    }


def test_references_and_variants_are_followed() -> None:
    schema: Schema = {
        **obj(total={"$ref": "#/$defs/money"}, due={"allOf": [{"$ref": "#/$defs/day"}]}),
        "$defs": {
            "money": {"anyOf": [{"type": "null"}, {"type": "number", "minimum": 1}]},
            "day": {"type": "string", "format": "date", "description": "Due date"},
        },
    }

    assert answer(schema, INVOICE) == {"total": 2234.5, "due": "2024-04-02"}


def test_a_value_that_breaks_a_rule_of_the_schema_is_not_used() -> None:
    text = "Total: 50\nTotal: 7\n"

    assert field({"type": "integer", "maximum": 10}, "total", text) == 7
    assert field({"type": ["integer", "null"], "maximum": 5}, "total", text) is None


def test_csv_columns_that_never_change_speak_for_the_document() -> None:
    text = "| No | Seller | Item |\n|---|---|---|\n| 7 | Acme | Tea |\n| 7 | Acme | Cake |\n"

    assert field(STRING, "seller", text) == "Acme"
    assert field(NULLABLE, "item", text) is None


def test_labels_in_other_scripts_are_found_through_the_description() -> None:
    schema: Schema = {"type": ["number", "null"], "description": "Total, 合計, Σύνολο, कुल राशि"}

    assert [
        field(schema, "sum", text)
        for text in ("合計: 48,600 円", "ご請求合計：５００", "Σύνολο: 12,50 €", "कुल राशि: ३५० INR")
    ] == [48600, 500, 12.5, 350]


def test_the_same_input_gives_the_same_answer() -> None:
    schema = obj(total=NUMBER, kind={"enum": ["invoice", "letter"]}, lines={"type": "array"})

    assert answer(schema, INVOICE) == answer(schema, INVOICE)


def test_a_schema_that_contains_itself_ends() -> None:
    node: Schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}

    assert isinstance(answer(node, INVOICE), dict)


def test_a_long_text_is_read_quickly() -> None:
    text = "".join(f"Label {n}: value {n}\n\nSome prose in line {n} here.\n" for n in range(50_000))
    schema = obj(**{f"field_{n}": NULLABLE for n in range(10)})
    start = time.perf_counter()

    answer(schema, text)

    assert time.perf_counter() - start < 2


NAMES = st.sampled_from(["total", "date", "item", "amount", "kind", "summary", "x", "seller"])
LEAVES = st.sampled_from(
    [
        STRING,
        NULLABLE,
        NUMBER,
        {"type": "integer", "minimum": 1, "maximum": 9},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["invoice", "other"]},
        {"const": "fixed"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "email"},
        {"type": "string", "format": "uri"},
        {"type": "string", "minLength": 3, "maxLength": 5},
        {"type": ["number", "null"], "multipleOf": 0.01},
        {"oneOf": [{"type": "null"}, {"type": "number"}]},
        {},
    ]
)


def nested(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    properties = st.dictionaries(NAMES, inner, max_size=4)
    return st.one_of(
        properties.map(closed), properties.map(loose), inner.map(listed), inner.map(maybe)
    )


def closed(properties: Mapping[str, JsonValue]) -> Schema:
    return {**obj(**properties), "additionalProperties": False}


def loose(properties: Mapping[str, JsonValue]) -> Schema:
    return {"type": "object", "properties": dict(properties)}


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": 3}


def maybe(one: Schema) -> Schema:
    return {"anyOf": [one, {"type": "null"}]}


@settings(max_examples=300, deadline=None)
@given(
    schema=st.recursive(LEAVES, nested, max_leaves=8), text=st.sampled_from([INVOICE, "", "x: 1"])
)
def test_every_ordinary_schema_gets_an_answer_that_fits(schema: Schema, text: str) -> None:
    value = answer(schema, text)

    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    assert [error.message for error in validator.iter_errors(value)] == []


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab|:#-* \n\t.0123,€", max_size=300))
def test_no_text_makes_it_fail(text: str) -> None:
    item = obj(a=STRING, b=NUMBER)
    answer(obj(a=STRING, date=STRING, total=NUMBER, l={"type": "array", "items": item}), text)
