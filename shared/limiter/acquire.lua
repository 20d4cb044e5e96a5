-- Reserves everything that a call needs, or nothing.
-- KEYS[3] the operation. Own arguments: operation, lease in µs, record's life in ms, then the
-- estimate: requests, input tokens, output tokens; '1' to refuse a lane that was not rebuilt; how
-- many thousandths of everything are kept for others.
-- Returns {3} not rebuilt, {1} admitted, {2, requests, input, output} admitted before, {0, retry_at in ms, why, ms from now}.
local operation, lease_us, record_ms = ARGV[own], tonumber(ARGV[own + 1]), ARGV[own + 2]
local requests, input, output =
  tonumber(ARGV[own + 3]), tonumber(ARGV[own + 4]), tonumber(ARGV[own + 5])
local kept = tonumber(ARGV[own + 7])

local function deny(retry_at, why)
  return {0, math.ceil((retry_at - lane.offset) / 1000), why, math.ceil((retry_at - lane.now) / 1000)}
end

local function shortage()
  local retry_at, why = 0, 0
  local most = limit()
  most = most - math.floor(most * kept / 1000)
  if in_flight() >= most then retry_at, why = lane.now + POLL, CROWDED end
  for index, bucket in ipairs(lane.buckets) do
    local need = amount(bucket.unit, requests, input, output)
    -- What needs nearly all of a bucket could never leave a reserve in it.
    local reserve = math.min(math.floor(bucket.capacity / 1000) * kept, bucket.capacity - need)
    local short = need + math.max(0, reserve) - bucket.level
    if short > 0 then
      local at = lane.now + math.ceil((short * MICRO - bucket.carry) / bucket.rate)
      if at > retry_at then retry_at, why = at, index end
    end
  end
  return retry_at, why
end

read_lane()

-- Asked again, because the first answer was lost: the same reservation, nothing charged.
local state, _, r, i, o = read_record(redis.call('GET', KEYS[3]))
if state then
  if state == 'open' then
    redis.call('ZADD', LEASES, 'GT', lane.now + lease_us, operation)
    redis.call('EXPIRE', LEASES, KEEP_S)
    redis.call('PEXPIRE', KEYS[3], record_ms)
  end
  return {2, r, i, o}
end

-- Redis lost its data, or never had any: calls may be under way that it does not know.
if ARGV[own + 6] == '1' and redis.call('HEXISTS', LANE, 'whole') == 0 then return {3} end

if lane.pause then
  if lane.now < lane.pause then return deny(lane.pause, PAUSED) end
  if probe_is_out() then return deny(lane.now + POLL, PAUSED) end
end
local retry_at, why = shortage()
if why ~= 0 then return deny(retry_at, why) end

for _, bucket in ipairs(lane.buckets) do
  bucket.level = bucket.level - amount(bucket.unit, requests, input, output)
end
if lane.pause then lane.probe = operation end
redis.call('ZREMRANGEBYSCORE', LEASES, '-inf', lane.now)
redis.call('ZADD', LEASES, lane.now + lease_us, operation)
redis.call('EXPIRE', LEASES, KEEP_S)
write_record(KEYS[3], record_ms, 'open', lane.now, requests, input, output)
save_lane()
return {1}
