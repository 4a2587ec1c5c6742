"""Exports of telemetry as OTLP/JSON: from protobuf messages, and from the JSON that senders write.

OTLP/JSON is protobuf's JSON with three exceptions (opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids are
hexadecimal, not base64, enums are numbers, and unknown fields must be put up with. `json_format.Parse` takes a
hexadecimal id for base64 and makes other bytes of it, so neither way goes through it. Here 64-bit integers are always
strings, names always in camel case, and what is not known stays where it was.
"""

import base64
import binascii
import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = ["Normaliser", "Unacceptable", "encode"]

_IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
_KINDS = FieldDescriptor
_WIDE = {
    _KINDS.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    _KINDS.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
_NARROW = {
    _KINDS.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    _KINDS.CPPTYPE_UINT32: (0, (1 << 32) - 1),
}
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_pairs: dict[bytes, dict[str, Any]] = {}
"""Attributes seen before; they are read, never changed."""
_REMEMBERED, _SHORT = 4096, 256

_Convert = Callable[[Any], Any]
_ANY, _PAIR = AnyValue.DESCRIPTOR, KeyValue.DESCRIPTOR


class Unacceptable(ValueError):
    """Raised for JSON that is not what the protocol says."""


def encode(message: Message) -> dict[str, Any]:
    """A protobuf message as OTLP/JSON; fields at their defaults are left out, as protobuf's JSON does."""
    encoder = _encoders(message.DESCRIPTOR)
    shown = dict[str, Any]()
    for field, value in message.ListFields():
        name, convert = encoder[field.number]
        shown[name] = convert(value)
    return shown


@cache
def _encoders(descriptor: Descriptor) -> dict[int, tuple[str, _Convert]]:
    return {field.number: (field.json_name, _encoder(field)) for field in descriptor.fields}


def _encoder(field: FieldDescriptor) -> _Convert:
    one = _encoder_of_one(field)
    if not field.is_repeated:
        return one
    return lambda values: [one(value) for value in values]


def _encoder_of_one(field: FieldDescriptor) -> _Convert:
    if field.message_type is not None:
        return {_ANY.full_name: _encode_any, _PAIR.full_name: _encode_pair}.get(field.message_type.full_name, encode)
    if field.name in _IDS:
        return bytes.hex
    if field.type == _KINDS.TYPE_BYTES:
        return _encode_bytes
    if field.cpp_type in _WIDE:
        return str
    if field.cpp_type in (_KINDS.CPPTYPE_DOUBLE, _KINDS.CPPTYPE_FLOAT):
        return _encode_double
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _encode_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _encode_double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _encode_pair(pair: KeyValue) -> dict[str, Any]:
    """The most frequent message by far, and most of them say the same again (session, user, model)."""
    raw = pair.SerializeToString()
    known = _pairs.get(raw)
    if known is not None:
        return known
    shown = {"key": pair.key, "value": _encode_any(pair.value)} if pair.key else encode(pair)
    if len(raw) <= _SHORT:
        if len(_pairs) >= _REMEMBERED:
            _pairs.clear()
        _pairs[raw] = shown
    return shown


def _encode_any(value: AnyValue) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return {"stringValue": value.string_value}
    if kind == "int_value":
        return {"intValue": str(value.int_value)}
    if kind == "bool_value":
        return {"boolValue": value.bool_value}
    return encode(value)


@cache
def field_table(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """Fields by both their names."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


class Normaliser:
    """Turns senders' JSON into what `encode` writes; unknown fields are kept.

    A broken record (a message of one of the `records` types) is left out and counted in `rejected` by what is wrong
    with it; anything else that is broken raises Unacceptable.
    """

    def __init__(self, records: frozenset[str]) -> None:
        self.rejected = Counter[str]()
        self._records = records

    def message(self, value: Any, descriptor: Descriptor, path: str = "") -> dict[str, Any]:
        """One message."""
        if not isinstance(value, dict):
            raise Unacceptable(f"{path or descriptor.name}: not an object")
        table, shown = _fields(descriptor), dict[str, Any]()
        for name, part in cast("dict[str, Any]", value).items():
            field = table.get(name)
            if field is None:
                shown[name] = part
            elif part is not None:
                shown[field.json_name] = self._field(part, field, f"{path}.{name}" if path else name)
        return shown

    def _field(self, value: Any, field: FieldDescriptor, path: str) -> Any:
        if not field.is_repeated:
            return self._one(value, field, path)
        if not isinstance(value, list):
            raise Unacceptable(f"{path}: not a list")
        items = cast("list[Any]", value)
        if field.message_type is not None and field.message_type.full_name in self._records:
            return list(self._records_of(items, field.message_type))
        return [self._one(item, field, path) for item in items]

    def _records_of(self, items: list[Any], descriptor: Descriptor) -> Iterator[dict[str, Any]]:
        for item in items:
            try:
                yield self.message(item, descriptor)
            except Unacceptable as error:
                self.rejected[str(error)] += 1

    def _one(self, value: Any, field: FieldDescriptor, path: str) -> Any:
        if field.message_type is not None:
            return self.message(value, field.message_type, path)
        return _scalar(value, field, path)


@cache
def _fields(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    """Fields by both their names."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


def _scalar(value: Any, field: FieldDescriptor, path: str) -> Any:
    if field.name in _IDS:
        return _normalise_id(value, _IDS[field.name], path)
    if field.enum_type is not None:
        return _normalise_enum(value, field, path)
    if field.cpp_type in _WIDE:
        return str(_integer(value, _WIDE[field.cpp_type], path))
    if field.cpp_type in _NARROW:
        return _integer(value, _NARROW[field.cpp_type], path)
    if field.cpp_type == _KINDS.CPPTYPE_BOOL:
        return _of_type(value, bool, path)
    if field.cpp_type == _KINDS.CPPTYPE_STRING:
        text = _of_type(value, str, path)
        return _checked_base64(text, path) if field.type == _KINDS.TYPE_BYTES else text
    return _normalise_double(value, path)


def _normalise_id(value: Any, size: int, path: str) -> str:
    text = _of_type(value, str, path)
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        pass
    # Senders that use protobuf's JSON as it is write base64; of these sizes it ends in `=`, so nothing is mistaken.
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != size:
        raise Unacceptable(f"{path}: not an id of {2 * size} hexadecimal digits")
    return raw.hex()


def _checked_base64(text: str, path: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Unacceptable(f"{path}: not base64") from None
    return text


def _normalise_enum(value: Any, field: FieldDescriptor, path: str) -> int:
    assert field.enum_type is not None
    if isinstance(value, str) and (known := field.enum_type.values_by_name.get(value)) is not None:
        return known.number
    return _integer(value, _NARROW[_KINDS.CPPTYPE_INT32], path)


def _integer(value: Any, bounds: tuple[int, int], path: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise Unacceptable(f"{path}: not an integer") from None
    whole = not isinstance(value, float) or value.is_integer()
    if isinstance(value, bool) or not whole or not bounds[0] <= number <= bounds[1]:
        raise Unacceptable(f"{path}: not an integer of the right size")
    return number


def _normalise_double(value: Any, path: str) -> float | int | str:
    if isinstance(value, str) and value not in _NUMBERS:
        try:
            value = float(value)
        except ValueError:
            raise Unacceptable(f"{path}: not a number") from None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unacceptable(f"{path}: not a number")
    return _encode_double(value)


def _of_type(value: Any, kind: type, path: str) -> Any:
    if not isinstance(value, kind):
        raise Unacceptable(f"{path}: not {kind.__name__}")
    return value
