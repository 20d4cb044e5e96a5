-- Closes the lane for a while; a longer pause that is already set stays.
-- Own argument: how long, in µs. Returns {1}.
read_lane()
lane.pause = math.max(lane.pause or 0, lane.now + tonumber(ARGV[own]))
save_lane()
return {1}
