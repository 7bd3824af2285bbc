-- How an answer of Messages is written: as a whole, and as events.

local json = require "chatbot.offline.json"
local seal = require "chatbot.offline.seal"

local M = {}

local null, list = json.null, json.list

M.encode = json.encoder { "type", "index", "id", "role", "model", "message", "content",
  "content_block", "delta", "text", "thinking", "signature", "name", "input", "stop_reason",
  "stop_sequence", "stop_details", "usage" }

local REASONS = { stop = "end_turn", stopped = "stop_sequence", length = "max_tokens",
  calls = "tool_use" }

local function usage_of(answer, output)
  return { input_tokens = answer.usage.input, cache_creation_input_tokens = 0,
    cache_read_input_tokens = 0, output_tokens = output,
    cache_creation = { ephemeral_5m_input_tokens = 0, ephemeral_1h_input_tokens = 0 },
    service_tier = "standard" }
end

local function object(request, made, usage)
  return { id = made.id, type = "message", role = "assistant", model = request.model,
    content = list {}, stop_reason = null, stop_sequence = null, stop_details = null,
    usage = usage }
end

local BLOCK = {}

function BLOCK.thoughts(part, request)
  local text = table.concat(part.words)
  return { type = "thinking", thinking = request.hidden and "" or text,
    signature = seal.close(text, request.bound) }
end

function BLOCK.text(part)
  return { type = "text", text = table.concat(part.words) }
end

function BLOCK.call(part, _, made)
  return { type = "tool_use", id = made.new_id "toolu_", name = part.name,
    input = json.decode(part.arguments) }
end

---@return table the answer as a whole
function M.whole(request, answer, made)
  local whole = object(request, made, usage_of(answer, answer.usage.output))
  for i, part in ipairs(answer.parts) do
    whole.content[i] = BLOCK[part.kind](part, request, made)
  end
  whole.stop_reason = REASONS[answer.finish]
  whole.stop_sequence = answer.stopped or null
  return whole
end

-- How a block begins: without what its deltas bring.
local function opened(block)
  local empty = {}
  for name, value in pairs(block) do empty[name] = value end
  for _, name in ipairs { "text", "thinking", "signature" } do
    if empty[name] then empty[name] = "" end
  end
  if empty.input then empty.input = {} end
  return empty
end

-- The deltas of a block, one a word.
local DELTAS = {}

function DELTAS.thinking(block, part, delta)
  for _, word in ipairs(block.thinking ~= "" and part.words or {}) do
    delta({ type = "thinking_delta", thinking = word }, true)
  end
  delta { type = "signature_delta", signature = block.signature }
end

function DELTAS.text(_, part, delta)
  for _, word in ipairs(part.words) do delta({ type = "text_delta", text = word }, true) end
end

function DELTAS.tool_use(_, part, delta)
  if part.arguments == "{}" then return end
  delta { type = "input_json_delta", partial_json = "" }
  for _, word in ipairs(part.words) do
    delta({ type = "input_json_delta", partial_json = word }, true)
  end
end

---The answer as events.
---@param put fun(event: table, is_word?: boolean)
function M.events(request, answer, made, put)
  put { type = "message_start", message = object(request, made, usage_of(answer, 1)) }
  for i, part in ipairs(answer.parts) do
    local block = BLOCK[part.kind](part, request, made)
    put { type = "content_block_start", index = i - 1, content_block = opened(block) }
    if i == 1 then put { type = "ping" } end
    DELTAS[block.type](block, part, function(delta, is_word)
      put({ type = "content_block_delta", index = i - 1, delta = delta }, is_word)
    end)
    put { type = "content_block_stop", index = i - 1 }
  end
  put { type = "message_delta",
    delta = { stop_reason = REASONS[answer.finish], stop_sequence = answer.stopped or null,
      stop_details = null },
    usage = { input_tokens = answer.usage.input, cache_creation_input_tokens = 0,
      cache_read_input_tokens = 0, output_tokens = answer.usage.output,
      output_tokens_details = { thinking_tokens = answer.usage.reasoning } } }
  put { type = "message_stop" }
end

return M
