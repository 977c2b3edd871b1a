-- What the Redis broker does in one act. KEYS: the shard's life, and a topic's head, log and (if any) id.
-- ARGV: what is to be done, and the run id of the server that the caller believes to speak with.
--
-- life   run         the server process whose data this is known to be; another one's is in doubt until it is greeted
--        generation  the name of a past nobody doubts; when it changes, so does the epoch of every log
--        total       publications in all logs of this shard, ever
--        taken       what `total` was when this server was first greeted
--        born        the server in whose run the generation was named
-- head   epoch, offset, time of the newest entry; count, age: what its Keep asked for; swept: when that was enforced
-- log    a stream. An entry's id is its offset and its time: XRANGE by offset costs no search, and no index.

local call = redis.call
local act, run = ARGV[1], ARGV[2]
local life, head, log, id = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local SWEEP = 1000           -- milliseconds from one enforcement of a log's age to the next
local WINDOW = 600000        -- milliseconds for which an id is known: hubbub.history.WINDOW

local function now(least)    -- a clock that is set back makes nothing younger
    local time = call('TIME')
    return math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(least or 0))
end

-- Say which past this server has, for one who has seen `total` publications of `generation` in the run `seen`.
local function greet(seen, generation, total, fresh)
    local of = call('HMGET', life, 'run', 'generation', 'total', 'taken', 'born')
    if not of[1] then
        call('HSET', life, 'run', run, 'born', run, 'generation', fresh, 'total', 0, 'taken', 0)
        return {fresh, 0, run}
    end
    local has, taken = tonumber(of[3]), tonumber(of[4])
    local doubt
    if of[1] ~= run then     -- nobody has met this server since it started, or since it was promoted
        taken = has
        call('HSET', life, 'run', run, 'taken', has)
        doubt = generation ~= of[2] or total > has
    elseif generation == of[2] then
        doubt = total > (seen == run and has or taken)
    else
        doubt = generation ~= '' and of[5] ~= run
    end
    if doubt then
        call('HSET', life, 'generation', fresh, 'born', run)
        return {fresh, has, run}
    end
    return {of[2], has, run}
end

if act == 'greet' then return greet(ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]) end

if act == 'pass' then        -- channel, message: not kept, but once
    if call('SET', id, '', 'NX', 'PX', WINDOW) then call('PUBLISH', ARGV[3], ARGV[4]) end
    return 1
end

local lived, generation = unpack(call('HMGET', life, 'run', 'generation'))
if lived ~= run then return redis.error_reply('LIFE this server was not greeted') end

local function open(fresh)   -- the topic's head, or nil
    local of = call('HMGET', head, 'epoch', 'offset', 'generation', 'time', 'count', 'age', 'swept')
    if not of[1] then return nil end
    if of[3] ~= generation then
        call('HSET', head, 'epoch', fresh, 'generation', generation)
        of[1] = fresh
    end
    return {epoch = of[1], offset = tonumber(of[2]), time = of[4], count = of[5], age = of[6], swept = of[7]}
end

local function begin(fresh)
    call('DEL', log)
    call('HSET', head, 'epoch', fresh, 'offset', 0, 'generation', generation)
    return {epoch = fresh, offset = 0}
end

local function from(offset)  -- the first entry at or after this offset: its offset and its time
    local entry = call('XRANGE', log, offset, '+', 'COUNT', 1)[1]
    if entry then
        local found, time = string.match(entry[1], '(%d+)-(%d+)')
        return tonumber(found), tonumber(time)
    end
end

local function first(of)     -- the oldest offset that is still shown; one past the newest when none is
    local low, time = from(math.max(of.offset - tonumber(of.count) + 1, 1))
    if not low then return of.offset + 1 end
    local age = tonumber(of.age)
    if age < 0 then return low end
    local cut = now(of.time) - age
    if time >= cut then return low end
    local high = of.offset + 1
    while high - low > 1 do  -- low is too old; high is young enough, or past the end
        local middle = math.floor((low + high) / 2)
        local _, made = from(middle)
        if made and made < cut then low = middle else high = middle end
    end
    return high
end

if act == 'append' then
    local data, count, age, fresh, channel = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
    local known = id and call('GET', id)
    if known then
        local epoch, offset = string.match(known, '(%S+) (%d+)')
        return {epoch, tonumber(offset), 0, run}
    end
    local of = open(fresh) or begin(fresh)
    local offset, time = of.offset + 1, now(of.time)
    call('XADD', log, 'MAXLEN', '~', count, offset .. '-' .. time, 'd', data)
    if of.count ~= count or of.age ~= age or time >= tonumber(of.swept or 0) + SWEEP then
        local kept = {offset = offset, time = time, count = count, age = age}
        call('HSET', head, 'offset', offset, 'time', time, 'count', count, 'age', age, 'swept', time)
        call('XTRIM', log, 'MINID', '~', first(kept))
        if tonumber(age) < 0 then
            call('PERSIST', head)
            call('PERSIST', log)
        else                 -- who saw the last entry has the whole of its age to come back
            local until_ = time + math.max(2 * age, WINDOW) + SWEEP
            call('PEXPIREAT', head, until_)
            call('PEXPIREAT', log, until_)
        end
    else
        call('HSET', head, 'offset', offset, 'time', time)
    end
    if id then call('SET', id, of.epoch .. ' ' .. offset, 'PX', WINDOW) end
    local total = call('HINCRBY', life, 'total', 1)
    call('PUBLISH', channel, '1 ' .. of.epoch .. ' ' .. offset .. ' ' .. total .. ' ' .. run .. '\n' .. data)
    return {of.epoch, offset, total, run}
end

if act == 'look' then        -- where the head is, which lives on while somebody listens; nothing when there is none
    local of = open(ARGV[3])
    if not of then return {} end
    local age = tonumber(of.age or 0)
    if age >= 0 then call('PEXPIRE', head, math.max(2 * age, WINDOW) + SWEEP) end
    return {of.epoch, of.offset}
end

-- 'read': fresh, limit, after's epoch and offset, before's epoch and offset, and how long an epoch is promised.
-- Which entries answer is hubbub.history.span's law.
local fresh, limit = ARGV[3], tonumber(ARGV[4])
local after, before = tonumber(ARGV[6]), tonumber(ARGV[8])
local of = open(fresh) or begin(fresh)
if of.offset == 0 then
    call('PEXPIRE', head, ARGV[9])
    of.count, of.age = 0, -1
end
local oldest = first(of)
local start, stop, complete = 0, 0, 0
if after then
    if ARGV[5] == of.epoch and oldest - 1 <= after and after <= of.offset then
        start, stop = after, math.min(after + limit, of.offset)
        complete = stop == of.offset and 1 or 0
    end
elseif not before or ARGV[7] == of.epoch then
    stop = before and math.max(math.min(before - 1, of.offset), 0) or of.offset
    start = math.min(math.max(stop - limit, oldest - 1), stop)
    complete = start == 0 and 1 or 0
end
local data = {}
if start < stop then
    for place, entry in ipairs(call('XRANGE', log, start + 1, stop)) do data[place] = entry[2][2] end
    if #data ~= stop - start then return {of.epoch, of.offset, 0, 0, {}} end  -- somebody deleted what is not his
end
return {of.epoch, of.offset, start, complete, data}
