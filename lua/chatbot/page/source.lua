-- source.lua - the bytes of a page: from the network, a file, or standard input.
--
-- Redirects are followed here, by hand and a few only: the engine never does, so
-- that nothing of a chat goes where it was not sent. No key is sent with a page.
-- Who names a page may name one of this machine; a page from outside may not send
-- us there, nor one that came encrypted to where nothing is.

require "chatbot" -- which gives replies their methods

local core = require "chatbot.core"

local M = {}

local MAX_REDIRECTS = 5
local MAX_BYTES = 8 * 1024 * 1024
local SHOWN = 200 -- bytes of an address in the middle of a message

-- Seconds, where the caller has not said otherwise.
local TIMES = { connect_timeout = 10, first_byte_timeout = 30, idle_timeout = 30, timeout = 120 }

---An error table as the engine makes them.
---@param kind string
---@param format string
---@return chatbot.Error
function M.problem(kind, format, ...)
  return core.failure(kind, format:format(...))
end

local problem = M.problem


-- URLs (RFC 3986, 5) -----------------------------------------------------------

local function parse(url)
  url = url:gsub("#.*$", "")
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  rest = rest or url
  local authority, behind = rest:match("^//([^/?]*)(.*)$")
  rest = behind or rest
  local path, query = rest:match("^([^?]*)(%??.*)$")
  return { scheme = scheme and scheme:lower(), authority = authority, path = path, query = query }
end

local function without_dots(path)
  local out = {}
  for segment in path:gmatch("/([^/]*)") do
    if segment == ".." then
      out[#out] = nil
    elseif segment ~= "." then
      out[#out + 1] = segment
    end
  end
  local last = path:match("/([^/]*)$")
  local tail = (last == "." or last == "..") and "/" or ""
  return "/" .. table.concat(out, "/") .. (#out > 0 and tail or "")
end

---The absolute address of a reference found at another address.
---@param base string
---@param reference string
---@return string
function M.resolve(base, reference)
  local from, to = parse(base), parse(reference)
  if not to.scheme then
    to.scheme = from.scheme
    if not to.authority then
      to.authority = from.authority
      if to.path == "" then
        to.path = from.path
        if to.query == "" then to.query = from.query end
      elseif to.path:sub(1, 1) ~= "/" then
        to.path = (from.path:match("^(.*/)[^/]*$") or "/") .. to.path
      end
    end
  end
  return ("%s://%s%s%s"):format(to.scheme, to.authority or "", without_dots(to.path), to.query)
end

-- The URL in the form in which it is sent: blanks and all that is no ASCII escaped, but
-- in the host, where that would name another one.
local function sendable(url)
  local start, rest = url:match("^(%a[%w+.-]*://[^/?#]*)([^#]*)")
  if not start then return url end
  return start .. rest:gsub("[^!-~]", function(char) return ("%%%02X"):format(char:byte()) end)
end


local function host_of(url)
  return url:match("^%a[%w+.-]*://([^/?#]*)"):gsub(":%d*$", ""):lower()
end


-- Reading ------------------------------------------------------------------------

---@async
local function fetch(url, opts)
  local settings = { max_answer_bytes = MAX_BYTES }
  for name, value in pairs(TIMES) do settings[name] = value end
  for name, value in pairs(opts or {}) do settings[name] = value end
  local unsafe, outside = settings.allow_unsafe_redirects, false
  settings.allow_unsafe_redirects = nil
  url = sendable(url)
  for _ = 0, MAX_REDIRECTS do
    local reply, answer, err
    reply, err = core.fetch(url, settings, outside)
    if reply then answer, err = reply:result() end
    if answer then return { bytes = answer.body, type = answer.content_type, url = url } end
    if err.kind == "limit" and err.status == 200 then
      err.message = ("the page is larger than %d bytes"):format(settings.max_answer_bytes)
    end
    if outside and err.kind == "redirect" and not err.location then
      err.message = ("the page redirects to %s, but %s"):format(
        #url > SHOWN and url:sub(1, SHOWN) .. "..." or url, err.message)
    end
    if err.kind ~= "redirect" or not err.location or err.location == "" then return nil, err end
    local before = url
    url = sendable(M.resolve(url, err.location))
    if not url:find("^https?://") then
      return nil, problem("redirect", "the page redirects to what is not http: %s", url)
    end
    if not unsafe then
      if before:lower():find("^https:") and not url:find("^https:") then
        return nil, problem("redirect", "the page redirects from https to http: %s", url)
      end
      outside = outside or err.inside == false
        or err.inside == nil and host_of(url) ~= host_of(before)
    end
  end
  return nil, problem("redirect", "the page redirects more than %d times", MAX_REDIRECTS)
end

local function read(path, max)
  local named = path ~= "-"
  local file, missing = io.stdin, nil
  if named then file, missing = io.open(path, "rb") end
  if not file then
    return nil, problem("config", "%s (an address starts with https:// or http://)", missing)
  end
  local bytes, unread = file:read(max + 1)
  if named then file:close() end
  if unread then return nil, problem("config", "%s: %s", path, unread) end
  if #(bytes or "") > max then
    return nil, problem("limit", "the page is larger than %d bytes", max)
  end
  return { bytes = bytes or "", url = named and path or nil }
end

---Reads a page. In a coroutine, waiting yields.
---@async
---@param from string http:// or https:// address, a file's path, or "-"
---@param opts? table time-outs, wait, ca_file, proxy, max_answer_bytes: as for a bot;
---  allow_unsafe_redirects: also from https to http, and from outside to this machine or a
---  private network
---@return { bytes: string, type: string?, url: string? }?
---@return chatbot.Error?
function M.read(from, opts)
  if from:find("^%a[%w+.-]*://") then
    if from:lower():find("^https?:") then return fetch(from, opts) end
    return nil, problem("config", "only http:// and https:// addresses can be read: %s", from)
  end
  return read(from, opts and opts.max_answer_bytes or MAX_BYTES)
end

return M
