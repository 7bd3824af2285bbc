--- The key that must not be found: making one, and looking for it in all its forms.
--
-- Pure Lua, used on both sides: by the suite for what processes and servers have seen,
-- and by the children for the values that the module gives them.

local secret = {}

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

local function letters(n)
  local out = {}
  for i = 1, n do
    local at = math.random(#LETTERS)
    out[i] = LETTERS:sub(at, at)
  end
  return table.concat(out)
end

--- A key with every character that encodings change, and otherwise of random letters.
---@return string
function secret.new()
  local urandom = io.open("/dev/urandom", "rb")
  if urandom then
    local a, b, c = urandom:read(3):byte(1, 3)
    math.randomseed(a * 65536 + b * 256 + c)
    urandom:close()
  end
  return "sk-" .. letters(20) .. "/" .. letters(8) .. "+" .. letters(12) .. "="
end

---@param text string
---@param format? string of each escaped byte, default "%%%02X"
---@return string
function secret.url(text, format)
  return (text:gsub("[^%w%-%._~]", function(c)
    return (format or "%%%02X"):format(c:byte())
  end))
end

local DIGITS = LETTERS .. "0123456789+/"

---@param text string
---@return string
function secret.base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 0, 3 do
      local digit = math.floor(n / 64 ^ (3 - k)) % 64
      local missing = (k == 2 and not b) or (k == 3 and not c)
      out[#out + 1] = missing and "=" or DIGITS:sub(digit + 1, digit + 1)
    end
  end
  return table.concat(out)
end

-- What base64 of anything that contains `text` must contain, for each of the three
-- ways in which it may lie on the groups of three bytes.
local function base64_cores(text)
  local out = {}
  for skip = 0, 2 do
    local n = math.floor((#text - skip) / 3) * 3
    out[#out + 1] = secret.base64(text:sub(skip + 1, skip + n))
  end
  return out
end

--- Every text that tells the key.
---@param key string
---@return string[]
function secret.forms(key)
  local forms = {
    key, secret.url(key), secret.url(key, "%%%02x"),
    (key:gsub("/", "\\/")), (key:gsub("%W", function(c)
      return ("\\u%04x"):format(c:byte())
    end)), key:reverse(),
    key:sub(1, 23), key:sub(-20), -- the longer parts between the signs
  }
  for _, core in ipairs(base64_cores(key)) do
    forms[#forms + 1] = core
    forms[#forms + 1] = core:gsub("%+", "-"):gsub("/", "_")
  end
  return forms
end

---@param key string
---@param text string
---@return boolean
function secret.find(key, text)
  for _, form in ipairs(secret.forms(key)) do
    if text:find(form, 1, true) then return true end
  end
  return false
end

--- Where in a request that a server has read the key is: "line", a header's name in
--- lower case, "body", or nil. A second place counts before the usual header.
---@param key string
---@param request table
---@param usual? string default "authorization"
---@return string?
function secret.in_request(key, request, usual)
  if secret.find(key, request.line or "") then return "line" end
  local place
  for _, header in ipairs(request.headers or {}) do
    if secret.find(key, header[1] .. ": " .. header[2]) then
      local name = header[1]:lower()
      if name ~= (usual or "authorization") then return name end
      place = name
    end
  end
  return secret.find(key, request.body or "") and "body" or place
end

--- Whether a file below a directory (two levels deep) has the key in it.
---@param key string
---@param dir string
---@return boolean
function secret.in_files(key, dir)
  local pipe = io.popen("find '" .. dir .. "' -maxdepth 2 -type f")
  local names = pipe:read("*a")
  pipe:close()
  for name in names:gmatch("[^\n]+") do
    local file = io.open(name, "rb")
    local text = file and file:read("*a") or ""
    if file then file:close() end
    if secret.find(key, text) then return true end
  end
  return false
end

--- Looks through a value: strings, tables with their keys and metatables. Adds the paths
--- of what it finds to `found`.
---@param key string
---@param value any
---@param path string
---@param found string[]
---@param seen? table
function secret.search(key, value, path, found, seen)
  seen = seen or {}
  if type(value) == "string" then
    if secret.find(key, value) then found[#found + 1] = path end
  elseif type(value) == "table" and not seen[value] then
    seen[value] = true
    for name, item in pairs(value) do
      local at = path .. "." .. tostring(name)
      if type(name) == "string" and secret.find(key, name) then
        found[#found + 1] = "a key of " .. path
      end
      secret.search(key, item, at, found, seen)
    end
    secret.search(key, getmetatable(value), path .. ".metatable", found, seen)
  end
  return found
end

-- The tables that belong to a value beside its own fields.
-- luacheck: push ignore 143
local function belongings(value, kind)
  local out = { debug.getmetatable(value) }
  if debug.getuservalue and kind == "userdata" then
    out[#out + 1] = debug.getuservalue(value)
  end
  if debug.getfenv and kind ~= "table" then out[#out + 1] = debug.getfenv(value) end
  if kind == "function" then
    for i = 1, 255 do
      local name, item = debug.getupvalue(value, i)
      if not name then break end
      out[#out + 1] = item
    end
  end
  return out
end

-- luacheck: pop

--- Looks through all that can be reached from Lua's registry: fields, keys, metatables,
--- upvalues, environments and user values. Adds the paths of what it finds to `found`.
---@param key string
---@param found string[]
---@return integer count of the values that were looked at
function secret.reachable(key, found)
  local seen, queue, paths = {}, { debug.getregistry() }, { "registry" }
  local count = 0
  local function visit(value, path)
    local kind = type(value)
    if kind == "string" then
      if secret.find(key, value) then found[#found + 1] = path end
    elseif (kind == "table" or kind == "function" or kind == "userdata" or kind == "thread")
      and not seen[value] then
      seen[value] = true
      queue[#queue + 1], paths[#paths + 1] = value, path
    end
  end
  while #queue > 0 do
    local value, path = table.remove(queue), table.remove(paths)
    local kind = type(value)
    count = count + 1
    if kind == "table" then
      for name, item in next, value do
        visit(name, "a key of " .. path)
        visit(item, path .. "." .. tostring(name))
      end
    end
    for i, item in ipairs(belongings(value, kind)) do visit(item, path .. "#" .. i) end
  end
  return count
end

return secret
