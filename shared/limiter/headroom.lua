-- Counts the calls that could start within a horizon, by requests and free slots. It reserves
-- nothing; it only opens the books of a lane that Redis does not know yet.
-- Own argument: the horizon in µs. Returns {calls}.
local horizon = tonumber(ARGV[own])
read_lane()
local calls = limit() - in_flight()
if lane.pause then
  if lane.pause > lane.now + horizon or probe_is_out() then return {0} end
  calls = math.min(calls, 1)
end
for _, bucket in ipairs(lane.buckets) do
  refill(bucket, horizon)
  if bucket.unit == 'requests' then
    calls = math.min(calls, math.floor(bucket.level / MICRO))
  elseif bucket.level <= 0 then
    calls = 0
  end
end
return {math.max(0, calls)}
