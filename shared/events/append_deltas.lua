-- Appends entries to the streams of their jobs, and tells who listens.
-- KEYS: a stream for each entry. ARGV: how many entries a stream keeps at most, how long it is
-- kept in ms, then for each entry its id, whether it is the last (`1` or `0`) with names of what
-- was dropped behind it, and its chunks.
-- Returns how many were refused because the stream is past them: a late writer, or a repetition.
-- A key that is no stream holds up nobody else either.
local most, keep_ms = ARGV[1], ARGV[2]
local refused = 0
for i, stream in ipairs(KEYS) do
  local id, last, chunks = ARGV[3 * i], ARGV[3 * i + 1], ARGV[3 * i + 2]
  local added = redis.pcall('XADD', stream, 'MAXLEN', '~', most, id, 'l', last, 'c', chunks)
  if type(added) == 'table' and added.err then
    local past = string.find(added.err, 'equal or smaller', 1, true)
    if not past and not string.find(added.err, 'WRONGTYPE', 1, true) then return added end
    refused = refused + 1
  else
    redis.call('PEXPIRE', stream, keep_ms)
    redis.call('PUBLISH', stream, id .. ' ' .. last .. ' ' .. chunks)
  end
end
return refused
