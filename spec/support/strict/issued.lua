--- What a server has itself given: the items and blocks that may come back to it.
--
--   local issued = issued_of.new()
--   local pieces = issued:answer(dialect, request_body)   -- grows while it is sent
--   ...
--   for answer in issued:each(dialect) do ... end
--
-- An answer is the bytes of HTTP as they were sent; they are read when somebody asks, and
-- again when more has come. Each is {request, id, stored, items, blocks}: `items` of
-- Responses {versions = {..}, next = the item behind it}, `blocks` of Messages as the
-- client ought to have put them together. Pure.

local root = (...):match("^(.-)strict%.")
local decode = require(root .. "decode")

local issued = {}
issued.__index = issued

local MAX_BYTES = 1024 * 1024 -- of an answer; a flood is not worth reading
local MAX_ANSWERS = 200


-- From bytes to events -------------------------------------------------------------

local function without_chunks(bytes)
  local out, at = {}, 1
  while true do
    local size, stop = bytes:match("^(%x+)[^\r\n]*\r?\n()", at)
    size = size and tonumber(size, 16)
    if not size or size == 0 then break end
    out[#out + 1] = bytes:sub(stop, stop + size - 1)
    at = bytes:match("^\r?\n()", stop + size)
    if not at then break end
  end
  return table.concat(out)
end

-- Behind the last head, those of 1xx included.
local function body_of(bytes)
  local at, chunked = 1, false
  while bytes:find("^HTTP/", at) do
    local stop = bytes:match("\r\n\r\n()", at)
    if not stop then return "" end
    chunked = bytes:sub(at, stop - 1):lower():find("transfer%-encoding:%s*chunked") ~= nil
    at = stop
  end
  local body = bytes:sub(at)
  return chunked and without_chunks(body) or body
end

-- The decoded objects of an answer: those of its events, or the whole document.
local function objects(bytes)
  local body, out = body_of(bytes), {}
  if body:find("^%s*{") then
    out[1] = decode.json(body)
  else
    for line in body:gmatch("[^\r\n]+") do
      local data = line:match("^data: ?(.*)")
      local object = data and decode.json(data)
      if decode.is_object(object) then out[#out + 1] = object end
    end
  end
  return out
end


-- Responses ------------------------------------------------------------------------

local read = {}

local function add_version(answer, place, item)
  local entry = answer.items[place] or { versions = {} }
  answer.items[place] = entry
  entry.versions[#entry.versions + 1] = item
end

local function take_response(answer, response)
  if not decode.is_object(response) then return end
  answer.id = response.id or answer.id
  if not decode.is_list(response.output) then return end
  for i, item in ipairs(response.output) do add_version(answer, i, item) end
end

function read.responses(answer, list)
  answer.items = {}
  answer.stored = answer.request.store ~= false
  local count = 0
  for _, event in ipairs(list) do
    if event.type == "response.output_item.done" and decode.is_object(event.item) then
      count = count + 1
      add_version(answer, (event.output_index or count - 1) + 1, event.item)
    elseif event.object == "response" then
      take_response(answer, event)
    elseif decode.is_object(event.response) then
      take_response(answer, event.response)
    end
  end
  local before
  for place = 1, #answer.items do
    if before then before.next = answer.items[place].versions[1] end
    before = answer.items[place]
  end
end


-- Messages -------------------------------------------------------------------------

local PARTS = { text_delta = "text", thinking_delta = "thinking", signature_delta = "signature" }

local function take_delta(block, delta)
  local name = PARTS[delta.type]
  if name then
    block[name] = (block[name] or "") .. (delta[name] or "")
  elseif delta.type == "input_json_delta" then
    block.json = (block.json or "") .. (delta.partial_json or "")
  elseif delta.type == "citations_delta" then
    if not decode.is_list(block.citations) then
      block.citations = setmetatable({}, decode.list)
    end
    block.citations[#block.citations + 1] = delta.citation
  end
end

function read.messages(answer, list)
  answer.blocks = {}
  for _, event in ipairs(list) do
    local place = type(event.index) == "number" and event.index + 1
    if event.type == "message" then
      answer.id, answer.blocks = event.id, event.content
    elseif event.type == "message_start" and decode.is_object(event.message) then
      answer.id = event.message.id
    elseif event.type == "content_block_start" and place then
      answer.blocks[place] = event.content_block
    elseif event.type == "content_block_delta" and answer.blocks[place] then
      take_delta(answer.blocks[place], event.delta)
    end
  end
  for _, block in ipairs(answer.blocks) do
    if block.json and block.json ~= "" then block.input = decode.json(block.json) end
    block.json = nil
  end
end


-- All of a server ------------------------------------------------------------------

function issued.new()
  return setmetatable({ answers = {} }, issued)
end

--- An answer begins. What is sent of it is added to the list that is returned.
---@param dialect string
---@param body string of the request
---@return {add: fun(self, bytes: string)}
function issued:answer(dialect, body)
  local answer = { dialect = dialect, body = body, bytes = 0, seen = 0 }
  function answer.add(_, bytes)
    answer.bytes = answer.bytes + #bytes
    if answer.bytes <= MAX_BYTES then answer[#answer + 1] = bytes end
  end
  self.answers[#self.answers + 1] = answer
  if #self.answers > MAX_ANSWERS then table.remove(self.answers, 1) end
  return answer
end

--- The answers in this dialect, read.
---@param dialect string
---@return fun(): table?
function issued:each(dialect)
  local i = 0
  return function()
    repeat i = i + 1 until not self.answers[i] or self.answers[i].dialect == dialect
    local answer = self.answers[i]
    if answer and (answer.seen < #answer or answer.seen == 0) then
      answer.seen = #answer
      answer.request = answer.request or decode.json(answer.body) or {}
      read[dialect](answer, objects(table.concat(answer)))
    end
    return answer
  end
end

return issued
