"""What pydantic found wrong, as one sentence for a person."""

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """Return the first thing that is wrong as `field: what`, with the start of the value only."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "content"
    value = repr(first["input"])[:60]
    return f"field {where} is not usable: {first['msg'][:200]} (it is {value})"
