from tokenbooth.fleet.rules import STABLE_AFTER_S, failures_after, pause_s, share_of


def test_deaths_in_a_row_are_counted_until_a_long_life():
    assert [failures_after(0, 0), failures_after(3, STABLE_AFTER_S - 1)] == [1, 4]
    assert failures_after(7, STABLE_AFTER_S) == 1


def test_the_pause_doubles_to_its_bound():
    assert [pause_s(n) for n in (1, 2, 3)] == [0.1, 0.2, 0.4]
    assert pause_s(9) == pause_s(60) == 5


def test_even_parts_make_the_whole():
    for total in range(20):
        for workers in range(1, 7):
            parts = [share_of(total, number, workers) for number in range(1, workers + 1)]
            assert sum(parts) == total
            assert max(parts) - min(parts) <= 1
