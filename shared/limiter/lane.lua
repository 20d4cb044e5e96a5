-- What every script of the limiter shares: each is this text followed by its own.
--
-- KEYS[1] the lane (a hash), KEYS[2] its leases (a sorted set: operation, expiry).
-- ARGV[1] a test's clock or '', ARGV[2] the ceiling of calls at a time, ARGV[3] the number of
-- buckets, then for each of them field, unit, capacity and refill a second.
--
-- Times are microseconds of lane time, amounts are micro-units. Both stay integers below 2^53,
-- where a double is exact: nothing here is ever rounded in favour of the caller.
local LANE, LEASES = KEYS[1], KEYS[2]
local MICRO = 1000000
local STEP_BACK = 10 * MICRO   -- a clock further behind than this has been set, it does not jitter
local POLL = 250000            -- when to ask again for what a settle may free at any time
local KEEP_S = 604800          -- a lane unused for so long is forgotten, and starts empty
local PAUSED, CROWDED = -1, -2 -- why a call is denied when it is no bucket's doing

local lane = {ceiling = tonumber(ARGV[2]), buckets = {}}
local own = 4 + 4 * tonumber(ARGV[3])   -- where the script's own arguments begin

local function wall_clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return time[1] * MICRO + time[2]
end

-- Lane time never runs backwards. It stands still while the clock is a little behind; a clock that
-- was set back for good is followed at a distance, or the lane would be shut until it catches up.
local function set_now(last, offset)
  local wall = wall_clock()
  lane.offset = offset
  lane.now = wall + offset
  if last and lane.now < last then
    if last - lane.now > STEP_BACK then
      lane.offset = last - wall
      lane.changed = true
    end
    lane.now = last
  end
  return lane.now - (last or lane.now)
end

-- The product of microseconds and micro-units overflows a double: multiply in halves, carry the rest.
local function refill(bucket, elapsed)
  local seconds = math.floor(elapsed / MICRO)
  local micros = elapsed - seconds * MICRO
  local whole = math.floor(bucket.rate / MICRO)
  local part = micros * (bucket.rate - whole * MICRO) + bucket.carry
  local gained = math.floor(part / MICRO)
  bucket.carry = part - gained * MICRO
  bucket.level = bucket.level + seconds * bucket.rate + micros * whole + gained
end

local function cap(bucket)
  if bucket.level >= bucket.capacity then
    bucket.level, bucket.carry = bucket.capacity, 0
  end
end

local function save_lane()
  local values = {
    'clock', lane.now, 'offset', lane.offset, 'pause', lane.pause or '', 'probe', lane.probe,
    'limit', lane.limit or '', 'successes', lane.successes, 'cut', lane.cut,
    'judged', lane.judged, 'strained', lane.strained,
  }
  for _, bucket in ipairs(lane.buckets) do
    local n = #values
    values[n + 1], values[n + 2] = bucket.field, bucket.level
    values[n + 3], values[n + 4] = bucket.field .. ':carry', bucket.carry
  end
  redis.call('HSET', LANE, unpack(values))
  redis.call('EXPIRE', LANE, KEEP_S)
end

-- Reads the lane and brings it up to now. A bucket that Redis does not know starts empty: after a
-- loss of data nobody can tell what was spent. That it starts, and that the clock was set back, is
-- saved at once; anything else only by a decision that changes something.
local function read_lane()
  local fields =
    {'clock', 'offset', 'pause', 'probe', 'limit', 'successes', 'cut', 'judged', 'strained'}
  local own_fields = #fields
  for at = 4, own - 1, 4 do
    fields[#fields + 1] = ARGV[at]
    fields[#fields + 1] = ARGV[at] .. ':carry'
  end
  local values = redis.call('HMGET', LANE, unpack(fields))
  local elapsed = set_now(tonumber(values[1] or ''), tonumber(values[2] or '') or 0)
  lane.pause = tonumber(values[3] or '')
  lane.probe = values[4] or ''
  lane.limit = tonumber(values[5] or '')
  lane.successes = tonumber(values[6] or '') or 0
  lane.cut = tonumber(values[7] or '') or 0
  lane.judged = tonumber(values[8] or '') or 0
  lane.strained = tonumber(values[9] or '') or 0
  for at = 4, own - 1, 4 do
    local bucket = {
      field = ARGV[at], unit = ARGV[at + 1],
      capacity = tonumber(ARGV[at + 2]), rate = tonumber(ARGV[at + 3]),
      level = tonumber(values[own_fields + at / 2 - 1] or ''),
      carry = tonumber(values[own_fields + at / 2] or '') or 0,
    }
    if bucket.level then
      refill(bucket, elapsed)
      cap(bucket)
    else
      bucket.level = 0
      lane.changed = true
    end
    lane.buckets[#lane.buckets + 1] = bucket
  end
  if lane.changed then save_lane() end
end

local function amount(unit, requests, input, output)
  if unit == 'requests' then return requests * MICRO end
  if unit == 'input_tokens' then return input * MICRO end
  if unit == 'output_tokens' then return output * MICRO end
  return (input + output) * MICRO
end

local function limit()
  return math.min(lane.limit or lane.ceiling, lane.ceiling)
end

-- Leases that ran out are not counted; only an admission sweeps them away.
local function in_flight()
  return redis.call('ZCOUNT', LEASES, string.format('(%.0f', lane.now), '+inf')
end

local function probe_is_out()
  local expiry = lane.probe ~= '' and redis.call('ZSCORE', LEASES, lane.probe)
  return expiry and tonumber(expiry) > lane.now
end

-- What is kept of an operation: state, start, and the three amounts it was charged.
local function write_record(key, ttl_ms, state, started, requests, input, output)
  local text = string.format('%s %.0f %.0f %.0f %.0f', state, started, requests, input, output)
  redis.call('SET', key, text, 'PX', ttl_ms)
end

local function read_record(text)
  local state, started, requests, input, output =
    string.match(text or '', '^(%a+) (%d+) (%d+) (%d+) (%d+)$')
  return state, tonumber(started), tonumber(requests), tonumber(input), tonumber(output)
end
