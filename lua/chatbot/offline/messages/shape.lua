-- What a body of Messages and its blocks look like. Data only; what has to fit together
-- is in messages/read.lua.

local shape = require "chatbot.offline.shape"

local M = {}

local TOOL_NAME = shape.string { min = 1, max = 128, pattern = "[a-zA-Z0-9_%-]+" }
local ID = shape.string { min = 1, pattern = "[a-zA-Z0-9_%-]+" }

local MARK = shape.object { ["type!"] = shape.one_of("ephemeral"), ttl = shape.one_of("5m", "1h") }

-- Blocks ---------------------------------------------------------------------

local TEXT = shape.object { ["type!"] = shape.any, ["text!"] = shape.string(),
  cache_control = MARK, citations = shape.any }

local BASE64 = shape.string { min = 1, pattern = "[%w+/]*=?=?" }
local URL = shape.string { pattern = "https?://.+" }

local function source(kinds)
  kinds.url = shape.object { ["type!"] = shape.any, ["url!"] = URL }
  kinds.file = shape.object { ["type!"] = shape.any, ["file_id!"] = shape.string() }
  return shape.tagged("type", kinds)
end

local IMAGE = shape.object { ["type!"] = shape.any, cache_control = MARK, ["source!"] = source {
  base64 = shape.object { ["type!"] = shape.any, ["data!"] = BASE64,
    ["media_type!"] = shape.one_of("image/jpeg", "image/png", "image/gif", "image/webp") } } }

local DOCUMENT = shape.object { ["type!"] = shape.any, cache_control = MARK,
  title = shape.string(), context = shape.string(),
  citations = shape.object { enabled = shape.boolean },
  ["source!"] = source {
    base64 = shape.object { ["type!"] = shape.any, ["data!"] = BASE64,
      ["media_type!"] = shape.one_of("application/pdf") },
    text = shape.object { ["type!"] = shape.any, ["data!"] = shape.string(),
      ["media_type!"] = shape.one_of("text/plain") },
    content = shape.object { ["type!"] = shape.any, ["content!"] = shape.any } } }

local function content(blocks)
  return shape.text_or(shape.string(), shape.list(shape.tagged("type", blocks)))
end

local BLOCKS = {
  text = TEXT,
  image = IMAGE,
  document = DOCUMENT,
  tool_use = shape.object { ["type!"] = shape.any, ["id!"] = ID, ["name!"] = TOOL_NAME,
    ["input!"] = shape.map, cache_control = MARK, caller = shape.map },
  tool_result = shape.object { ["type!"] = shape.any, ["tool_use_id!"] = ID,
    content = content { text = TEXT, image = IMAGE, document = DOCUMENT },
    is_error = shape.boolean, cache_control = MARK },
  thinking = shape.object { ["type!"] = shape.any, ["thinking!"] = shape.string(),
    ["signature!"] = shape.string() },
  redacted_thinking = shape.object { ["type!"] = shape.any, ["data!"] = shape.string() },
}

-- Blocks of hosted tools: this server makes none, and lets those of others be.
for name in ([[server_tool_use web_search_tool_result web_fetch_tool_result search_result
  code_execution_tool_result bash_code_execution_tool_result
  text_editor_code_execution_tool_result container_upload mcp_tool_use mcp_tool_result
  tool_search_tool_result]]):gmatch("%S+") do
  BLOCKS[name] = shape.map
end

-- The body -------------------------------------------------------------------

local TOOL = shape.object { type = shape.one_of("custom"), ["name!"] = TOOL_NAME,
  description = shape.string(), strict = shape.boolean, cache_control = MARK,
  eager_input_streaming = shape.boolean, defer_loading = shape.boolean,
  allowed_callers = shape.list(shape.string()), input_examples = shape.list(shape.map),
  ["input_schema!"] = shape.object({ ["type!"] = shape.one_of("object"), properties = shape.map },
    true) }

-- A tool of another type is the service's own: that there is none is said by read.lua.
local function tool(value, path)
  local wrong = shape.map(value, path)
  if wrong then return wrong end
  if value.type == nil or value.type == "custom" then
    return TOOL(value, { path, shape.tag "custom" })
  end
end

local CHOICE = {
  auto = shape.object { ["type!"] = shape.any, disable_parallel_tool_use = shape.boolean },
  any = shape.object { ["type!"] = shape.any, disable_parallel_tool_use = shape.boolean },
  tool = shape.object { ["type!"] = shape.any, ["name!"] = shape.string(),
    disable_parallel_tool_use = shape.boolean },
  none = shape.object { ["type!"] = shape.any },
}

local DISPLAY = shape.one_of("summarized", "omitted")

local THINKING = shape.tagged("type", {
  enabled = shape.object { ["type!"] = shape.any, display = DISPLAY,
    ["budget_tokens!"] = shape.integer { min = 1024 } },
  adaptive = shape.object { ["type!"] = shape.any, display = DISPLAY,
    block_binding = shape.map },
  disabled = shape.object { ["type!"] = shape.any },
})

local MESSAGE = shape.object { ["role!"] = shape.any, ["content!"] = content(BLOCKS) }

M.body = shape.object {
  ["model!"] = shape.string { min = 1 },
  ["messages!"] = shape.list(MESSAGE),
  ["max_tokens!"] = shape.integer { min = 0 },
  system = shape.text_or(shape.string(), shape.list(shape.tagged("type", { text = TEXT }))),
  stream = shape.boolean,
  temperature = shape.number { min = 0, max = 1 },
  top_p = shape.number { min = 0, max = 1 },
  top_k = shape.integer { min = 0 },
  stop_sequences = shape.list(shape.string()),
  tools = shape.list(tool),
  tool_choice = shape.tagged("type", CHOICE),
  thinking = THINKING,
  output_config = shape.object { effort = shape.one_of("low", "medium", "high", "xhigh", "max"),
    format = shape.tagged("type", { json_schema = shape.object { ["type!"] = shape.any,
      ["schema!"] = shape.map } }) },
  cache_control = MARK,
  metadata = shape.object { user_id = shape.string() },
  service_tier = shape.one_of("auto", "standard_only"),
  container = shape.any,
  inference_geo = shape.string(),
  context_management = shape.map,
}

-- The same without an answer, for its count.
M.counted = shape.object({
  ["model!"] = shape.string { min = 1 },
  ["messages!"] = shape.list(MESSAGE),
}, true)

return M
