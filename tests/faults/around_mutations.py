"""The promises of going round failures, and how each is broken."""

from tests.faults.mutation import Mutation

AROUND_MUTATIONS = (
    Mutation(
        "around: no other deployment is asked",
        "workers/attempt/road.py",
        "return failure.kind is not None and not self.budget.over and bool(self.open)",
        "return False",
        "test_the_primary_is_down_and_every_job_is_answered",
    ),
    Mutation(
        "around: fallbacks cost nothing",
        "workers/attempt/road.py",
        "        self.budget = self.budget.after(calls)\n",
        "        self.budget = self.budget.after(0)\n",
        "test_one_budget_over_retries_and_fallbacks",
    ),
    Mutation(
        "breaker: it never opens",
        "shared/routing/breaker.lua",
        "    trip(1)\n    return told(1)\n  end\n  return told(0)\n",
        "    return told(0)\n  end\n  return told(0)\n",
        "test_it_opens_probes_once_a_cool_down_and_recovers",
    ),
    Mutation(
        "streams: what was told is replaced",
        "workers/attempt/call.py",
        "        unsaid = self._stage.speaker is None\n",
        "        unsaid = True\n",
        "test_what_was_told_is_not_replaced",
    ),
    Mutation(
        "hedges: the slower one is left to run",
        "workers/attempt/race.py",
        "            await self._close(losers, SLOW if late else OUTRUN)\n            self._running = {winner: trial}\n",
        "            await asyncio.wait(losers)\n",
        "test_the_faster_of_two_is_told_and_both_are_on_the_bill",
    ),
    Mutation(
        "breaker: what was known is forgotten while Redis is away",
        "shared/routing/breaker.py",
        "                self._away = True\n",
        "                self._away, self._standings = True, {}\n",
        "test_what_is_known_to_be_down_stays_so_while_redis_is_away",
        "tests/integration/routing",
    ),
    Mutation(
        "webhooks: a turn that ends lets go of what is on its way",
        "workers/delivery/turn.py",
        "            self._over = True\n",
        "",
        "test_what_is_won_as_a_turn_ends_is_sent_once",
        "tests/integration/webhooks",
    ),
)
