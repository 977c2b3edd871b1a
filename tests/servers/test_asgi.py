"""What protocols may know of a request."""

from hubbub.servers.asgi import read_query


def test_a_query_gives_first_values_and_all_of_those_that_came_again():
    query, repeated = read_query("a=1&b=&a=2&c=%C3%A9+x&a=3")
    assert query == {"a": "1", "b": "", "c": "é x"}
    assert repeated == {"a": ("1", "2", "3")}


def test_a_query_is_cut_off_after_a_thousand_values():
    query, repeated = read_query("a=0&" + "&".join(f"a={number}" for number in range(2_000)))
    assert query == {"a": "0"}
    assert len(repeated["a"]) == 1_000
