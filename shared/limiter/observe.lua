-- Lowers levels to what the provider says is left; it never raises one.
-- Own arguments: for each bucket the highest level that the provider's words allow, or ''.
-- Returns {1} when something was lowered.
local lowered = false
read_lane()
for index, bucket in ipairs(lane.buckets) do
  local highest = tonumber(ARGV[own + index - 1])
  if highest and highest < bucket.level then
    bucket.level, bucket.carry, lowered = highest, 0, true
  end
end
if lowered then save_lane() end
return {lowered and 1 or 0}
