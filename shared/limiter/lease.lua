-- Renews leases (`GT`: only later, added if it had run out) or restores them (`NX`: only absent).
-- KEYS[3..] the operations' records. Own arguments: GT or NX, lease in µs, record's life in ms, '1'
-- when with these the lane is rebuilt, then the operations, one for each key.
-- Returns {how many are leased now}.
local mode, lease_us, record_ms = ARGV[own], tonumber(ARGV[own + 1]), ARGV[own + 2]
local leased = 0
read_lane()
for index = 3, #KEYS do
  local state = read_record(redis.call('GET', KEYS[index]))
  if state ~= 'settled' then
    redis.call('ZADD', LEASES, mode, lane.now + lease_us, ARGV[own + index + 1])
    redis.call('PEXPIRE', KEYS[index], record_ms)
    leased = leased + 1
  end
end
redis.call('EXPIRE', LEASES, KEEP_S)
if ARGV[own + 3] == '1' then
  redis.call('HSET', LANE, 'whole', 1)
  redis.call('EXPIRE', LANE, KEEP_S)
end
return {leased}
