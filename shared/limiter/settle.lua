-- Ends an operation, once: frees its slot, corrects its reservation, learns from its outcome.
-- KEYS[3] the operation. Own arguments: operation, `exact`, `unknown` or `release`, the actual
-- requests, input and output tokens, the outcome, and how long to remember it in ms.
-- Returns {1}, or {0} when it was settled before or its record was lost.
local FEWEST_JUDGED = 24   -- of fewer calls a rate says little
local operation, how, outcome, record_ms = ARGV[own], ARGV[own + 1], ARGV[own + 5], ARGV[own + 6]
local requests, input, output =
  tonumber(ARGV[own + 2]), tonumber(ARGV[own + 3]), tonumber(ARGV[own + 4])

redis.call('ZREM', LEASES, operation)
local state, started, r, i, o = read_record(redis.call('GET', KEYS[3]))
if state ~= 'open' then return {0} end
read_lane()

-- A refund, or a debt when the call took more than it had reserved. Unknown use stays spent.
if how ~= 'unknown' then
  for _, bucket in ipairs(lane.buckets) do
    bucket.level = bucket.level
      + amount(bucket.unit, r, i, o) - amount(bucket.unit, requests, input, output)
    cap(bucket)
  end
end

local function cut(hundredths)
  lane.limit = math.max(1, math.floor(limit() * hundredths / 100))
  lane.cut, lane.successes, lane.judged, lane.strained = lane.now, 0, 0, 0
end

-- A provider that fails now and then is not asked too much. One that fails a third of the calls of a
-- round trip is: the limit falls to the share that went well, at least to 0.7 and at most by half.
local function judge(strain)
  lane.judged, lane.strained = lane.judged + 1, lane.strained + strain
  -- A failure comes sooner than an answer: of a burst, the first to end are the worst.
  if lane.judged < math.max(FEWEST_JUDGED, 2 * in_flight()) then return end
  local judged, strained = lane.judged, lane.strained
  lane.judged, lane.strained = 0, 0
  if strained * 3 >= judged then
    cut(math.max(50, math.min(70, math.floor((judged - strained) * 100 / judged))))
  end
end

-- Calls that started before the last cut say nothing of the limit that it set.
if how ~= 'release' and started > lane.cut then
  if outcome == 'overloaded' then
    cut(70)
  elseif outcome == 'strained' then
    judge(1)
  elseif outcome == 'ok' then
    if lane.limit then
      lane.successes = lane.successes + 1
      if lane.successes >= limit() then
        lane.limit, lane.successes = limit() + 1, 0
      end
    end
    judge(0)
  end
end
if lane.limit and lane.limit >= lane.ceiling then lane.limit, lane.successes = nil, 0 end

-- Only the probe's success opens a paused lane; without it, the next call becomes the probe.
if lane.probe == operation then
  lane.probe = ''
  if outcome == 'ok' and how ~= 'release' and lane.pause and lane.now >= lane.pause then
    lane.pause = nil
  end
end

if how == 'release' then
  redis.call('DEL', KEYS[3])   -- it never happened: the same operation may be tried again, and pays
else
  write_record(KEYS[3], record_ms, 'settled', started, r, i, o)
end
save_lane()
return {1}
