-- The HTTP side of the offline server: which path leads where, how a body is read, and
-- how an answer goes out, as a whole or word by word, while others are served.
--
-- A dialect is a table: `prefix` of the ids of its answers, `request_id` the header that
-- names a request, `named` whether its events have a line `event:`, and the functions
--   read(body, kept, counted)             the common form of mind.lua, or nil, refusal;
--                                         `counted`: only its words are wanted
--   whole(request, answer, made)          the answer as a table
--   events(request, answer, made, put)    the same by `put(event, is_word)`
--   encode(value), refused(why, id)       texts;  admit(head)  a refusal, if it has any
-- and `counts`, the name of the object that says how many words a request has.
-- `made` is what an answer has of its own: id, time, model, new_id(prefix), next_number(),
-- keep(id, entry).
--
-- It knows lua-http, and nothing of what is said.

local chat = require "chatbot.offline.chat"
local json = require "chatbot.offline.json"
local kept = require "chatbot.offline.kept"
local messages = require "chatbot.offline.messages"
local mind = require "chatbot.offline.mind"
local refusal = require "chatbot.offline.refusal"
local responses = require "chatbot.offline.responses"

local M = {}

local MAX_BODY = 8 * 1024 * 1024
-- A body that is too long is still read up to here before the 413: a client
-- that is cut off in the middle of sending never sees the answer.
local MAX_DISCARD = 4 * MAX_BODY
local READ_TIMEOUT = 30
M.READ_TIMEOUT = READ_TIMEOUT

local KEPT_MAX, KEPT_BYTES_MAX = 256, 64 * 1024 * 1024

-- A request and its answer: {server, stream, head, method, path, dialect, id}.
local Exchange = {}
Exchange.__index = Exchange

-- What goes out --------------------------------------------------------------

function Exchange:_head(status, kind)
  local head = self.server.headers.new()
  head:append(":status", tostring(status))
  head:append("content-type", kind .. "; charset=utf-8")
  head:append(self.dialect.request_id, self.id)
  return head
end

function Exchange:_write(status, text, more)
  local head, no_body = self:_head(status, "application/json"), self.method == "HEAD"
  head:append("content-length", tostring(#text))
  for name, value in pairs(more or {}) do
    head:append(name, value)
  end
  if self.stream:write_headers(head, no_body, READ_TIMEOUT) and not no_body then
    self.stream:write_chunk(text, true, READ_TIMEOUT)
  end
end

function Exchange:_reply(value)
  self:_write(200, self.dialect.encode(value))
end

function Exchange:_refuse(why, more)
  self:_write(why.status, self.dialect.refused(why, self.id), more)
end

-- Writes the events as they are made, each word after a while. A client that has hung up
-- ends it.
function Exchange:_stream(request, answer, made)
  local dialect, delay = self.dialect, self.server.delay
  local head = self:_head(200, "text/event-stream")
  head:append("cache-control", "no-cache")
  if not self.stream:write_headers(head, false, READ_TIMEOUT) then
    return
  end
  local next_event = coroutine.wrap(function()
    dialect.events(request, answer, made, coroutine.yield)
    return nil
  end)
  for event, is_word in next_event do
    if is_word and delay > 0 then
      self.server.sleep(delay)
    end
    local name = dialect.named and ("event: %s\n"):format(event.type) or ""
    local data = type(event) == "string" and event or dialect.encode(event)
    if not self.stream:write_chunk(name .. "data: " .. data .. "\n\n", false, READ_TIMEOUT) then
      return
    end
  end
  self.stream:write_chunk("", true, READ_TIMEOUT)
end

-- What comes in --------------------------------------------------------------

-- Returns the body, or nil and a refusal (or nil alone: the client is gone).
local function read_body(stream, head)
  local announced = tonumber(head:get("content-length") or "")
  if (not announced or announced <= MAX_BODY) and head:get("expect") == "100-continue" then
    stream:write_continue(READ_TIMEOUT)
  end
  local parts, size = {}, 0
  local too_long = refusal.new(413, ("The body is longer than %d bytes."):format(MAX_BODY))
  if announced and announced > MAX_DISCARD then
    return nil, too_long
  end
  while true do
    local chunk, err = stream:get_next_chunk(READ_TIMEOUT)
    if not chunk then
      if err then
        return nil
      end
      break
    end
    size = size + #chunk
    if size > MAX_BODY then
      parts = {}
      if size > MAX_DISCARD then
        break
      end
    else
      parts[#parts + 1] = chunk
    end
  end
  if size > MAX_BODY then
    return nil, too_long
  end
  return table.concat(parts)
end

-- The request in the common form and the length of its body; nothing when it is refused,
-- which has been said then, or when the client is gone. `counted`: see `_count`.
function Exchange:_read(counted)
  local dialect = self.dialect
  local text, why = read_body(self.stream, self.head)
  if not text then
    if why then
      self:_refuse(why, { connection = "close" })
    end
    return nil
  end
  why = dialect.admit and dialect.admit(self.head)
  local body, request, problem
  if not why then
    body, problem = json.decode(text)
    why = problem and refusal.new(400, "The body is not valid JSON: " .. problem)
  end
  if not why then
    request, why = dialect.read(body, self.server.kept, counted)
  end
  if why then
    self:_refuse(why)
    return nil
  end
  return request, #text
end

-- Handlers -------------------------------------------------------------------

function Exchange:_answer()
  local server, dialect = self.server, self.dialect
  local request, size = self:_read()
  if not request then
    return
  end
  local made = { id = server:new_id(dialect.prefix), time = os.time(), model = server.model }
  function made.new_id(prefix)
    return server:new_id(prefix)
  end
  function made.next_number()
    return server:next_number()
  end
  function made.keep(id, entry)
    entry.bytes = size
    server.kept:put(id, entry)
  end
  local answer = mind.answer(request)
  if request.stream then
    return self:_stream(request, answer, made)
  end
  self:_reply(dialect.whole(request, answer, made))
end

-- How many tokens a request has.
function Exchange:_count()
  local request = self:_read(true)
  if request then
    self:_reply { object = self.dialect.counts, input_tokens = mind.size(request) }
  end
end

function Exchange:_models()
  local model = self.server.model
  if self.head:get("anthropic-version") then
    return self:_reply { first_id = model, last_id = model, has_more = false,
      data = json.list { { type = "model", id = model, display_name = "ELIZA",
        created_at = "1966-01-01T00:00:00Z" } } }
  end
  self:_reply { object = "list", data = json.list { {
    id = model, object = "model", created = 0, owned_by = "chatbot" } } }
end

-- A response that is kept: shown, or thrown away.
function Exchange:_kept()
  local kept_ones, id = self.server.kept, self.path:match("[^/]*$")
  local entry = kept_ones:get(id)
  if not entry then
    return self:_refuse(refusal.new(404, ("Response with id '%s' not found."):format(id)))
  end
  if self.method ~= "DELETE" then
    return self:_reply(entry.response)
  end
  kept_ones:remove(id)
  self:_reply { id = id, object = "response", deleted = true }
end

-- Routes ---------------------------------------------------------------------

-- By path: the dialect, and what is done for each method.
local ROUTES = {
  ["/v1/models"] = { chat, GET = Exchange._models, HEAD = Exchange._models },
  ["/v1/chat/completions"] = { chat, POST = Exchange._answer },
  ["/v1/responses"] = { responses, POST = Exchange._answer },
  ["/v1/responses/input_tokens"] = { responses, POST = Exchange._count },
  ["/v1/messages"] = { messages, POST = Exchange._answer },
  ["/v1/messages/count_tokens"] = { messages, POST = Exchange._count },
}
local KEPT_ROUTE = { responses, GET = Exchange._kept, HEAD = Exchange._kept,
  DELETE = Exchange._kept }
local NO_ROUTE, NO_MESSAGES_ROUTE = { chat }, { messages }

local function route_of(path)
  return ROUTES[path] or path:find("^/v1/responses/[^/]+$") and KEPT_ROUTE
    or path:find("^/v1/messages/") and NO_MESSAGES_ROUTE or NO_ROUTE
end

local function allowed(route)
  local methods = {}
  for name in pairs(route) do
    if type(name) == "string" then
      methods[#methods + 1] = name
    end
  end
  table.sort(methods)
  return methods[1] and table.concat(methods, ", ")
end

function Exchange:run()
  local route = route_of(self.path)
  self.dialect = route[1]
  local methods = allowed(route)
  if not methods then
    return self:_refuse(refusal.new(404, ("Unknown path: %s %s"):format(self.method, self.path)))
  elseif not route[self.method] then
    return self:_refuse(refusal.new(405, ("%s does not take %s."):format(self.path, self.method)),
      { allow = methods })
  end
  route[self.method](self)
end

-- The server -----------------------------------------------------------------

local Server = {}
Server.__index = Server

function Server:next_number()
  self._number = self._number + 1
  return self._number
end

-- Ids are not there twice, nor in a conversation that has been saved and goes on with
-- another process.
function Server:new_id(prefix)
  return ("%seliza%s%06x"):format(prefix, self._tag, self:next_number())
end

---What lua-http's server calls for each request.
---@param model string its name
---@param delay number before each word of a stream, in seconds
---@return fun(server: any, stream: any)
function M.handler(model, delay)
  local server = setmetatable({
    model = model, delay = delay,
    kept = kept.new(KEPT_MAX, KEPT_BYTES_MAX), headers = require "http.headers",
    sleep = require("cqueues").sleep, _number = 0,
    _tag = ("%x%s"):format(os.time(), tostring({}):match("(%x+)$") or ""),
  }, Server)
  return function(_, stream)
    local head = stream:get_headers(READ_TIMEOUT)
    if head then
      setmetatable({ server = server, stream = stream, head = head, id = server:new_id "req_",
        method = head:get(":method"), path = (head:get(":path") or ""):match("^[^?#]*") },
        Exchange):run()
    end
  end
end

return M
