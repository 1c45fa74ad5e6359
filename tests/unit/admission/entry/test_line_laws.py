"""The laws of the line under any mix of coming, being served, giving up and being corrected."""

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenbooth.admission.entry import line as lines
from tokenbooth.admission.entry.line import Line
from tokenbooth.admission.entry.rules import cost_tokens
from tokenbooth.admission.entry.values import RANKS, Visit

STANDARD, FLEX, BATCH = 2, 4, 6
LONGEST = 200
LARGEST = cost_tokens(LONGEST, LONGEST)
TOKENS = st.integers(1, LONGEST)
OPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("abcd"), TOKENS),
        st.tuples(st.just("serve"), st.just(""), st.just(0)),
        st.tuples(st.just("give up"), st.sampled_from("abcd"), st.just(0)),
    ),
    max_size=150,
)


def visit(tenant: str, rank: int = STANDARD, tokens: int = 10) -> Visit:
    return Visit(tenant, rank, tokens, tokens, 10**9)


def cost(each: Visit) -> int:
    return cost_tokens(each.input_tokens, each.output_tokens)


def serve(line: Line) -> Visit:
    head = line.head()
    assert head is not None
    line.take(head)
    return head


def names(line: Line, count: int) -> list[str]:
    return [serve(line).tenant for _ in range(count)]


class Watched:
    """A line, with what each tenant has waiting and was served, as an onlooker counts it."""

    def __init__(self) -> None:
        self.line = Line()
        self.waiting: dict[str, list[Visit]] = {name: [] for name in "abcd"}
        self.served: Counter[str] = Counter()

    def do(self, what: str, tenant: str, tokens: int) -> None:
        if what == "come":
            self.waiting[tenant].append(visit(tenant, tokens=tokens))
            self.line.add(self.waiting[tenant][-1])
        elif what == "give up" and self.waiting[tenant]:
            self.line.drop(self.waiting[tenant].pop())
        elif what == "serve" and self.line.count:
            head = serve(self.line)
            assert self.waiting[head.tenant].pop(0) is head
            self.served[head.tenant] += cost(head)


@settings(max_examples=60)
@given(OPS)
def test_while_two_tenants_wait_neither_gets_ahead_by_more_than_two_calls(
    ops: list[tuple[str, str, int]],
) -> None:
    """The service gap of fair queueing holds over every time in which both had calls waiting, and
    whatever they had got, missed or given up before."""
    seen = Watched()
    spans: dict[tuple[str, str], list[int]] = {}
    for op in ops:
        seen.do(*op)
        for one, other in combinations("abcd", 2):
            if not (seen.waiting[one] and seen.waiting[other]):
                spans.pop((one, other), None)
                continue
            span = spans.setdefault((one, other), [])
            span.append(seen.served[one] - seen.served[other])
            assert max(span) - min(span) <= 2 * LARGEST


@settings(max_examples=40)
@given(OPS)
def test_the_line_counts_exactly_those_who_wait(ops: list[tuple[str, str, int]]) -> None:
    seen = Watched()
    for op in ops:
        seen.do(*op)
        left = [each for mine in seen.waiting.values() for each in mine]
        assert seen.line.count == len(left)
        assert all(each.waits for each in left)
        assert (seen.line.head() is None) is not bool(left)
    while seen.line.count:
        seen.do("serve", "", 0)
    assert not any(seen.waiting.values())


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, RANKS - 1), TOKENS), min_size=1, max_size=80
    )
)
def test_a_lower_band_comes_first_only_by_the_part_that_is_its_own(
    coming: list[tuple[str, int, int]],
) -> None:
    line = Line()
    left = Counter(rank for _, rank, _ in coming)
    for each in coming:
        line.add(visit(*each))
    all_tokens = by_share_tokens = 0
    while (head := line.head()) is not None:
        top, last = min(+left), max(+left)
        assert head.rank == (last if line.by_share else top)
        all_tokens += cost(head)
        by_share_tokens += cost(head) * line.by_share
        line.take(head)
        left[head.rank] -= 1
    assert by_share_tokens * lines.SHARE_DIVISOR <= all_tokens


@settings(max_examples=40)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), TOKENS)
def test_with_calls_alike_a_newcomer_is_never_told_of_more_than_there_are(
    waiting: list[str], tokens: int
) -> None:
    line = Line()
    for name in waiting:
        line.add(visit(name, tokens=tokens))
    for name in "abcd":
        newcomer = visit(name, tokens=tokens)
        said = line.ahead_of(newcomer)
        assert waiting.count(name) <= said <= len(waiting)
        assert line.ahead_of(visit(name, FLEX)) == len(waiting)
        assert line.ahead_of(visit(name, 0)) == 0


def test_nobody_waits_forever_under_a_flood_of_a_better_band() -> None:
    line = Line()
    low = visit("low", BATCH, tokens=LONGEST)
    line.add(low)
    served = 0
    while low.waits:
        line.add(visit("flood", tokens=20))
        served += serve(line).tenant == "flood"
        assert served <= lines.SHARE_DIVISOR * LARGEST // cost_tokens(20, 20) + 1
    assert served > 0


def test_a_band_that_did_not_wait_saved_nothing_up() -> None:
    """However long the better band was served alone, its calls go first when others come."""
    line = Line()
    for _ in range(20):
        line.add(visit("customer"))
    for _ in range(3_000):
        line.add(visit("customer"))
        serve(line)
    for _ in range(50):
        line.add(visit("batch", BATCH))
    for _ in range(lines.SHARE_DIVISOR - 1):
        line.add(visit("customer"))
        assert serve(line).tenant == "customer"


def test_a_share_is_not_kept_when_everybody_was_served() -> None:
    line = Line()
    for _ in range(2):
        for _ in range(lines.SHARE_DIVISOR // 2 + 4):
            line.add(visit("customer"))
        line.add(visit("batch", BATCH))
        order = names(line, line.count)
        assert order[-1] == "batch"


def test_the_part_goes_to_the_last_band_that_waits() -> None:
    line = Line()
    for _ in range(200):
        line.add(visit("customer"))
    line.add(visit("flex", FLEX))
    line.add(visit("batch", BATCH))
    order = names(line, 200)
    assert order.index("batch") < order.index("flex")


def test_who_wrote_less_than_was_thought_is_served_sooner_while_it_waits() -> None:
    line = Line()
    first = {name: visit(name, tokens=100) for name in "ab"}
    for name in "ab":
        line.add(first[name])
    for _ in range(2):
        serve(line)
    for _ in range(3):
        line.add(visit("a", tokens=50))
        line.add(visit("b", tokens=50))
    line.correct(first["b"], 0)
    assert names(line, 3) == ["b", "b", "a"]
    line.correct(first["a"], 0)
    assert names(line, 2) == ["a", "b"]


def test_a_longer_call_weighs_more_than_a_shorter_one() -> None:
    line = Line()
    for _ in range(40):
        line.add(visit("short", tokens=10))
    for _ in range(10):
        line.add(visit("long", tokens=40))
    assert Counter(names(line, 25))["short"] == 20


def test_a_new_tenant_starts_where_the_others_are() -> None:
    line = Line()
    for _ in range(100):
        line.add(visit("old"))
    names(line, 50)
    for _ in range(50):
        line.add(visit("new"))
    assert Counter(names(line, 20)) == {"old": 10, "new": 10}


def test_who_gives_up_pays_nothing() -> None:
    line = Line()
    dropped = [visit("shy", tokens=LONGEST) for _ in range(20)]
    for each in dropped:
        line.add(each)
    line.add(visit("other"))
    line.add(visit("other"))
    for each in dropped:
        line.drop(each)
        assert not each.waits
        assert not each.charged
    line.add(visit("shy"))
    assert Counter(names(line, 2)) == {"other": 1, "shy": 1}


def test_a_promised_call_that_gives_up_leaves_the_order_of_the_others() -> None:
    line = Line()
    plain, *promised = (visit("a") for _ in range(4))
    for each in promised:
        each.promised = True
    for each in (plain, *promised):
        line.add(each)
    line.drop(promised[1])
    late = visit("a")
    late.promised = True
    line.add(late)
    assert [serve(line) for _ in range(4)] == [promised[0], promised[2], late, plain]


def test_too_much_is_shed_from_below_first_and_from_the_end_of_who_has_most() -> None:
    line = Line()
    many = [visit("many", tokens=10) for _ in range(3)]
    one = visit("one", tokens=LONGEST)
    below = visit("below", BATCH, tokens=1)
    for each in (*many, one, below):
        line.add(each)
    shed: list[Visit] = []
    while (heaviest := line.heaviest(STANDARD)) is not None:
        line.drop(heaviest)
        shed.append(heaviest)
    assert shed == [below, one, *reversed(many)]
    assert line.count == 0
