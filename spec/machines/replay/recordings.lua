--- Recorded exchanges on disk, and their bytes as scripts of the scripted server.
--
-- A recording NAME is NAME.req.json (the body of the request; may be missing), NAME.sse or
-- NAME.json (that of the answer) and NAME.meta.json: {provider, model, status, and for the
-- turns of one conversation `conversation` and `turn`}.

local decode = require "spec.support.decode"
local support = require "spec.support"

local recordings = {}

recordings.dialects = { "chat", "responses", "messages" }

local function read_json(path)
  local text = support.read_file(path)
  if not text then return nil end
  local value, problem = decode.json(text)
  if problem then error(path .. ": " .. problem, 0) end
  return value
end

local function load(dir, dialect, pattern, list)
  local pipe = assert(io.popen("ls " .. support.quote(dir) .. " 2>/dev/null"))
  for file in pipe:lines() do
    local name = file:match("^(.*)%.meta%.json$")
    if name and (not pattern or (dialect .. "/" .. name):find(pattern)) then
      local path = dir .. "/" .. name
      local one = read_json(path .. ".meta.json")
      one.name, one.dialect = dialect .. "/" .. name, dialect
      one.request = read_json(path .. ".req.json")
      one.request_bytes = support.read_file(path .. ".req.json")
      one.stream_bytes = support.read_file(path .. ".sse")
      one.bytes = one.stream_bytes or support.read_file(path .. ".json")
      if one.bytes then list[#list + 1] = one end
    end
  end
  pipe:close()
end

--- The recordings below a folder: of chat/, responses/ and messages/, and those of chat
-- completions that lie in it directly. With `pattern` those whose names it fits.
function recordings.load(dir, pattern)
  local list = {}
  load(dir, "chat", pattern, list)
  for _, dialect in ipairs(recordings.dialects) do
    load(dir .. "/" .. dialect, dialect, pattern, list)
  end
  return list
end

--- The conversations: lists of recordings in the order of their turns.
function recordings.conversations(list)
  local order, known = {}, {}
  for _, one in ipairs(list) do
    local key = one.conversation and one.dialect .. one.conversation
    if key then
      if not known[key] then
        known[key] = {}
        order[#order + 1] = known[key]
      end
      table.insert(known[key], one)
    end
  end
  for _, turns in ipairs(order) do
    table.sort(turns, function(a, b) return a.turn < b.turn end)
  end
  return order
end

--- How the bytes are cut into writes.
recordings.cuts = {
  { "whole", function(bytes) return { bytes } end },
  { "event by event", function(bytes)
    local pieces, at = {}, 1
    while at <= #bytes do
      local _, stop = bytes:find("\r?\n\r?\n", at)
      pieces[#pieces + 1] = bytes:sub(at, stop or #bytes)
      at = (stop or #bytes) + 1
    end
    return pieces
  end },
  { "at random", function(bytes)
    local pieces, at = {}, 1
    while at <= #bytes do
      local n = math.random(1, math.random() < 0.2 and 5 or math.max(math.floor(#bytes / 20), 1))
      pieces[#pieces + 1] = bytes:sub(at, at + n - 1)
      at = at + n
    end
    return pieces
  end },
}

--- The script that answers with a recording, in these pieces.
function recordings.script(one, pieces)
  local type = one.stream_bytes and "text/event-stream" or "application/json"
  local list = support.array {}
  for i, piece in ipairs(pieces or { one.bytes }) do list[i] = { send = piece } end
  return support.http(one.status, { ["Content-Type"] = type }, list, { framing = "close" })
end

return recordings
