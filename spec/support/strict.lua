--- What the strictest service would refuse of a request.
--
-- The scripted server asks this file of every POST to .../chat/completions, .../responses
-- and .../messages; what it refuses fails the test, see "strict" in init.lua. The rules
-- stand in strict/chat.lua, responses.lua and messages.lua, with the services that differ;
-- what the server has itself issued, and only its own, may come back: strict/issued.lua.
-- Pure; knows bodies, no sockets and no module.

local root = (...):match("^(.-)strict$")
local decode = require(root .. "decode")
local issued = require(root .. "strict.issued")

local strict = {}

local DIALECTS = {
  { "/chat/completions$", "chat" }, { "/responses$", "responses" }, { "/messages$", "messages" },
}
local dialects = {}
for _, row in ipairs(DIALECTS) do dialects[row[2]] = require(root .. "strict." .. row[2]) end

--- The services of chat completions that have wishes of their own.
strict.services = dialects.chat.services

--- What a server that is about to be used has issued: nothing yet.
strict.issued = issued.new

-- The service of this name, in a dialect; what it has not is as strict as can be.
local function service_of(name, dialect)
  name = name or "strictest"
  local own = dialects[dialect].services
  if own[name] then return own[name] end
  for _, other in pairs(dialects) do
    if other.services[name] then return own.strictest end
  end
end

-- The decoded body, without the field `beside`, which need not be read for this: it may be
-- long, and there may be many.
local function decoded(text, beside)
  if not beside then return decode.json(text) end
  local pattern = ('"%s":'):format(beside)
  local body, problem = decode.json((text:gsub(pattern .. "%b{}", pattern .. "0", 1)))
  if problem then body, problem = decode.json(text) end
  if decode.is_object(body) then body[beside] = nil end
  return body, problem
end

local function check(text, service, opts)
  local dialect = dialects[opts.dialect or "chat"]
  local body, problem = decoded(text, opts.beside)
  if problem then error({ problem = "body: " .. problem }, 0) end
  dialect.check(body, service, opts.issued)
  if opts.named and dialect.check_header then
    dialect.check_header(opts.named, service, body)
  end
end

--- What is wrong with a body, or nil.
---@param text string
---@param name? string a name of a dialect's `services`, default "strictest"
---@param opts? {dialect: string?, issued: table?, named: table?, beside: string?} default:
---   chat; nothing is known of what was issued; no header; beside: a field that is not seen
---@return string? problem
function strict.body(text, name, opts)
  opts = opts or {}
  local service = service_of(name, opts.dialect or "chat")
  if not service then return "no service '" .. tostring(name) .. "' in spec/support/strict" end
  -- lua5.4, in the server, has the function; the suite may be any other
  local utf8_len = rawget(_G, "utf8") and rawget(_G, "utf8").len
  if utf8_len and not utf8_len(text) then return "body: not UTF-8" end
  local ok, refused = pcall(check, text, service, opts)
  if ok then return nil end
  if type(refused) ~= "table" then error(refused, 0) end
  return refused.problem
end

--- The dialect of a request, by its path; nil for another request.
---@param request {method: string, target: string, body: string, body_length: integer}
---@return string?
function strict.dialect(request)
  if request.method ~= "POST" or request.body_length > #request.body then return nil end
  local path = request.target:gsub("%?.*", "")
  for _, row in ipairs(DIALECTS) do
    if path:find(row[1]) then return row[2] end
  end
end

--- What is wrong with a request that a server has read, or nil.
---@param request table as above, and `named`, its header
---@param name? string as above
---@param given? table what strict.issued made
---@param beside? string as above
---@return string? problem
function strict.request(request, name, given, beside)
  local dialect = strict.dialect(request)
  if not dialect then return nil end
  return strict.body(request.body, name,
    { dialect = dialect, issued = given, named = request.named, beside = beside })
end

--- A request is about to be answered: what gets the bytes of the answer, or nil.
---@param request table
---@param given table what strict.issued made
---@return {add: fun(self, bytes: string)}?
function strict.answer(request, given)
  local dialect = strict.dialect(request)
  if dialect == "responses" or dialect == "messages" then
    return given:answer(dialect, request.body)
  end
end

return strict
