-- Tells what a lane has room for now. It reserves nothing; it only opens the books of a lane that
-- Redis does not know yet.
-- Returns {calls under way, calls allowed, 0 open, 1 paused, 2 a probe may go or 3 one is out,
-- ms until the pause ends, then the level of each bucket in whole units}.
read_lane()
local state, left = 0, 0
if lane.pause then
  left = math.max(0, math.ceil((lane.pause - lane.now) / 1000))
  if left > 0 then state = 1 elseif probe_is_out() then state = 3 else state = 2 end
end
local told = {in_flight(), limit(), state, left}
for _, bucket in ipairs(lane.buckets) do
  told[#told + 1] = math.floor(bucket.level / MICRO)
end
return told
