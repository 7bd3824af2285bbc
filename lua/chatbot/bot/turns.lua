-- turns.lua - a conversation as it is sent: what the strictest service takes, made of what
-- get_messages() shows.
--
-- Each call has one result, directly behind it; ids are unique, and of the form that the
-- service wants; arguments are objects, names are names; nothing is empty. What one provider
-- adds for itself goes back to it and to nobody else. The conversation is not changed: what
-- differs is a copy. A conversation of texts alone does not come here (see launch.c).
--
-- Tables of the user's are read raw: no metamethod runs while a request is made.

local core = require "chatbot.core"
local dialects = require "chatbot.dialect.dialects"

local M = {}

local SHORT = "^" .. ("%w"):rep(9) .. "$" -- Mistral
local NAME_MAX = 64

-- Fields of messages that are ours or one provider's, and are written anew.
local OURS = { refusal = true, provider = true, native = true,
  reasoning = true, reasoning_content = true,
  reasoning_details = true, extra_content = true, tool_calls = true }

local len = rawget(_G, "rawlen") or function(list) return #list end

-- Whether an answer says something: a text, or a part that is no empty text.
local function has_text(content)
  if type(content) == "string" then return content:find("%S") ~= nil end
  for _, part in next, type(content) == "table" and content or {} do
    local text = type(part) == "table" and rawget(part, "text")
    if type(text) ~= "string" or text:find("%S") then return true end
  end
  return false
end


-- Ids --------------------------------------------------------------------------

-- Nine letters and digits that a text determines.
local function hash(text)
  local a, b = 5381, 0
  for i = 1, #text do
    local byte = text:byte(i)
    a = (a * 33 + byte) % 16777213
    b = (b * 65599 + byte) % 16777199
  end
  local value, out = a * 16777216 + b, {}
  for i = 1, 9 do
    local digit = value % 36
    out[i] = string.char(digit < 10 and 48 + digit or 87 + digit)
    value = (value - digit) / 36
  end
  return table.concat(out)
end

-- The id under which a call is sent. The same conversation gives the same ids, so that what
-- a service has cached of it still fits.
local function new_id(self, id, place)
  id = type(id) == "string" and id or ""
  local good = id ~= "" and #id <= self.rule.most and id:find(self.rule.form) ~= nil
  local to, tries = good and id or hash(id ~= "" and id or "call " .. place), 0
  while self.ids[to] do
    tries = tries + 1
    to = hash(id .. "#" .. tries)
  end
  self.ids[to] = true
  return to
end


-- Calls ------------------------------------------------------------------------

local function fit_name(name)
  name = name:gsub("[^%w_-]", "_"):sub(1, NAME_MAX)
  return name ~= "" and name or "_"
end

-- JSON without control characters in its strings: models write them there, parsers let them
-- pass, and services do not.
local function escaped(text)
  local inside = false
  return (text:gsub('\\?["\\%c]', function(found)
    if found == '"' then inside = not inside end
    if #found == 1 and found:find("%c") and inside then
      return ("\\u%04x"):format(found:byte())
    end
  end))
end

-- Whether a text is a JSON object; one that was looked at the last time is not read again.
local function is_object(self, text)
  local known = self.known[text]
  if known == nil then known = text:find("^%s*{") ~= nil and core.json_decode(text) ~= nil end
  self.known_now[text] = known
  return known
end

-- The text of an object; and whether it was none.
local function fit_arguments(self, arguments)
  if type(arguments) == "table" then arguments = core.json_encode(arguments) end
  if type(arguments) ~= "string" then return "{}", arguments ~= nil end
  if is_object(self, arguments) then
    return arguments:find("%c") and escaped(arguments) or arguments
  end
  return "{}", arguments:find("%S") ~= nil and arguments ~= "null"
end

-- A call as it is sent, or nil when it is none; and whether its arguments were cut.
local function fit_call(self, call, own, place)
  if type(call) ~= "table" then return nil end
  local fn, kind = rawget(call, "function"), rawget(call, "type")
  local name = type(fn) == "table" and rawget(fn, "name")
  if type(name) ~= "string" then
    if kind == nil or kind == "function" then return nil end
    local other = {} -- of a kind that we do not know
    for key, value in next, call do other[key] = value end
    other.id = new_id(self, rawget(call, "id"), place)
    return other
  end
  local given = rawget(fn, "arguments")
  if rawget(call, "custom") == true then given = core.json_encode { input = given } end -- any text
  local arguments, cut = fit_arguments(self, given)
  return {
    id = new_id(self, rawget(call, "id"), place), type = "function",
    ["function"] = { name = fit_name(name), arguments = arguments },
    extra_content = own and self.spec.extra_content and rawget(call, "extra_content") or nil,
  }, cut
end

-- The first result for a call behind message `i`, before the next calls.
local function find_result(self, i, id)
  for k = i + 1, self.count do
    local message = self.messages[k]
    if type(message) == "table" then
      local role = rawget(message, "role")
      local calls = role == "assistant" and rawget(message, "tool_calls")
      if type(calls) == "table" and len(calls) > 0 then return nil end
      if role == "tool" and not self.used[k] and rawget(message, "tool_call_id") == id then
        self.used[k] = true
        return message
      end
    end
  end
end

local function fit_result(result, id, cut)
  local content = result and rawget(result, "content")
  if not result then
    content = cut and "error: the call was cut before it was complete, and was not run"
      or "error: the call was not run"
  elseif type(content) ~= "string" and not (type(content) == "table" and len(content) > 0) then
    content = content == nil and "" or core.json_encode(content) or content -- the program's own
    if content == "null" then content = "" end
  end
  return { role = "tool", tool_call_id = id, content = content }
end


-- Messages ---------------------------------------------------------------------

local function add(self, message) self.out[#self.out + 1] = message end

-- A message that is no answer, without the fields that only answers have.
local function without_ours(message)
  local copy
  for key in next, OURS do
    if rawget(message, key) ~= nil and not copy then
      copy = {}
      for name, value in next, message do copy[name] = not OURS[name] and value or nil end
    end
  end
  return copy or message
end

-- A prompt that stands behind another one, since what was answered is not sent.
local function join(self, message)
  local last = self.out[#self.out]
  local before, after = rawget(last, "content"), rawget(message, "content")
  local joined = {}
  for key, value in next, last do joined[key] = value end
  if type(before) == "string" and type(after) == "string" then
    joined.content = before .. "\n\n" .. after
  else
    joined.content = {}
    for _, content in ipairs { before, after } do
      local parts = type(content) == "table" and content or { { type = "text", text = content } }
      for k = 1, len(parts) do joined.content[#joined.content + 1] = parts[k] end
    end
  end
  self.out[#self.out] = joined
end

-- The record of what the service that is asked has made of this answer, and wants to have
-- back, see src/dialect/native.h; or nil. The message must still say what it said then.
local function record_of(self, message)
  local native, route = rawget(message, "native"), self.route
  if type(native) ~= "table" or rawget(native, "dialect") ~= route.api
    or rawget(native, "provider") ~= route.provider or rawget(native, "server") ~= route.base_url
    or rawget(native, "model") ~= route.model or rawget(native, "own") ~= core.hash(
      rawget(message, "content"), rawget(message, "tool_calls"), rawget(message, "refusal")) then
    return nil
  end
  local items = rawget(native, "items") -- a file may have brought anything
  if items == nil then return type(rawget(native, "id")) == "string" and native or nil end
  if type(items) ~= "table" or len(items) == 0 then return nil end
  for k = 1, len(items) do
    if type(items[k]) ~= "string" or not is_object(self, items[k]) then return nil end
  end
  return native
end

-- Whether a call is sent as the service has made it: it stands in what is given back.
local function is_same(call, made)
  local fn, own = call["function"], rawget(made, "function")
  return call.id == rawget(made, "id") and (not fn or fn.name == rawget(own, "name"))
end

local function add_assistant(self, message, i)
  local provider = rawget(message, "provider")
  local own = provider == nil or provider == self.provider
  local sent, calls, results = {}, core.array {}, {}
  for key, value in next, message do
    if not OURS[key] then sent[key] = value end
  end
  local list, same = rawget(message, "tool_calls"), true
  for k = 1, type(list) == "table" and len(list) or 0 do
    local call, cut = fit_call(self, list[k], own, i .. "." .. k)
    same = same and call ~= nil and not cut and is_same(call, list[k])
    if call then
      calls[#calls + 1] = call
      results[#results + 1] = fit_result(find_result(self, i, rawget(list[k], "id")), call.id, cut)
    end
  end
  local refusal = rawget(message, "refusal")
  if type(sent.content) == "number" then sent.content = tostring(sent.content) end
  if not has_text(sent.content) then
    if type(refusal) == "string" and has_text(refusal) then
      sent.content = refusal -- not all know the field
    elseif type(sent.content) ~= "string" then
      sent.content = "" -- some want the field in any case
    end
  end
  local record = same and record_of(self, message)
  if not calls[1] and not has_text(sent.content) and not (record and record.items) then
    self.gap = true
    return
  end
  if record then
    sent.native, sent.before, sent.stored = record.items, record.before, record.id
    for k = 1, #calls do results[k].custom = rawget(list[k], "custom") == true or nil end
  end
  if calls[1] then
    sent.tool_calls = calls
    if self.spec.reasoning_back then
      sent.reasoning_content = own and rawget(message, "reasoning_content") or ""
    end
  end
  if own and self.spec.reasoning_details then
    sent.reasoning_details = rawget(message, "reasoning_details")
  end
  if own and self.spec.extra_content then
    sent.extra_content = rawget(message, "extra_content")
  end
  add(self, sent)
  for _, result in ipairs(results) do add(self, result) end
  self.gap = false
end


-- Parts ------------------------------------------------------------------------

-- What a part is, of what a service may not take.
local KINDS = { image_url = "image", file = "file", input_audio = "audio" }

-- The kind of a part, as it is for this service; nil where it can be sent.
local function lacking(self, part)
  local kind = type(part) == "table" and KINDS[rawget(part, "type")]
  local file = kind == "file" and rawget(part, "file")
  local by_url = type(file) == "table" and rawget(file, "file_url") ~= nil
  if not kind then return nil end
  return self.lacks[kind] and kind or by_url and self.lacks.url and "file by its address" or nil
end

-- The message without what the service cannot have, for which words stand; or nil and the kind
-- of that, unless it is to be left out.
local function fit_parts(self, message, leave_out)
  local parts, content = nil, rawget(message, "content")
  for i = 1, len(content) do
    local kind = lacking(self, content[i])
    if kind and not leave_out then return nil, kind end
    if kind and not parts then
      parts = core.array {}
      for k = 1, len(content) do parts[k] = content[k] end
    end
    if kind then parts[i] = { type = "text", text = ("[%s]"):format(kind) } end
  end
  if not parts then return message end
  local copy = {}
  for key, value in next, message do copy[key] = value end
  copy.content = parts
  return copy
end

-- What the service cannot have of all that is sent: nil and an error, unless the call says
-- `strict = false`.
local function fit_all_parts(self, call)
  if not next(self.lacks) then return self.out end
  for i, message in ipairs(self.out) do
    if type(message) == "table" and type(rawget(message, "content")) == "table" then
      local fitted, kind = fit_parts(self, message, call.strict == false)
      if not fitted then
        return nil, core.failure("config", ("'%s' takes no %s (with strict = false it is left out)")
          :format(self.provider, kind))
      end
      self.out[i] = fitted
    end
  end
  return self.out
end

---@param messages chatbot.Message[]
---@param route table see src/provider/route.h
---@param known table<string, boolean> arguments that were looked at, and whether they are good
---@param call table of the request
---@return chatbot.Message[]? list to send
---@return table known what is to be given the next time; or the error
function M.fit(messages, route, known, call)
  local spec = route.api == "chat" and route.spec or {} -- what it says of messages is chat's
  local rule = spec.short_ids and { most = 9, form = SHORT } or dialects.of(route).ids
  local lacks = {}
  for _, kind in ipairs(spec.lacks or {}) do lacks[kind] = true end
  for kind in pairs(dialects.of(route).lacks) do lacks[kind] = true end
  local self = { rule = rule, lacks = lacks, messages = messages, count = len(messages),
    route = route, spec = spec, provider = route.provider, known = known, known_now = {}, ids = {},
    used = {}, out = {}, gap = false }
  for i = 1, self.count do
    local message = messages[i]
    local role = type(message) == "table" and rawget(message, "role")
    if role == "assistant" then
      add_assistant(self, message, i)
    elseif role == "user" and self.gap and self.out[1]
      and rawget(self.out[#self.out], "role") == "user" then
      join(self, without_ours(message))
      self.gap = false
    elseif role ~= "tool" then -- a result without a call is not sent
      add(self, role and without_ours(message) or message)
      self.gap = false
    end
  end
  local out, err = fit_all_parts(self, call)
  return out, err or self.known_now
end

return M
