"""Fair shares of a lane: weights hold, nobody starves, who has little does not wait for who has much."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from workers.scheduler.shares import Shares, in_order

MINUTE = 60_000


@dataclass(frozen=True)
class Job:
    """A job as far as shares go."""

    name: str
    tokens: int = 100
    priority: int = 2
    created_at: int = 0


def queue(tenant: str, jobs: int, tokens: int = 100) -> list[Job]:
    return [Job(f"{tenant}{nth}", tokens) for nth in range(jobs)]


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def taken(_job: Job) -> bool:
    return True


weights_of_tenants = st.dictionaries(
    st.sampled_from("abcdefgh"), st.integers(1, 10), min_size=2, max_size=8
)
passes = st.lists(st.integers(1, 40), min_size=1, max_size=30)


@given(
    weights_of_tenants, st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 1000)), passes
)
def test_who_always_has_jobs_gets_the_share_of_its_weight(
    weights: dict[str, int], sizes: dict[str, int], widths: list[int]
) -> None:
    shares = Shares()
    had: Counter[str] = Counter()
    sizes = {tenant: sizes.get(tenant, 100) for tenant in weights}
    for width in widths * 20:
        queues = {tenant: queue(tenant, width, sizes[tenant]) for tenant in weights}
        for job in shares.deal(queues, weights, take=taken, most=width):
            had[job.name[0]] += job.tokens

    # No two differ by more than one job each, whatever the sizes of their jobs.
    shared = {tenant: had[tenant] / weight for tenant, weight in weights.items()}
    slack = {tenant: sizes[tenant] / weight for tenant, weight in weights.items()}
    for one, other in permutations(weights, 2):
        assert shared[one] - shared[other] <= slack[one] + slack[other]


@given(weights_of_tenants, passes)
def test_shares_are_within_a_tenth_in_the_long_run(
    weights: dict[str, int], widths: list[int]
) -> None:
    shares = Shares()
    had: Counter[str] = Counter()
    rounds = 1 + 40 * sum(weights.values()) // sum(widths)
    for width in widths * rounds:
        queues = {tenant: queue(tenant, width) for tenant in weights}
        for job in shares.deal(queues, weights, take=taken, most=width):
            had[job.name[0]] += job.tokens

    whole = sum(had.values())
    for tenant, weight in weights.items():
        fair = whole * weight / sum(weights.values())
        assert abs(had[tenant] - fair) <= 0.1 * fair


@given(st.integers(1, 20), st.integers(1, 5000), st.integers(0, 500), passes)
def test_a_single_job_waits_for_one_of_each_other_at_most(
    others: int, tokens: int, before: int, widths: list[int]
) -> None:
    shares = Shares()
    crowd = [f"t{nth:02}" for nth in range(others)]
    for width in widths:
        shares.deal({each: queue(each, width) for each in crowd}, {}, take=taken, most=width)
    shares.deal({each: queue(each, before) for each in crowd}, {}, take=taken, most=before)

    queues = {each: queue(each, others + 1) for each in crowd} | {"new": [Job("new", tokens)]}
    first = shares.order(queues)
    dealt = names(shares.deal(queues, {}, take=taken, most=others + 1))

    assert "new" in first[: others + 1]
    assert "new" in dealt


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"), st.integers(0, 3), st.integers(1, 2000), st.integers(0, 4)
        ),
        max_size=200,
    )
)
def test_nothing_starves_whatever_comes(steps: list[tuple[str, int, int, int]]) -> None:
    shares, waiting = Shares(), defaultdict[str, list[Job]](list)
    came = 0
    for tenant, jobs, tokens, width in steps:
        for _ in range(jobs):
            came += 1
            waiting[tenant].append(Job(f"{came}", tokens))
        for job in shares.deal(waiting, {}, take=taken, most=width):
            next(line for line in waiting.values() if job in line).remove(job)

    rest = sum(map(len, waiting.values()))
    for _ in range(rest):
        (job,) = shares.deal(waiting, {}, take=taken, most=1)
        next(line for line in waiting.values() if job in line).remove(job)
    assert not any(waiting.values())
    assert not shares.deal(waiting, {}, take=taken, most=1)


def test_who_comes_back_has_no_claim_to_what_it_missed() -> None:
    shares = Shares()
    shares.deal({"a": queue("a", 100)}, {}, take=taken, most=100)

    both = {"a": queue("a", 10), "b": queue("b", 10)}
    dealt = names(shares.deal(both, {}, take=taken, most=10))

    assert sum(name.startswith("a") for name in dealt) in (4, 5)


def test_what_finds_no_place_is_passed_over_in_its_order() -> None:
    jobs = {"a": [Job("small-1"), Job("large", 5000), Job("small-2")]}

    dealt = Shares().deal(jobs, {}, take=lambda job: job.tokens < 1000, most=3)

    assert names(dealt) == ["small-1", "small-2"]


def test_ranks_go_first_and_what_is_old_takes_turns() -> None:
    jobs = [
        *(Job(f"fresh-{nth}", created_at=20 * MINUTE) for nth in range(2)),
        *(Job(f"old-{nth}", created_at=nth) for nth in range(3)),
        *(Job(f"standard-{nth}", priority=1, created_at=20 * MINUTE) for nth in range(5)),
        Job("urgent", priority=0, created_at=21 * MINUTE),
    ]

    assert names(in_order(jobs, aged_before=10 * MINUTE)) == [
        "urgent",
        *("standard-0", "old-0", "standard-1", "old-1", "standard-2", "old-2"),
        *("standard-3", "standard-4", "fresh-0", "fresh-1"),
    ]


@given(st.integers(1, 50), st.integers(1, 50))
def test_old_work_goes_on_under_a_flood_of_standard_jobs(flood: int, old: int) -> None:
    jobs = [Job("s", priority=1, created_at=MINUTE) for _ in range(flood)]
    jobs += [Job("o", created_at=0) for _ in range(old)]

    first = in_order(jobs, aged_before=1)[: 2 * min(flood, old)]

    assert names(first).count("o") == min(flood, old)
