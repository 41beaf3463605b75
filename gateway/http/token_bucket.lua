-- One bucket per key: `burst` tokens at most, refilled at `rate` per second by Redis' own clock.
-- A caller may take several at once to spend later: never more than an eighth of what is there, so that other
-- processes find theirs. Returns tokens taken (0: refused), tokens left, and milliseconds until the next token.
local rate = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local wanted = tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(kept[1]) or burst
local at = tonumber(kept[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
local taken = 0
if tokens >= 1 then
    taken = math.max(1, math.min(wanted, math.floor(tokens / 8)))
    tokens = tokens - taken
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
local wait = 0
if tokens < 1 then
    wait = math.ceil((1 - tokens) * 1000 / rate)
end
return {taken, math.floor(tokens), wait}
