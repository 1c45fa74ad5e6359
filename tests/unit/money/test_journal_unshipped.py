"""The calls that the ledger does not have yet, by id and by segment."""

from tokenbooth.money.journal.unshipped import Live, Unshipped


def test_calls_are_known_in_order_until_they_are_forgotten() -> None:
    unshipped = Unshipped()
    for name, segment in (("one", 1), ("two", 1), ("three", 2)):
        unshipped.add(name, Live(segment, None))
    assert list(unshipped) == ["one", "two", "three"]
    assert "two" in unshipped
    assert unshipped["three"].segment == 2
    unshipped.forget(("one", "nobody"))
    assert (len(unshipped), unshipped.needs(1), unshipped.needs(2)) == (2, True, True)
    unshipped.forget(("two",))
    assert not unshipped.needs(1)
