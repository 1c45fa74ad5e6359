"""The route table finds exact and patterned paths, and says which methods there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.edge.routes import Route, RouteTable


async def endpoint(op, head, body, sink):
    raise AssertionError("never called here")


def table(*pairs: tuple[str, str]) -> RouteTable:
    return RouteTable(Route(method, pattern, endpoint) for method, pattern in pairs)


def test_an_exact_path_is_found_with_its_method():
    found = table(("GET", "/v1/models"), ("POST", "/v1/models")).match("POST", "/v1/models")
    assert found is not None
    assert found.route is not None
    assert (found.route.method, found.route.pattern) == ("POST", "/v1/models")
    assert found.path_values == {}


def test_a_patterned_path_gives_its_values():
    routes = table(("GET", "/v1/requests"), ("GET", "/v1/requests/{request_id}"))
    found = routes.match("GET", "/v1/requests/req_1")
    assert found is not None
    assert found.route is not None
    assert found.route.pattern == "/v1/requests/{request_id}"
    assert found.path_values == {"request_id": "req_1"}


def test_an_exact_path_wins_over_a_pattern():
    routes = table(("GET", "/v1/{name}"), ("GET", "/v1/models"))
    found = routes.match("GET", "/v1/models")
    assert found is not None
    assert found.route is not None
    assert found.route.pattern == "/v1/models"


@pytest.mark.parametrize(
    "path", ["/", "", "/v1", "/v1/models/", "/v1/models/a/b", "/v1/models//", "v1/models/a"]
)
def test_nothing_is_served_at_other_paths(path):
    assert table(("GET", "/v1/models/{model}")).match("GET", path) is None


def test_a_known_path_with_another_method_names_the_allowed_ones():
    found = table(("GET", "/a"), ("POST", "/a")).match("DELETE", "/a")
    assert found is not None
    assert found.route is None
    assert found.allowed == ("GET", "HEAD", "POST")


def test_a_patterned_path_with_two_methods_is_one_path():
    routes = table(("GET", "/a/{x}"), ("DELETE", "/a/{x}"))
    gone = routes.match("DELETE", "/a/1")
    assert gone is not None
    assert gone.route is not None
    assert gone.route.method == "DELETE"
    put = routes.match("PUT", "/a/1")
    assert put is not None
    assert put.allowed == ("DELETE", "GET", "HEAD")


def test_head_is_answered_where_get_is_and_only_there():
    routes = table(("GET", "/a"), ("POST", "/b"))
    head = routes.match("HEAD", "/a")
    assert head is not None
    assert head.route is not None
    assert head.route.method == "GET"
    post_only = routes.match("HEAD", "/b")
    assert post_only is not None
    assert post_only.route is None
    assert post_only.allowed == ("POST",)


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_path_and_method_is_answered_without_an_error(path, method):
    routes = table(("GET", "/v1/{a}/x/{b}"), ("GET", "/v1/models"))
    found = routes.match(method, path)
    assert found is None or found.route is None or found.route.method == "GET"


@given(
    st.text(
        alphabet=st.characters(blacklist_characters="/", blacklist_categories=("Cs",)), min_size=1
    )
)
def test_a_segment_value_comes_back_as_it_was_sent(value):
    found = table(("GET", "/m/{name}")).match("GET", f"/m/{value}")
    assert found is not None
    assert found.path_values == {"name": value}
