-- The breaker of one deployment: counts calls in a sliding window, opens, lets one probe through.
--
-- KEYS[1] every breaker that is not closed (a hash: name, state), KEYS[2] this one's window (a hash:
-- a slice's begin in ms and kind, calls). ARGV[1] a test's clock in ms or '', ARGV[2] the verb, ARGV[3] the name, then
-- the policy: window in ms, fewest calls, failures of a thousand, cool-down and longest one in ms, then
-- a thousandth of chance, and what the verb takes. Times are milliseconds by Redis's clock.
--
-- Returns {state, ms until a probe may go, trips, 1 when this call changed the state}, where the state
-- is 0 closed, 1 open, 2 a probe may go, 3 one is out, and 4 the asker holds the probe.
local STATES, WINDOW = KEYS[1], KEYS[2]
local verb, name = ARGV[2], ARGV[3]
local window_ms, fewest, rate = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local cooldown_ms, longest_ms = tonumber(ARGV[7]), tonumber(ARGV[8])
local chance = tonumber(ARGV[9])
local SLICES = 10
local KEEP_S = 86400   -- one that nobody asks for so long begins anew, closed

local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read()
  local text = redis.call('HGET', STATES, name)
  local trips, pause, at, probe_at, holder =
    string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%S*)$')
  if not trips then return nil end
  local breaker = {
    trips = tonumber(trips), pause = tonumber(pause), at = tonumber(at),
    probe_at = tonumber(probe_at), holder = holder,
  }
  -- A clock that was set back must not keep it open.
  if breaker.at > now + breaker.pause then breaker.at = now end
  return breaker
end

local function write(breaker)
  local text = string.format(
    '%d %.0f %.0f %.0f %s', breaker.trips, breaker.pause, breaker.at, breaker.probe_at,
    breaker.holder
  )
  redis.call('HSET', STATES, name, text)
  redis.call('EXPIRE', STATES, KEEP_S)
end

-- Each trip in a row doubles the cool-down; up to a fifth is added, so that not all probe together.
local function trip(trips)
  local pause = math.min(longest_ms, cooldown_ms * 2 ^ math.min(trips - 1, 20))
  pause = math.floor(pause * (1 + chance / 5000))
  write({trips = trips, pause = pause, at = now + pause, probe_at = 0, holder = ''})
  redis.call('DEL', WINDOW)
end

local function told(changed)
  local breaker = read()
  if not breaker then return {0, 0, 0, changed} end
  if now < breaker.at then return {1, breaker.at - now, breaker.trips, changed} end
  if breaker.holder ~= '' and now < breaker.probe_at then
    return {3, breaker.probe_at - now, breaker.trips, changed}
  end
  return {2, 0, breaker.trips, changed}
end

-- Adds calls to the window and returns how many it holds, good and bad. Several routes may lead to one
-- deployment with windows of their own: each counts what all report, and drops nothing of a longer one.
local function counted(good, bad)
  local slice_ms = math.ceil(window_ms / SLICES)
  local slice = now - now % slice_ms
  if good > 0 then redis.call('HINCRBY', WINDOW, slice .. ':good', good) end
  if bad > 0 then redis.call('HINCRBY', WINDOW, slice .. ':bad', bad) end
  local kept_ms = math.max(2 * window_ms, redis.call('PTTL', WINDOW))
  redis.call('PEXPIRE', WINDOW, kept_ms)
  local sums = {good = 0, bad = 0}
  local fields = redis.call('HGETALL', WINDOW)
  for index = 1, #fields, 2 do
    local text, kind = string.match(fields[index], '^(%d+):(%a+)$')
    local at = tonumber(text)
    if at <= now - kept_ms or at > now then
      redis.call('HDEL', WINDOW, fields[index])
    elseif at > now - window_ms then
      sums[kind] = sums[kind] + tonumber(fields[index + 1])
    end
  end
  return sums.good, sums.bad
end

-- Own arguments: calls that went well, and calls that failed. What began before it opened is not asked.
if verb == 'report' then
  if read() then return told(0) end
  local good, bad = counted(tonumber(ARGV[10]), tonumber(ARGV[11]))
  if tonumber(ARGV[11]) > 0 and good + bad >= fewest and bad * 1000 >= rate * (good + bad) then
    trip(1)
    return told(1)
  end
  return told(0)
end

if verb == 'trip' then
  if read() then return told(0) end
  trip(1)
  return told(1)
end

-- Own arguments: who asks, and the lease of a probe in ms. Asked again by its holder it is renewed.
if verb == 'probe' then
  local holder, lease_ms = ARGV[10], tonumber(ARGV[11])
  local breaker = read()
  if not breaker then return told(0) end
  local out = breaker.holder ~= '' and now < breaker.probe_at
  if now < breaker.at or (out and breaker.holder ~= holder) then return told(0) end
  breaker.holder, breaker.probe_at = holder, now + lease_ms
  write(breaker)
  return {4, lease_ms, breaker.trips, 0}
end

-- Own arguments: whose probe ended, and how: `good` closes, `bad` opens for longer, else another may go.
if verb == 'probed' then
  local breaker = read()
  if not breaker or breaker.holder ~= ARGV[10] then return told(0) end
  if ARGV[11] == 'good' then
    redis.call('HDEL', STATES, name)
    redis.call('DEL', WINDOW)
    return told(1)
  end
  if ARGV[11] == 'bad' then
    trip(breaker.trips + 1)
    return told(1)
  end
  breaker.holder, breaker.probe_at = '', 0
  write(breaker)
  return told(0)
end

return told(0)
