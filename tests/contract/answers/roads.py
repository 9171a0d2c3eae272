"""Roads to the server: base URLs, and lists of models of every shape."""

from typing import Any, Final

from tests.contract.answers.shape import SAID, Shape, listed, refusal

_ANY: Final = {"model": ""}
_ONE: Final = {"id": "m", "object": "model"}

# name, list of models: from each the only model is found
_FOUND: Final[list[tuple[str, Any]]] = [
    ("a bare list", [_ONE]),
    ("a bare list of names", ["m"]),
    ("data of names", {"data": ["m"]}),
    ("models", {"models": [{"name": "m", "model": "m"}]}),
    ("models and data", {"models": [{"name": "x"}], "data": [_ONE]}),
    ("window null", {"data": [_ONE | {"max_model_len": None}]}),
    ("window a text", {"data": [_ONE | {"max_model_len": "4096"}]}),
    ("window a word", {"data": [_ONE | {"max_model_len": "32k"}]}),
    ("window a list", {"data": [_ONE | {"max_model_len": [4096]}]}),
    ("window negative", {"data": [_ONE | {"max_model_len": -1}]}),
    ("window true", {"data": [_ONE | {"max_model_len": True}]}),
    ("window infinite", '{"data":[{"id":"m","max_model_len":Infinity}]}'),
    ("one object", {"data": _ONE}),
    ("nulls between", {"data": [None, _ONE, 7, {}]}),
    ("twice the same", {"data": [_ONE, _ONE]}),
]
# name, answer: no list, so the model must be set
_NOT_FOUND: Final[list[tuple[str, Any]]] = [
    ("data null", listed({"data": None})),
    ("null", listed("null")),
    ("a text", listed('"m"')),
    ("a number", listed("5")),
    ("a web page", listed("<html>It works!</html>")),
    ("a redirect to a login", {"endpoint": "models", "status": 302, "headers": {"location": "/login"}, "media_type": "text/html"}),
    ("a redirect in a circle", {"endpoint": "models", "status": 302, "headers": {"location": "/v1/models"}, "media_type": ""}),
    ("404", listed({"detail": "Not Found"}, status=404)),
    ("405", listed("", status=405)),
    ("an error with 200", listed({"error": "no"})),
    ("JSON that is cut", listed('{"data": [')),
    ("nothing", listed("")),
]

ROADS: Final = [
    *(Shape(f"{name}: found", [listed(body)], SAID, settings=_ANY) for name, body in _FOUND),
    *(Shape(f"{name}: no list", [answer], waits=["models", "EARSHOT_LLM__MODEL"], settings=_ANY) for name, answer in _NOT_FOUND),
    *(Shape(f"{name}: not needed", [answer], SAID) for name, answer in _NOT_FOUND),
    Shape("no models", [listed({"data": []})], waits=["no model"], settings=_ANY),
    Shape("several models", [listed({"data": [{"id": "a"}, {"id": "b"}]})], waits=["a, b", "EARSHOT_LLM__MODEL"], settings=_ANY),
    Shape("without /v1", path="", reply=SAID),
    Shape("a slash and no /v1", path="/", reply=SAID),
    Shape("/v1 and a slash", path="/v1/", reply=SAID),
    Shape("without /v1 and without a model", [listed({"data": [_ONE]})], SAID, path="", settings=_ANY),
    Shape("the whole address of the endpoint", path="/v1/chat/completions", reply=SAID),
    Shape("a wrong path", path="/api", waits=["EARSHOT_LLM__BASE_URL"]),
    Shape("an error of the server at every path", [refusal(404, {"error": {"message": "no such thing"}})], waits=["no such thing"]),
]
