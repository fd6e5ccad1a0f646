"""The static half of the answer firewall: does what a person sends fit the schema that was frozen with the question?

Nothing here touches the network: a ``$ref`` that leaves the schema is an error, never fetched.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentdesk.digests import canonical

type Errors = dict[str, list[str]]

MOST_ERRORS = 20


def problems(schema: Mapping[str, Any] | None, value: Any) -> Errors:
    """What is wrong with ``value``, by dotted path (empty: the whole value); empty when it fits. Without a schema anything
    fits. A schema that cannot be used lets nothing pass."""
    if schema is None:
        return {}
    try:
        _Validator.check_schema(schema)
        found = list(_first(_Validator(schema, registry=Registry(), format_checker=_Validator.FORMAT_CHECKER), value))
    except (SchemaError, Unresolvable, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        # Not a wrong value but a schema nobody can check against; saying so closes the door.
        return {"": [_("The schema of this action cannot be used: %(error)s.") % {"error": type(error).__name__}]}
    errors: Errors = {}
    for problem in found:
        path, text = _told(problem)
        errors.setdefault(path, []).append(text)
    return errors


def keep_types(original: Any, posted: Any) -> Any:
    """``posted`` with the values that did not change exactly as they were in ``original``, and integers still integers where
    JSON's one number type made floats of them."""
    if _same(original, posted):
        return original
    if isinstance(original, Mapping) and isinstance(posted, Mapping):
        return {key: keep_types(original[key], item) if key in original else item for key, item in posted.items()}
    if isinstance(original, list | tuple) and isinstance(posted, list) and len(original) == len(posted):
        return [keep_types(before, item) for before, item in zip(original, posted, strict=True)]
    if isinstance(original, int) and not isinstance(original, bool) and isinstance(posted, float) and posted.is_integer():
        return int(posted)
    return posted


def _same(one: Any, other: Any) -> bool:
    return canonical(one) == canonical(other)


def _multiple_of(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # In binary, 199.99 is no multiple of 0.01; as people write it, it is.
    if not validator.is_type(instance, "number"):
        return
    try:
        left = Decimal(str(instance)) % Decimal(str(step))
    except InvalidOperation:
        left = Decimal(1)
    if left:
        yield ValidationError(f"{instance!r} is not a multiple of {step!r}")


_Validator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"multipleOf": _multiple_of}
)


def _first(validator: Any, value: Any) -> Iterator[ValidationError]:
    for number, error in enumerate(validator.iter_errors(value)):
        if number == MOST_ERRORS:
            return
        yield error


def _told(error: ValidationError) -> tuple[str, str]:
    path = [str(part) for part in error.absolute_path]
    limit: Any = error.validator_value
    match error.validator:
        case "required":
            missing = next((str(name) for name in limit if error.message.startswith(f"{name!r} ")), "")
            return ".".join([*path, missing]), _("This is required.")
        case "type":
            wanted = limit if isinstance(limit, str) else ", ".join(limit)
            text = _("This must be of type %(type)s.") % {"type": wanted}
        case "enum":
            text = _("Choose one of the given values.")
        case "const":
            text = _("This value is fixed.")
        case "minimum" | "exclusiveMinimum":
            text = (_("At least %(limit)s.") if error.validator == "minimum" else _("More than %(limit)s.")) % {"limit": limit}
        case "maximum" | "exclusiveMaximum":
            text = (_("At most %(limit)s.") if error.validator == "maximum" else _("Less than %(limit)s.")) % {"limit": limit}
        case "minLength":
            text = _("At least %(limit)s characters.") % {"limit": limit}
        case "maxLength":
            text = _("At most %(limit)s characters.") % {"limit": limit}
        case "minItems":
            text = _("At least %(limit)s entries.") % {"limit": limit}
        case "maxItems":
            text = _("At most %(limit)s entries.") % {"limit": limit}
        case "multipleOf":
            text = _("Must be a multiple of %(limit)s.") % {"limit": limit}
        case "format":
            text = _("This is not a valid %(format)s.") % {"format": limit}
        case "pattern":
            text = _("This does not have the expected form.")
        case "additionalProperties":
            text = _("There are names here that the action does not know.")
        case "anyOf" | "oneOf":
            text = _("This fits none of the allowed forms.")
        case _:
            text = error.message[:200]
    return ".".join(path), text
